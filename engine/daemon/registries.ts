import { readFile } from 'node:fs/promises'
import { BerthError } from '../base/error.ts'
import type { HostSettings } from '../distribution/endpoint.ts'
import type { Config } from './config.ts'

/** The registries as the client wants them: the text of a certificate file, not its path. */
export async function registryHosts({ registries }: Config): Promise<Record<string, HostSettings>> {
  const hosts: Record<string, HostSettings> = {}
  for (const [host, { ca, ...settings }] of Object.entries(registries)) {
    try {
      hosts[host] = { ...settings, ...(ca !== undefined && { ca: await readFile(ca, 'utf8') }) }
    } catch (error) {
      throw new BerthError('CONFIGURATION', `Cannot read the certificates of registry "${host}" in "${ca}"`, {
        cause: error,
      })
    }
  }
  return hosts
}
