import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { BerthError, errnoOf } from '../../engine/base/error.ts'

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { auth?: string; identitytoken?: string }>>
  readonly credHelpers?: Readonly<Record<string, string>>
  readonly credsStore?: string
}

/** How docker's file names Docker Hub. */
const hub = 'https://index.docker.io/v1/'

/**
 * The `X-Registry-Auth` header for an image: from docker's config.json (`DOCKER_CONFIG`) and its credential helpers,
 * run as the caller. Undefined when there are no credentials.
 */
export async function registryAuth(image: string): Promise<string | undefined> {
  const folder = process.env.DOCKER_CONFIG ?? join(homedir(), '.docker')
  const file = join(folder, 'config.json')
  let config: DockerConfig
  try {
    config = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw new BerthError('INVALID', `Cannot read the registry credentials in ${file}`, { cause: error })
  }
  const [first = '', ...rest] = image.split('/')
  const host = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? first : hub
  const helper = config.credHelpers?.[host] ?? config.credsStore
  const found = helper ? await askHelper(helper, host) : stored(config, host)
  return found && Buffer.from(JSON.stringify({ ...found, serveraddress: host })).toString('base64url')
}

function stored(config: DockerConfig, host: string): object | undefined {
  const entry = config.auths?.[host] ?? config.auths?.[`https://${host}`]
  if (!entry?.auth) return entry?.identitytoken ? { identitytoken: entry.identitytoken } : undefined
  const text = Buffer.from(entry.auth, 'base64').toString()
  const at = text.indexOf(':')
  return {
    username: text.slice(0, at),
    password: text.slice(at + 1),
    ...(entry.identitytoken && { identitytoken: entry.identitytoken }),
  }
}

function askHelper(helper: string, host: string): Promise<object | undefined> {
  return new Promise((resolve, reject) => {
    const child = execFile(`docker-credential-${helper}`, ['get'], { timeout: 30_000 }, (error, stdout) => {
      if (error && /credentials not found/.test(stdout)) resolve(undefined)
      else if (error) {
        reject(
          new BerthError('UNAUTHORIZED', `Cannot get credentials from docker-credential-${helper}`, {
            cause: error,
          }),
        )
      } else {
        const { Username, Secret } = JSON.parse(stdout)
        resolve(Username === '<token>' ? { identitytoken: Secret } : { username: Username, password: Secret })
      }
    })
    child.stdin?.end(host)
  })
}
