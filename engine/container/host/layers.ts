import { lstat, open, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../../base/error.ts'
import { normalizePath } from '../resolve.ts'

const linkLimit = 16
const sizeLimit = 1 << 20

/**
 * The text of a small file of a root file system that is not mounted: layers are looked through from the top, links
 * are followed inside, a whiteout (character device 0:0) hides what lies below. Empty when there is none.
 */
export async function readFromLayers(layers: readonly string[], path: string): Promise<string> {
  const found = await find(layers, path)
  if (!found) return ''
  await using file = await open(found, 'r')
  const { bytesRead, buffer } = await file.read(Buffer.alloc(sizeLimit), 0, sizeLimit, 0)
  return buffer.toString('utf8', 0, bytesRead)
}

async function find(layers: readonly string[], path: string): Promise<string | undefined> {
  let rest = normalizePath(path).split('/').slice(1)
  let done = ''
  for (let links = 0; ; ) {
    const [part, ...after] = rest
    if (part === undefined) return undefined
    const at = await lookup(layers, `${done}/${part}`)
    if (!at) return undefined
    if (at.kind === 'link') {
      if (++links > linkLimit) return undefined
      const target = await readlink(at.path)
      const whole = target.startsWith('/') ? target : `${done}/${target}`
      rest = [...normalizePath(whole).split('/').slice(1), ...after]
      done = ''
      continue
    }
    if (after.length === 0) return at.kind === 'file' ? at.path : undefined
    done = `${done}/${part}`
    rest = after
  }
}

type Found = { readonly kind: 'file' | 'folder' | 'link'; readonly path: string }

async function lookup(layers: readonly string[], path: string): Promise<Found | undefined> {
  for (const layer of layers) {
    const candidate = join(layer, path)
    try {
      const status = await lstat(candidate)
      if (status.isCharacterDevice() && status.rdev === 0) return undefined
      if (status.isSymbolicLink()) return { kind: 'link', path: candidate }
      if (status.isDirectory()) return { kind: 'folder', path: candidate }
      return status.isFile() ? { kind: 'file', path: candidate } : undefined
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error
    }
  }
  return undefined
}
