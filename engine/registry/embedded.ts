import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/error.ts'
import { ensureFolder, writeFileAtomic } from '../base/host/files.ts'
import type { Log } from '../base/host/log.ts'
import { type ServingRegistry, serveRegistry } from './server.ts'

export interface EmbeddedCredentials {
  readonly username: string
  readonly password: string
}

/**
 * The registry inside the daemon: anyone may read, and who knows `ROOT/credentials` may write (JSON, 0600, made at the
 * first start and kept).
 */
export async function serveEmbeddedRegistry(options: {
  address: string
  root: string
  log?: Log
}): Promise<ServingRegistry & { readonly credentials: EmbeddedCredentials }> {
  await ensureFolder(options.root)
  const credentials = await embeddedCredentials(join(options.root, 'credentials'))
  // 256 random bits need no slow hash.
  const hash = `{SHA}${createHash('sha1').update(credentials.password).digest('base64')}`
  const users = new Map([[credentials.username, hash]])
  const registry = await serveRegistry({ ...options, users, anonymous: 'read' })
  return {
    address: registry.address,
    credentials,
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

async function embeddedCredentials(file: string): Promise<EmbeddedCredentials> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    const made = { username: 'berth', password: randomBytes(32).toString('hex') }
    await writeFileAtomic(file, `${JSON.stringify(made)}\n`)
    return made
  }
}
