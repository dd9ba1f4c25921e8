import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Credentials } from '../../engine/distribution/authorizer.ts'
import { RegistryClient } from '../../engine/distribution/client.ts'
import { registryAuth } from '../image/credentials.ts'
import type { Output } from '../output.ts'

export interface RegistryOptions {
  readonly username?: string
  readonly password?: string
  readonly plainHttp?: boolean
}

/** A client for charts: credentials of the flags, else of Helm's file, else of docker's. */
export function chartRegistry(options: RegistryOptions, host: string, output: Output): RegistryClient {
  return new RegistryClient({
    ...(options.plainHttp ? { hosts: { [host]: { insecure: true } } } : {}),
    credentials: async (registry) => {
      const { username, password = '' } = options
      if (username !== undefined) return { username, password }
      return (await helmCredentials(registry, output)) ?? dockerCredentials(registry)
    },
  })
}

/** The registry of `oci://HOST/…`. */
export function hostOf(reference: string): string {
  return /^oci:\/\/([^/]+)/.exec(reference)?.[1] ?? ''
}

async function helmCredentials(registry: string, { env }: Output): Promise<Credentials | undefined> {
  const folder = env.HELM_CONFIG_HOME ?? join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'helm')
  const file = env.HELM_REGISTRY_CONFIG ?? join(folder, 'registry', 'config.json')
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const auth = (JSON.parse(text) as { auths?: Record<string, { auth?: string }> }).auths?.[registry]?.auth
  if (!auth) return undefined
  const plain = Buffer.from(auth, 'base64').toString()
  const colon = plain.indexOf(':')
  return { username: plain.slice(0, colon), password: plain.slice(colon + 1) }
}

async function dockerCredentials(registry: string): Promise<Credentials | undefined> {
  const header = await registryAuth(`${registry}/chart`)
  if (header === undefined) return undefined
  const found = JSON.parse(Buffer.from(header, 'base64url').toString()) as {
    username?: string
    password?: string
    identitytoken?: string
  }
  if (found.identitytoken) return { identityToken: found.identitytoken }
  return found.username === undefined
    ? undefined
    : { username: found.username, password: found.password ?? '' }
}
