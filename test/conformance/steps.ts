/** What a conformance step is, how one is judged, and how a list of them is performed. */

export interface Step {
  readonly name: string
  /** A line for `sh -c`; the judging programs are in PATH. */
  readonly command: string
  readonly input?: string
  /** Expected exit code, 0 by default. */
  readonly code?: number
  /** Each must match stdout and stderr together. */
  readonly prints?: readonly RegExp[]
  readonly lacks?: readonly RegExp[]
  /** Done again until it is right, at most so long: what takes its time to become true. */
  readonly withinMs?: number
  /** A real peer must give the same exit code and, but for ids and times, the same output. */
  readonly like?: Shell
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export type Shell = (command: string, options?: { readonly input?: string }) => Promise<Ran>

export interface Count {
  readonly passed: number
  readonly failed: number
}

/** Performs the steps in order, a line each; what is wrong with one is printed below it. */
export async function performSteps(
  title: string,
  steps: readonly Step[],
  { shell, signal }: { readonly shell: Shell; readonly signal: AbortSignal },
): Promise<Count> {
  console.log(`\n${title}`)
  let failed = 0
  for (const step of steps) {
    signal.throwIfAborted()
    const { wrong, ran } = await perform(step, shell)
    console.log(`${wrong.length === 0 ? 'ok    ' : 'FAILED'} ${step.name}`)
    if (wrong.length === 0) continue
    failed++
    const output = `${ran.stdout}${ran.stderr}`.trimEnd()
    console.log(`  $ ${step.command}\n  ${wrong.join('\n  ')}\n${output.replace(/^/gm, '  | ')}`)
  }
  return { passed: steps.length - failed, failed }
}

async function perform(step: Step, shell: Shell): Promise<{ wrong: readonly string[]; ran: Ran }> {
  const options = step.input === undefined ? {} : { input: step.input }
  const end = Date.now() + (step.withinMs ?? 0)
  for (;;) {
    const ran = await shell(step.command, options)
    const peer = await step.like?.(step.command, options)
    const wrong = [...judge(step, ran), ...(peer ? compare(ran, peer) : [])]
    if (wrong.length === 0 || Date.now() >= end) return { wrong, ran }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

function judge({ code = 0, prints = [], lacks = [] }: Step, ran: Ran): string[] {
  const output = `${ran.stdout}${ran.stderr}`
  return [
    ...(ran.code === code ? [] : [`exit code ${ran.code}, not ${code}`]),
    ...prints.filter((pattern) => !pattern.test(output)).map((pattern) => `does not print ${pattern}`),
    ...lacks.filter((pattern) => pattern.test(output)).map((pattern) => `prints ${pattern}`),
  ]
}

function compare(ran: Ran, peer: Ran): string[] {
  const [own, other] = [ran, peer].map(({ code, stdout, stderr }) =>
    `exit ${code}\n${stdout}${stderr}`.replace(/\b[0-9a-f]{12,64}\b/g, 'ID').trimEnd(),
  )
  return own === other ? [] : [`the peer gives:\n${other?.replace(/^/gm, '  > ')}`]
}
