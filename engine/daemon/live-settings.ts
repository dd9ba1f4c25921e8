import type { HostSettings } from '../distribution/endpoint.ts'
import { readQuantity, wholeValue } from '../object/quantity.ts'
import type { Config } from './config.ts'
import { registryHosts } from './registries.ts'

/** When a change of a key of the configuration takes effect. */
const takesEffect: Readonly<Record<keyof Config, 'now' | 'at the next start'>> = {
  // What is running stands on these.
  root: 'at the next start',
  run: 'at the next start',
  network: 'at the next start',
  // The keeper made the sockets.
  group: 'at the next start',
  // Of the next request, and of containers that are made from now on.
  registries: 'now',
  logs: 'now',
  registry: 'now',
}

export interface Changes {
  readonly now: readonly (keyof Config)[]
  readonly later: readonly (keyof Config)[]
}

/** The keys that differ, by when that takes effect. */
export function changesOf(before: Config, after: Config): Changes {
  const changed = (Object.keys(takesEffect) as (keyof Config)[]).filter(
    (key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]),
  )
  return {
    now: changed.filter((key) => takesEffect[key] === 'now'),
    later: changed.filter((key) => takesEffect[key] !== 'now'),
  }
}

/** What parts of a running daemon read at each use. These objects stay the same, what is in them changes. */
export class LiveSettings {
  readonly hosts: Record<string, HostSettings> = {}
  readonly logs = { maxSizeBytes: 0, maxFiles: 0 }

  static async open(config: Config): Promise<LiveSettings> {
    const settings = new LiveSettings()
    await settings.take(config)
    return settings
  }

  /** All or nothing: what cannot be read is CONFIGURATION, and the old settings hold. */
  async take(config: Config): Promise<void> {
    const hosts = await registryHosts(config)
    for (const host of Object.keys(this.hosts)) delete this.hosts[host]
    Object.assign(this.hosts, hosts)
    this.logs.maxSizeBytes = wholeValue(readQuantity(config.logs.maxSize))
    this.logs.maxFiles = config.logs.maxFiles
  }
}
