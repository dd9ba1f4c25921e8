import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import { arch } from 'node:process'
import { BerthError } from '../../base/error.ts'
import { type CgroupLayout, parseHierarchies } from '../../runtime/oci/cgroups.ts'
import type { KernelFacts } from '../../runtime/oci/process-steps.ts'

/** What this machine is, read once at start. `instance` is empty for the default root folder. */
export async function observeMachine(
  instance: string,
): Promise<{ kernel: KernelFacts; cgroups: CgroupLayout }> {
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new BerthError('UNSUPPORTED', `Cannot run containers on ${arch}: x64 and arm64 are supported`)
  }
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const status = await readFile('/proc/self/status', 'utf8')
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const suffix = instance ? `-${instance}` : ''
  return {
    kernel: {
      arch,
      release: [major, minor],
      capabilities: BigInt(`0x${bounding}`),
      oomScoreAdj: Number(await readFile('/proc/self/oom_score_adj', 'utf8')),
    },
    cgroups: await observeCgroups(suffix),
  }
}

async function observeCgroups(suffix: string): Promise<CgroupLayout> {
  const read = async (path: string) => (await readFile(path, 'utf8').catch(() => '')).trim()
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8')
  const unified = parseHierarchies(mountinfo, []).find(({ name }) => name === '')
  const controllers = unified ? await read(`${unified.mount}/cgroup.controllers`) : ''
  const hierarchies = parseHierarchies(mountinfo, controllers.split(' ').filter(Boolean))
  if (hierarchies.length === 0) {
    throw new BerthError('UNSUPPORTED', 'Cannot run containers: no cgroup file system is mounted', {
      hint: 'mount cgroup2 at /sys/fs/cgroup',
    })
  }
  const version = hierarchies.length === 1 && unified ? 2 : 1
  const cpuset = hierarchies.find((h) => h.controllers.includes('cpuset'))?.mount
  return {
    version,
    hierarchies,
    parent: version === 2 ? `/berth${suffix}.slice` : `/berth${suffix}`,
    cpus: version === 1 && cpuset ? await read(`${cpuset}/cpuset.effective_cpus`) : '',
    mems: version === 1 && cpuset ? await read(`${cpuset}/cpuset.effective_mems`) : '',
  }
}
