import { BerthError } from '../../base/error.ts'
import type { Step } from '../plan.ts'
import { capabilityMask, rlimits } from './linux.ts'
import { compileSeccomp } from './seccomp.ts'
import type { OciProcess, OciSeccomp } from './types.ts'

/** Facts of the kernel and of what berth itself may do on it. */
export interface KernelFacts {
  readonly arch: 'x64' | 'arm64'
  readonly release: readonly [major: number, minor: number]
  /** Of berth's own bounding set: what it does not have it cannot give. */
  readonly capabilities: bigint
  /** berth's own `oom_score_adj`. */
  readonly oomScoreAdj: number
}

export interface ProcessContext {
  readonly kernel: KernelFacts
  readonly seccomp: OciSeccomp | undefined
  /** A program compiled before for the same profile. */
  readonly compiled?: { readonly program: Uint8Array; readonly flags: number }
}

/** Limits that must be set while the process is still fully privileged, before the barrier. */
export function limitSteps(process: OciProcess): Step[] {
  const steps: Step[] = []
  for (const [i, { type, soft, hard }] of (process.rlimits ?? []).entries()) {
    const name = type.replace(/^RLIMIT_/, '').toLowerCase()
    if (!Object.hasOwn(rlimits, name)) {
      throw new BerthError(
        'INVALID',
        `Cannot set the limit ${JSON.stringify(type)}: there is none of this name`,
        {
          details: { at: `process.rlimits[${i}]` },
        },
      )
    }
    steps.push({
      do: 'rlimit',
      resource: rlimits[name as keyof typeof rlimits],
      soft,
      hard,
      why: `limit of ${name}, as asked`,
      at: `process.rlimits[${i}]`,
    })
  }
  if (process.oomScoreAdj !== undefined) {
    steps.push({
      do: 'oom-score-adj',
      value: process.oomScoreAdj,
      why: 'who is killed first when memory runs out',
      at: 'process.oomScoreAdj',
    })
  }
  return steps
}

/**
 * From privileged to the user's process. The kernel's order: the working folder is entered while everything may be
 * read; the bounding set goes down while CAP_SETPCAP is there; a filter needs CAP_SYS_ADMIN unless no_new_privs is
 * set, so it comes before the credentials without and last with it.
 */
export function processSteps(process: OciProcess, context: ProcessContext): Step[] {
  const { kernel, seccomp } = context
  const { user = { uid: 0, gid: 0 }, capabilities } = process
  const filter = seccomp ? (context.compiled ?? compileSeccomp(seccomp)) : undefined
  const filterStep: Step[] = filter
    ? [{ do: 'seccomp', ...filter, why: 'system calls that it may make', at: 'linux.seccomp' }]
    : []
  const mask = (names: readonly string[] | undefined) => capabilityMask(names ?? []) & kernel.capabilities
  const steps: Step[] = [
    { do: 'umask', mask: user.umask ?? 0o022, why: 'mode of files that it makes', at: 'process.user.umask' },
    { do: 'chdir', path: process.cwd, create: true, why: 'its working folder', at: 'process.cwd' },
    {
      do: 'bounding',
      mask: mask(capabilities?.bounding),
      why: 'no program that it runs gains more than these',
      at: 'process.capabilities.bounding',
    },
  ]
  if (!process.noNewPrivileges) steps.push(...filterStep)
  steps.push(
    {
      do: 'credentials',
      uid: user.uid,
      gid: user.gid,
      groups: user.additionalGids ?? [],
      why: 'the user that it runs as',
      at: 'process.user',
    },
    {
      do: 'capabilities',
      effective: mask(capabilities?.effective),
      permitted: mask(capabilities?.permitted),
      inheritable: mask(capabilities?.inheritable),
      ambient: mask(capabilities?.ambient),
      why: "root's powers that it has, each alone",
      at: 'process.capabilities',
    },
  )
  if (process.noNewPrivileges) {
    steps.push(
      {
        do: 'no-new-privileges',
        why: 'set-user-ID programs give nothing',
        at: 'process.noNewPrivileges',
      },
      ...filterStep,
    )
  }
  steps.push({
    do: 'exec',
    argv: process.args,
    env: process.env ?? [],
    why: 'the program itself',
    at: 'process.args',
  })
  return steps
}
