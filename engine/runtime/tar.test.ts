import fc from 'fast-check'
import { pack } from 'tar-stream'
import { describe, expect, it } from 'vitest'
import { cleanPath, layerStep } from './layer.ts'
import { parsePax, readTar, type TarEntry } from './tar.ts'

/** Bytes in chunks of this size: borders fall everywhere. */
async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Buffer, size = 1 << 16): Promise<{ entry: TarEntry; content: string }[]> {
  const found: { entry: TarEntry; content: string }[] = []
  for await (const item of readTar(chunks(bytes, size))) {
    const last = found.at(-1)
    if ('entry' in item) found.push({ entry: item.entry, content: '' })
    else if (last) last.content += item.data.toString('latin1')
  }
  return found
}

async function archive(
  files: { name: string; content: string; pax?: Record<string, string> }[],
): Promise<Buffer> {
  const tar = pack()
  for (const { content, ...header } of files)
    tar.entry({ ...header, mtime: new Date(0) }, Buffer.from(content, 'latin1'))
  tar.finalize()
  const parts: Buffer[] = []
  for await (const part of tar) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** A header block with fields overwritten and its checksum mended. */
function patched(header: Buffer, patch: (header: Buffer) => void): Buffer {
  const copy = Buffer.from(header)
  patch(copy)
  copy.fill(0x20, 148, 156)
  let sum = 0
  for (const byte of copy.subarray(0, 512)) sum += byte
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return copy
}

describe('readTar', () => {
  it('reads whatever tar-stream packs, in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            name: fc.stringMatching(/^[a-z]{1,40}(\/[a-z]{1,90}){0,3}$/),
            content: fc.string({ unit: 'binary-ascii', maxLength: 1500 }),
          }),
          { maxLength: 5 },
        ),
        fc.integer({ min: 1, max: 2000 }),
        async (files, size) => {
          const found = await read(await archive(files), size)
          expect(found.map(({ entry, content }) => ({ name: entry.path, content }))).toEqual(files)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('reads big numbers, times before 1970 and PAX over all', async () => {
    const [one] = await read(
      await archive([
        { name: 'a', content: '', pax: { mtime: '-1.25', uid: '3000000000', 'SCHILY.xattr.user.x': 'y' } },
      ]),
    )
    expect(one?.entry).toMatchObject({
      uid: 3_000_000_000,
      modified: { seconds: -2, nanoseconds: 750_000_000 },
      xattrs: { 'user.x': 'y' },
    })
    const header = patched((await archive([{ name: 'a', content: '' }])).subarray(0, 512), (h) => {
      h.fill(0xff, 136, 148)
      h.fill(0, 108, 116)
      h[108] = 0x80
      h.writeUInt32BE(0xfffffffe, 112)
    })
    const [two] = await read(Buffer.concat([header, Buffer.alloc(1024)]))
    expect(two?.entry).toMatchObject({ uid: 0xfffffffe, modified: { seconds: -1, nanoseconds: 0 } })
  })

  it('refuses what it cannot do, and what is damaged', async () => {
    const good = await archive([{ name: 'a', content: 'x'.repeat(600) }])
    const header = good.subarray(0, 512)
    const typed = (type: string) =>
      Buffer.concat([patched(header, (h) => h.write(type, 156)), good.subarray(512)])
    await expect(read(typed('S'))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(read(typed('V'))).rejects.toThrow('unknown type "V"')
    await expect(
      read(await archive([{ name: 'a', content: '', pax: { 'GNU.sparse.major': '1' } }])),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(read(good.subarray(0, 700))).rejects.toThrow('ends too early')
    await expect(read(good.subarray(0, 300))).rejects.toThrow('ends too early')
    await expect(read(Buffer.concat([Buffer.from('PK'), good]))).rejects.toThrow('damaged')
    const octal = Buffer.concat([patched(header, (h) => h.write('9', 124)), good.subarray(512)])
    await expect(read(octal)).rejects.toThrow('octal')
    expect(await read(Buffer.alloc(0))).toEqual([])
  })

  it('reads its source to the end, padding included', async () => {
    let bytes = 0
    const padded = Buffer.concat([await archive([{ name: 'a', content: 'b' }]), Buffer.alloc(20_000)])
    async function* counted() {
      for await (const chunk of chunks(padded, 777)) {
        bytes += chunk.length
        yield chunk
      }
    }
    for await (const _ of readTar(counted()));
    expect(bytes).toBe(padded.length)
  })

  it('never fails but with an error of its own', async () => {
    const good = await archive([{ name: 'a/b', content: 'x'.repeat(900), pax: { path: 'c', size: '900' } }])
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (edits) => {
          const bytes = Buffer.from(good)
          for (const [at, value] of edits) bytes[at] = value
          await read(bytes).catch((error) => expect(error).toMatchObject({ name: 'BerthError' }))
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('parsePax', () => {
  it('keeps bytes, and newlines in values', () => {
    expect(parsePax(Buffer.from('12 a=\xff\xfe\n=x\n\n5 b=\n', 'latin1'))).toEqual({
      a: '\xff\xfe\n=x\n',
      b: '',
    })
    for (const wrong of ['x', '5 a=1\n', '99 a=b\n', '3 a', '0 a=b\n'])
      expect(() => parsePax(Buffer.from(wrong))).toThrow('damaged')
  })
})

describe('layerStep', () => {
  const entry = (path: string, type: TarEntry['type'] = 'file', link = ''): TarEntry => ({
    type,
    path,
    link,
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    modified: { seconds: 0, nanoseconds: 0 },
    major: 0,
    minor: 0,
    xattrs: {},
  })
  it('cleans paths', () => {
    for (const [path, clean] of [
      ['./a', 'a'],
      ['/a//b/', 'a/b'],
      ['../../a', 'a'],
      ['a/../../b', 'b'],
      ['./', ''],
      ['..', ''],
    ] as const)
      expect(cleanPath(path)).toBe(clean)
  })
  it('knows whiteouts', () => {
    expect(layerStep(entry('a/.wh.b'))).toEqual({ kind: 'whiteout', path: 'a/b' })
    expect(layerStep(entry('./.wh.b'))).toEqual({ kind: 'whiteout', path: 'b' })
    expect(layerStep(entry('a/.wh..wh..opq'))).toEqual({ kind: 'opaque', path: 'a' })
    expect(layerStep(entry('.wh..wh.aufs'))).toBeUndefined()
    for (const name of ['.wh.', '.wh..', '.wh...'])
      expect(() => layerStep(entry(name))).toThrow('names no file')
  })
  it('keeps links, and the root a folder', () => {
    expect(layerStep(entry('l', 'symlink', '../../x'))).toMatchObject({ link: '../../x' })
    expect(layerStep(entry('h', 'hardlink', '/../x'))).toMatchObject({ link: 'x' })
    expect(() => layerStep(entry('..'))).toThrow('replace the root')
    expect(layerStep(entry('./', 'directory'))).toMatchObject({ path: '' })
  })
})
