import { spawn } from 'node:child_process'
import { readFile, realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { BerthError, errnoOf, messageOf } from '../base/error.ts'
import { ensureFolder, writeFileAtomic } from '../base/host/files.ts'
import type { Credentials } from './authorizer.ts'

/** The part of docker's config.json that is about logins; helm's registry/config.json has the same form. */
export interface ConfigFile {
  readonly auths?: Readonly<Record<string, AuthEntry>>
  readonly credHelpers?: Readonly<Record<string, string>>
  readonly credsStore?: string
}

interface AuthEntry {
  readonly auth?: string
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly registrytoken?: string
}

/** Docker Hub's entry, a URL since its first days. */
const hubKey = 'https://index.docker.io/v1/'
const helperLimitBytes = 1 << 20
const helperTimeoutMs = 60_000

/** Where docker keeps logins: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. */
export function dockerConfigFile(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json')
}

/** Where helm keeps them: `$HELM_REGISTRY_CONFIG`, else below its configuration folder. */
export function helmRegistryConfigFile(env: NodeJS.ProcessEnv = process.env): string {
  if (env.HELM_REGISTRY_CONFIG) return env.HELM_REGISTRY_CONFIG
  const home = env.HELM_CONFIG_HOME || join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'helm')
  return join(home, 'registry', 'config.json')
}

/**
 * The credentials for a registry in these files, the first that has some; credential helpers are run. For the
 * command line, as its caller: never in the daemon.
 */
export async function findCredentials(
  registry: string,
  files: readonly string[],
): Promise<Credentials | undefined> {
  for (const file of files) {
    const config = await readConfig(file)
    const helper = config.credHelpers?.[registry] ?? config.credsStore
    const found = (helper && (await fromHelper(helper, registry))) || fromAuths(config, registry)
    if (found) return found
  }
  return undefined
}

/** Remembers a login as docker and helm do: in their helper when one is configured, else in the file (0600). */
export async function storeCredentials(
  file: string,
  registry: string,
  credentials: { username: string; password: string },
): Promise<void> {
  const config = await readConfig(file)
  const helper = config.credHelpers?.[registry] ?? config.credsStore
  const auths = { ...config.auths }
  if (helper) {
    await runHelper(
      helper,
      'store',
      JSON.stringify({
        ServerURL: keyOf(registry),
        Username: credentials.username,
        Secret: credentials.password,
      }),
    )
    auths[keyOf(registry)] = {}
  } else {
    auths[keyOf(registry)] = {
      auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64'),
    }
  }
  await writeConfig(file, { ...config, auths })
}

/** Forgets a login; whether there was one. */
export async function eraseCredentials(file: string, registry: string): Promise<boolean> {
  const config = await readConfig(file)
  const keys = Object.keys(config.auths ?? {}).filter((key) => registryOf(key) === registry)
  const helper = config.credHelpers?.[registry] ?? config.credsStore
  if (helper) await runHelper(helper, 'erase', keyOf(registry))
  if (keys.length === 0) return false
  const auths = Object.fromEntries(Object.entries(config.auths ?? {}).filter(([key]) => !keys.includes(key)))
  await writeConfig(file, { ...config, auths })
  return true
}

function fromAuths(config: ConfigFile, registry: string): Credentials | undefined {
  for (const [key, entry] of Object.entries(config.auths ?? {})) {
    if (registryOf(key) !== registry) continue
    if (entry.identitytoken) return { identityToken: entry.identitytoken }
    if (entry.registrytoken) return { registryToken: entry.registrytoken }
    const text = entry.auth
      ? Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '')
      : `${entry.username ?? ''}:${entry.password ?? ''}`
    const colon = text.indexOf(':')
    if (colon > 0) return { username: text.slice(0, colon), password: text.slice(colon + 1) }
  }
  return undefined
}

const keyOf = (registry: string) => (registry === 'docker.io' ? hubKey : registry)

/** The registry that a key is about: old entries are URLs. */
function registryOf(key: string): string {
  const host = key.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

async function fromHelper(helper: string, registry: string): Promise<Credentials | undefined> {
  const answer = await runHelper(helper, 'get', keyOf(registry))
  if (answer === undefined) return undefined
  const { Username: username, Secret: secret } = JSON.parse(answer) as { Username?: string; Secret?: string }
  if (!username || !secret) return undefined
  return username === '<token>' ? { identityToken: secret } : { username, password: secret }
}

/** Runs `docker-credential-NAME VERB`; undefined when it says that it has nothing. */
async function runHelper(
  name: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
): Promise<string | undefined> {
  const program = `docker-credential-${name}`
  const failed = (why: string, cause?: unknown) =>
    new BerthError('UNAUTHORIZED', `Cannot ask the credential helper "${program}": ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      hint: "it is named in docker's config.json as credsStore or in credHelpers",
    })
  const child = spawn(program, [verb], { stdio: ['pipe', 'pipe', 'inherit'], timeout: helperTimeoutMs })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) => reject(failed(messageOf(cause), cause)))
    child.once('close', resolve)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const parts: Buffer[] = []
  let size = 0
  child.stdout.on('data', (part: Buffer) => {
    size += part.length
    if (size > helperLimitBytes) child.kill('SIGKILL')
    else parts.push(part)
  })
  const code = await ended
  const answer = Buffer.concat(parts).toString('utf8').trim()
  if (code === 0) return answer
  if (/credentials not found|no credentials/i.test(answer)) return undefined
  throw failed(answer.slice(0, 200) || `it ended with ${code}`)
}

async function readConfig(file: string): Promise<ConfigFile> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return {}
    throw new BerthError('UNAUTHORIZED', `Cannot read logins from "${file}": ${messageOf(error)}`, {
      cause: error,
    })
  }
  try {
    const value = text.trim() === '' ? {} : JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Told below: JSON that is no object is as wrong.
  }
  throw new BerthError('INVALID', `Cannot read logins from "${file}": it is no JSON object`, {
    hint: 'mend the file, or move it away and log in again',
    where: { file },
  })
}

async function writeConfig(file: string, config: ConfigFile): Promise<void> {
  // People link this file to where they keep such things: the link stays.
  const target = await realpath(file).catch(() => file)
  await ensureFolder(dirname(target)).catch(() => {})
  await writeFileAtomic(target, `${JSON.stringify(config, undefined, '\t')}\n`)
}
