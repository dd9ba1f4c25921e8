/** What the demo's steps share: its folders, its commands, and how it shows what it does. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { promisify } from 'node:util'

const top = join(import.meta.dirname, '../..')

/** `cli/berth` of this checkout. */
export const berthFile = join(top, 'cli/berth')
export const examples = join(top, 'charts-examples')

/** One run of the demo. */
export interface Stage {
  /** Everything of the demo lies below it; `root` and `run` are the daemon's. */
  readonly folder: string
  readonly root: string
  readonly run: string
  readonly host: string
  readonly environment: NodeJS.ProcessEnv
}

/** Where the daemon, its sockets and the command line's configuration lie for a demo below `folder`. */
export function makeStage(folder: string): Stage {
  const run = join(folder, 'run')
  const host = `unix://${join(run, 'berth.sock')}`
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    BERTH_HOST: host,
    DOCKER_CONFIG: join(folder, 'docker'),
    HELM_REGISTRY_CONFIG: join(folder, 'helm/registry.json'),
  }
  return { folder, root: join(folder, 'root'), run, host, environment }
}

/** A check that did not hold: the demo ends with it. */
export class DemoFailure extends Error {
  override name = 'DemoFailure'
}

/** Ends the demo unless `condition` holds; shows what was checked. */
export function check(condition: unknown, what: string): asserts condition {
  if (!condition) throw new DemoFailure(what)
  say(`  ✓ ${what}`)
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const started = Date.now()
let last = ''

/** Begins a step: its title with the seconds since the start. */
export function title(text: string): void {
  last = text
  say(
    `\n${(Date.now() - started) / 1000 < 10 ? ' ' : ''}${((Date.now() - started) / 1000).toFixed(1)} s  ${text}`,
  )
}

/** The step that is at work, for the message of a failure. */
export function currentTitle(): string {
  return last
}

/** Runs `berth …` with its output shown, indented; fails the demo when its exit code is not 0. */
export async function berth(stage: Stage, ...args: string[]): Promise<void> {
  say(`  $ berth ${args.join(' ')}`)
  const child = spawn(berthFile, args, { env: stage.environment, stdio: ['ignore', 'pipe', 'pipe'] })
  indent(child)
  const [code] = await once(child, 'close')
  if (code !== 0) throw new DemoFailure(`berth ${args.join(' ')} ended with exit code ${code}`)
}

/** Runs `berth …` and gives its standard output. */
export async function berthOutput(stage: Stage, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(berthFile, args, {
    env: stage.environment,
    maxBuffer: 64 << 20,
  })
  return stdout
}

function indent(child: ChildProcess): void {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8')
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) say(`    ${line}`)
    })
    stream?.on('end', () => {
      if (rest !== '') say(`    ${rest}`)
    })
  }
}

/** Waits until `probe` gives something; the last error tells why it did not. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const end = Date.now() + timeoutMs
  let reason = ''
  while (Date.now() < end) {
    try {
      const value = await probe()
      if (value !== undefined) return value
    } catch (error) {
      reason = error instanceof Error ? `: ${error.message}` : ''
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new DemoFailure(`${what} within ${timeoutMs / 1000} s${reason}`)
}
