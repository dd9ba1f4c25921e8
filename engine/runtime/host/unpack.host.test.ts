import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { launcherUnderTest } from './launcher.testkit.ts'
import { unpackLayer } from './unpack.ts'

const launcher = launcherUnderTest()
const signal = AbortSignal.timeout(scaledMs(50_000))
let top: string
let folder: string
beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'berth-unpack-'))
  folder = join(top, 'layer')
  await mkdir(folder)
})
afterEach(() => rm(top, { recursive: true, force: true }))

type Header = Parameters<ReturnType<typeof pack>['entry']>[0]
const date = new Date(1_234_567_890_000)

/** A tar archive of these entries, in this order. */
async function archive(...entries: (Header & { content?: string })[]): Promise<Buffer> {
  const tar = pack()
  for (const { content, ...header } of entries) {
    if (header.type === undefined || content !== undefined)
      tar.entry({ mtime: date, ...header }, content ?? '')
    else tar.entry({ mtime: date, ...header })
  }
  tar.finalize()
  const parts: Buffer[] = []
  for await (const part of tar) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

const digest = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const unpack = (bytes: Buffer, change: Partial<Parameters<typeof unpackLayer>[0]> = {}) =>
  unpackLayer({
    source: Readable.from([bytes]),
    compression: 'none',
    diffId: digest(bytes),
    folder,
    launcher,
    signal,
    ...change,
  })

/** A folder as GNU tar sees it: a line an entry with its xattrs, and the digest of the archive (contents, times to the ns). */
function treeOf(root: string): { lines: string[]; digest: string } {
  const all = ['--xattrs', '--xattrs-include=*', '--numeric-owner']
  const clean = '--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime'
  const bytes = execFileSync(
    'tar',
    ['-C', root, '--format=pax', clean, '--sort=name', ...all, '-cf', '-', '.'],
    { maxBuffer: 1 << 26 },
  )
  const lines = execFileSync('tar', ['-tvvf', '-', '--full-time', ...all], { input: bytes, encoding: 'utf8' })
  return { lines: lines.trim().split('\n'), digest: digest(bytes) }
}

/** A PAX header to stand before an entry, with a value that is no UTF-8: tar-stream writes none. */
async function paxHeader(key: string, value: Buffer): Promise<Buffer> {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length) length++
  const bytes = await archive({ name: 'PaxHeader', content: 'x'.repeat(length) })
  Buffer.concat([Buffer.from(String(length)), rest]).copy(bytes, 512)
  const sum = Number.parseInt(bytes.toString('latin1', 148, 154), 8) + 0x78 - 0x30
  bytes.write('x', 156)
  bytes.write(sum.toString(8).padStart(6, '0'), 148)
  return bytes.subarray(0, 1024)
}

/** A file's capability cap_net_raw+ep, as the kernel stores it. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')

describe('unpackLayer', () => {
  it('gives the same tree as GNU tar, with owners, modes, times, links, devices and xattrs', async () => {
    const source = join(top, 'source')
    await mkdir(join(source, 'a/deep/er'), { recursive: true })
    const long = join(source, 'a', 'n'.repeat(120), 'm'.repeat(130))
    await mkdir(long, { recursive: true })
    await writeFile(join(long, 'file'), 'long')
    await writeFile(join(source, 'a/setuid'), 'x'.repeat(100_000))
    execFileSync('chown', ['1234:5678', join(source, 'a/setuid')])
    await chmod(join(source, 'a/setuid'), 0o6751)
    await writeFile(join(source, 'a/big-ids'), '')
    execFileSync('chown', ['3000000000:3000000001', join(source, 'a/big-ids')])
    await link(join(source, 'a/setuid'), join(source, 'z-hard'))
    await symlink('/absolute/../nowhere', join(source, 'link'))
    execFileSync('mknod', [join(source, 'char'), 'c', '5', '1'])
    execFileSync('mknod', [join(source, 'block'), 'b', '7', '300'])
    execFileSync('mkfifo', [join(source, 'fifo')])
    await writeFile(Buffer.concat([Buffer.from(`${source}/not-utf8-`), Buffer.from([0xff, 0xfe])]), 'bytes')
    await utimes(join(source, 'a/deep/er'), 1_000_000_000.123456, 1_000_000_000.123456)
    await utimes(join(source, 'a'), -100, -100)

    for (const format of ['pax', 'gnu']) {
      const file = join(top, `${format}.tar`)
      execFileSync('tar', ['-C', source, `--format=${format}`, '--sort=name', '-cf', file, '.'])
      const ours = join(top, `ours-${format}`)
      const theirs = join(top, `theirs-${format}`)
      await mkdir(ours)
      await mkdir(theirs)
      execFileSync('tar', ['-C', theirs, '--same-owner', '-pxf', file])
      await unpackLayer({
        source: createReadStream(file),
        compression: 'none',
        diffId: digest(await readFile(file)),
        folder: ours,
        launcher,
        signal,
      })
      expect(treeOf(ours)).toEqual(treeOf(theirs))
    }
  })

  it('keeps xattrs, binary ones and those of links too', async () => {
    const bytes = Buffer.concat([
      (await archive({ name: './', type: 'directory' })).subarray(0, 512),
      await paxHeader('SCHILY.xattr.security.capability', capability),
      await archive(
        { name: 'capable', content: 'c', uid: 7 },
        { name: 'also-capable', type: 'link', linkname: 'capable' },
        {
          name: 'd',
          type: 'directory',
          pax: { 'SCHILY.xattr.user.note': 'a note', 'SCHILY.xattr.trusted.t': 't' },
        },
        { name: 'l', type: 'symlink', linkname: 'capable', pax: { 'SCHILY.xattr.trusted.l': 'on a link' } },
      ),
    ])
    const theirs = join(top, 'theirs')
    await mkdir(theirs)
    execFileSync('tar', ['-C', theirs, '--xattrs', '--xattrs-include=*', '--same-owner', '-pxf', '-'], {
      input: bytes,
    })
    await unpack(bytes)
    expect(treeOf(folder)).toEqual(treeOf(theirs))
    expect(treeOf(folder).lines.join()).toContain('security.capability')
  })

  it('reads gzip and zstd', async () => {
    const bytes = await archive({ name: 'file', content: 'hello' })
    for (const [compression, source] of [
      ['gzip', gzipSync(bytes)],
      ['zstd', zstdCompressSync(bytes)],
    ] as const) {
      await unpack(bytes, { compression, source: Readable.from([source]) })
      expect(await readFile(join(folder, 'file'), 'utf8')).toBe('hello')
    }
    await expect(
      unpack(bytes, { compression: 'gzip', source: Readable.from([gzipSync(bytes).subarray(0, 60)]) }),
    ).rejects.toMatchObject({ code: 'INVALID' })
    await expect(
      unpack(bytes, { compression: 'zstd', source: Readable.from([bytes]) }),
    ).rejects.toMatchObject({ code: 'INVALID' })
  })

  it("turns whiteouts into overlay's form", async () => {
    await unpack(
      await archive(
        { name: 'a/.wh.gone' },
        { name: 'a/own/', type: 'directory' },
        { name: 'a/.wh.own' },
        { name: 'a/.wh.again' },
        { name: 'a/again', type: 'directory' },
        { name: 'a/.wh.file' },
        { name: 'a/file', content: 'new' },
        { name: 'b/.wh..wh..opq' },
        { name: '.wh..wh.plnk', content: '' },
      ),
    )
    const gone = await stat(join(folder, 'a/gone'))
    expect([gone.isCharacterDevice(), gone.rdev]).toEqual([true, 0])
    expect(await readFile(join(folder, 'a/file'), 'utf8')).toBe('new')
    const { lines } = treeOf(folder)
    const opaque = lines.filter((_, i) => lines[i + 1]?.includes('trusted.overlay.opaque'))
    expect(opaque.map((line) => line.split(' ./')[1])).toEqual(['a/again/', 'a/own/', 'b/'])
    expect((await readdir(folder)).sort()).toEqual(['a', 'b'])
  })

  it('takes what it does not say of a folder from the layers below', async () => {
    const [bottom, middle] = [join(top, 'bottom'), join(top, 'middle')]
    await mkdir(bottom)
    await mkdir(middle)
    const first = await archive(
      { name: './', type: 'directory', mode: 0o750, uid: 3 },
      {
        name: 'tmp',
        type: 'directory',
        mode: 0o1777,
        uid: 5,
        gid: 6,
        pax: { 'SCHILY.xattr.user.note': 'x' },
      },
      { name: 'usr/lib/old', content: 'old' },
      { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
      { name: 'gone', type: 'directory', mode: 0o700 },
      { name: 'secret', type: 'directory', mode: 0o700 },
    )
    await unpack(first, { folder: bottom })
    await unpack(
      await archive({ name: '.wh.gone' }, { name: 'secret/inner', type: 'directory', mode: 0o711 }),
      {
        folder: middle,
        lower: [bottom],
      },
    )
    await unpack(
      await archive(
        { name: 'tmp/a/file', content: 'x' },
        { name: 'lib/new', content: 'new' },
        { name: 'lib/.wh.old' },
        { name: 'gone/again', content: '' },
        { name: 'secret/inner/file', content: '' },
      ),
      { lower: [middle, bottom] },
    )
    const found = async (name: string) => {
      const { mode, uid, gid, mtimeMs } = await stat(join(folder, name))
      return [(mode & 0o7777).toString(8), uid, gid, mtimeMs === date.getTime()]
    }
    expect(await found('')).toEqual(['750', 3, 0, true])
    expect(await found('tmp')).toEqual(['1777', 5, 6, true])
    expect(await found('tmp/a')).toEqual(['755', 0, 0, false])
    expect(await found('secret')).toEqual(['700', 0, 0, true])
    expect(await found('secret/inner')).toEqual(['711', 0, 0, true])
    expect(await found('gone')).toEqual(['755', 0, 0, false])
    expect((await readdir(folder)).sort()).toEqual(['gone', 'secret', 'tmp', 'usr'])
    expect((await readdir(join(folder, 'usr/lib'))).sort()).toEqual(['new', 'old'])
    expect(treeOf(folder).lines.join()).toContain('user.note')
  })

  it('lets later entries replace earlier ones', async () => {
    await unpack(
      await archive(
        { name: 'x', content: 'file first' },
        { name: 'x', type: 'directory', mode: 0o700 },
        { name: 'x/deep/er/file', content: 'inside' },
        { name: 'x/deep', type: 'symlink', linkname: '/elsewhere' },
        { name: 'x/deep/through', content: 'through a link' },
        { name: 'y', type: 'directory', mode: 0o711 },
        { name: 'y/kept', content: 'kept' },
        { name: 'y', type: 'directory', mode: 0o750 },
      ),
    )
    expect(await readlink(join(folder, 'x/deep'))).toBe('/elsewhere')
    expect(await readFile(join(folder, 'elsewhere/through'), 'utf8')).toBe('through a link')
    expect(await readFile(join(folder, 'y/kept'), 'utf8')).toBe('kept')
    expect((await stat(join(folder, 'y'))).mode & 0o7777).toBe(0o750)
    expect((await stat(join(folder, 'y'))).mtimeMs).toBe(date.getTime())
  })

  describe('a hostile layer', () => {
    const outside = async () =>
      execFileSync('find', [top, '-path', folder, '-prune', '-o', '-print'], { encoding: 'utf8' })
    for (const [name, entries] of Object.entries<(Header & { content?: string })[]>({
      'climbs with ..': [
        { name: '../escaped', content: 'x' },
        { name: 'a/../../../escaped', content: 'x' },
        { name: '/../../escaped2', content: 'x' },
      ],
      'writes through an absolute link': [
        { name: 'l', type: 'symlink', linkname: '/' },
        { name: 'l/escaped', content: 'x' },
      ],
      'writes through a climbing link': [
        { name: 'l', type: 'symlink', linkname: '../../../../../../tmp' },
        { name: 'l/escaped', content: 'x' },
      ],
      'writes through two links': [
        { name: 'a', type: 'symlink', linkname: '..' },
        { name: 'b', type: 'symlink', linkname: 'a/..' },
        { name: 'b/escaped', content: 'x' },
      ],
      'replaces a link': [
        { name: 'f', type: 'symlink', linkname: '../victim' },
        { name: 'f', content: 'x' },
      ],
      'whites out above': [
        { name: '../.wh.victim' },
        { name: 'l', type: 'symlink', linkname: '..' },
        { name: 'l/.wh.victim' },
      ],
      'removes through a link': [
        { name: 'l', type: 'symlink', linkname: '../' },
        { name: 'l/layer', type: 'symlink', linkname: 'x' },
      ],
    })) {
      it(`${name}, and stays inside`, async () => {
        await writeFile(join(top, 'victim'), 'unharmed')
        const before = await outside()
        await unpack(await archive(...entries))
        expect(await outside()).toEqual(before)
        expect(await readFile(join(top, 'victim'), 'utf8')).toBe('unharmed')
      })
    }

    it('cannot link to what lies outside, nor into itself for ever', async () => {
      await writeFile(join(top, 'victim'), 'unharmed')
      for (const target of ['../victim', '/../victim', join(top, 'victim'), '/etc/passwd']) {
        await expect(
          unpack(await archive({ name: 'h', type: 'link', linkname: target })),
        ).rejects.toMatchObject({ code: 'KERNEL', details: { errno: 'ENOENT' } })
      }
      const loop = archive(
        { name: 'a', type: 'symlink', linkname: 'b' },
        { name: 'b', type: 'symlink', linkname: 'a' },
        { name: 'a/x', content: '' },
      )
      await expect(unpack(await loop)).rejects.toMatchObject({ code: 'KERNEL', details: { errno: 'ELOOP' } })
      const chain = archive({ name: 'a', type: 'symlink', linkname: 'a/b' }, { name: 'a/x', content: '' })
      await expect(unpack(await chain)).rejects.toMatchObject({ code: 'KERNEL' })
    })

    it("cannot set overlay's own attributes", async () => {
      await unpack(
        await archive({
          name: 'd',
          type: 'directory',
          pax: { 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.user.kept': 'yes' },
        }),
      )
      const seen = treeOf(folder).lines.join('\n')
      expect(seen).not.toContain('overlay')
      expect(seen).toContain('user.kept')
    })
  })

  it('refuses what is not what was promised, damaged or cut', async () => {
    const bytes = await archive({ name: 'file', content: 'x'.repeat(300_000) })
    await expect(unpack(bytes, { diffId: `sha256:${'0'.repeat(64)}` })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    })
    for (const end of [100, 600, 200_000])
      await expect(unpack(bytes.subarray(0, end))).rejects.toMatchObject({ code: 'INVALID' })
    const damaged = Buffer.from(bytes)
    damaged[3] = 0x41
    await expect(unpack(damaged)).rejects.toThrow('wrong checksum')
    await expect(unpack(bytes, { folder: join(top, 'missing') })).rejects.toMatchObject({
      details: { errno: 'ENOENT', call: 'open' },
    })
    await expect(unpack(bytes, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
  })
})
