import { BerthError } from '../base/error.ts'
import type { TarEntry } from './tar.ts'

/** What `launcher unpack` does for one entry of a layer; `whiteout` and `opaque` are overlay's forms of OCI's marks. */
export type LayerStep =
  | {
      readonly kind: TarEntry['type']
      readonly entry: TarEntry
      readonly path: string
      readonly link: string
    }
  | { readonly kind: 'whiteout' | 'opaque'; readonly path: string }

/** The kinds of launcher/unpack.c. */
const kinds: Readonly<Record<LayerStep['kind'], string>> = {
  directory: 'd',
  file: 'f',
  symlink: 'l',
  hardlink: 'h',
  character: 'c',
  block: 'b',
  fifo: 'p',
  whiteout: 'w',
  opaque: 'o',
}
const whiteoutPrefix = '.wh.'
const opaqueName = '.wh..wh..opq'

/** The step for an entry; undefined for aufs' own files (`.wh..wh.plnk`). OCI image-spec, layer.md. */
export function layerStep(entry: TarEntry): LayerStep | undefined {
  const path = cleanPath(entry.path)
  const slash = path.lastIndexOf('/')
  const folder = slash < 0 ? '' : path.slice(0, slash)
  const name = path.slice(slash + 1)
  if (name === opaqueName) return { kind: 'opaque', path: folder }
  if (name.startsWith('.wh..wh.')) return undefined
  if (name.startsWith(whiteoutPrefix)) {
    const hidden = name.slice(whiteoutPrefix.length)
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw new BerthError(
        'INVALID',
        `Cannot unpack layer: whiteout ${JSON.stringify(entry.path)} names no file`,
      )
    }
    return { kind: 'whiteout', path: folder === '' ? hidden : `${folder}/${hidden}` }
  }
  if (path === '' && entry.type !== 'directory') {
    throw new BerthError(
      'INVALID',
      `Cannot unpack layer: entry ${JSON.stringify(entry.path)} would replace the root folder`,
    )
  }
  // A hard link names a file of the archive; a symbolic link's text is kept as it is.
  return {
    kind: entry.type,
    entry,
    path,
    link: entry.type === 'hardlink' ? cleanPath(entry.link) : entry.link,
  }
}

/** A path relative to the layer's root: no leading slash, no `.` or `..`; what leads above the root ends at it. */
export function cleanPath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

/**
 * Overlay's own attributes would let a layer redirect a folder or hide what it must not; they are not an image's to set.
 */
function isForeignToImages(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.')
}

/** A frame of launcher/unpack.c: length, type, payload. */
export function frame(type: 'E' | 'D' | 'Z', payload: Uint8Array = new Uint8Array(0)): Buffer[] {
  const header = Buffer.alloc(5)
  header.writeUInt32LE(payload.length + 1, 0)
  header.write(type, 4, 'latin1')
  return payload.length === 0
    ? [header]
    : [header, Buffer.from(payload.buffer, payload.byteOffset, payload.length)]
}

/** The payload of an entry's frame, as launcher/unpack.c draws it. */
export function encodeStep(step: LayerStep): Buffer {
  const path = Buffer.from(step.path, 'latin1')
  const entry = 'entry' in step ? step.entry : undefined
  const link = Buffer.from('link' in step ? step.link : '', 'latin1')
  const xattrs = Object.entries(entry?.xattrs ?? {}).filter(([name]) => !isForeignToImages(name))
  const fixed = Buffer.alloc(53)
  fixed.write(kinds[step.kind], 0, 'latin1')
  fixed.writeUInt32LE(entry?.mode ?? 0, 1)
  fixed.writeUInt32LE(checkId(entry?.uid ?? 0), 5)
  fixed.writeUInt32LE(checkId(entry?.gid ?? 0), 9)
  fixed.writeBigInt64LE(BigInt(entry?.modified.seconds ?? 0), 13)
  fixed.writeUInt32LE(entry?.modified.nanoseconds ?? 0, 21)
  fixed.writeUInt32LE(entry?.major ?? 0, 25)
  fixed.writeUInt32LE(entry?.minor ?? 0, 29)
  fixed.writeBigUInt64LE(BigInt(entry?.sizeBytes ?? 0), 33)
  fixed.writeUInt32LE(path.length, 41)
  fixed.writeUInt32LE(link.length, 45)
  fixed.writeUInt32LE(xattrs.length, 49)
  const attributes = xattrs.flatMap(([name, value]) => {
    const lengths = Buffer.alloc(8)
    lengths.writeUInt32LE(name.length, 0)
    lengths.writeUInt32LE(value.length, 4)
    return [lengths, Buffer.from(name, 'latin1'), Buffer.from(value, 'latin1')]
  })
  return Buffer.concat([fixed, path, link, ...attributes])
}

function checkId(id: number): number {
  if (id >= 0 && id < 0xffffffff) return id
  throw new BerthError('INVALID', `Cannot unpack layer: ${id} is no user or group`)
}
