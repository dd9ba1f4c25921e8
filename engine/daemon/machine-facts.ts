import { readFile } from 'node:fs/promises'
import { cpus, hostname, release, totalmem } from 'node:os'
import type { EngineFacts } from '../api/docker/engine.ts'
import type { Config } from './config.ts'

/** Set by the bundler. */
declare const BERTH_VERSION: string | undefined

/** berth's version; in a checkout that runs its sources, `dev`. */
export const version = typeof BERTH_VERSION === 'string' ? BERTH_VERSION : 'dev'

interface Known {
  readonly config: Config
  readonly instance: string
  readonly cgroupVersion: 1 | 2
}

/** What `docker info` tells of this machine, read once at start. */
export async function machineFacts({ config, instance, cgroupVersion }: Known): Promise<EngineFacts> {
  const release_ = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return {
    id: instance === '' ? 'berth' : `berth-${instance}`,
    version,
    root: config.root,
    hostname: hostname(),
    kernel: release(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(release_)?.[1] ?? 'Linux',
    cpus: cpus().length,
    memoryBytes: totalmem(),
    cgroupVersion,
    registryMirrors: config.registries['docker.io']?.mirrors ?? [],
  }
}
