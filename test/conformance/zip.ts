import { writeFile } from 'node:fs/promises'
import { inflateRawSync } from 'node:zlib'

/** Unpacks one file of a zip archive: found through the central directory at its end, stored or deflated. */
export async function unpackFromZip(archive: Buffer, name: string, target: string): Promise<void> {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06'))
  if (end < 0) throw new Error('This is no zip archive')
  let at = archive.readUInt32LE(end + 16)
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset))
    const entryName = archive.toString('utf8', at + 46, at + 46 + (nameSize ?? 0))
    if (entryName === name) {
      const header = archive.readUInt32LE(at + 42)
      const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28)
      const content = archive.subarray(start, start + archive.readUInt32LE(at + 20))
      const stored = archive.readUInt16LE(at + 10) === 0
      await writeFile(target, stored ? content : inflateRawSync(content), { mode: 0o755 })
      return
    }
    at += 46 + (nameSize ?? 0) + (extraSize ?? 0) + (commentSize ?? 0)
  }
  throw new Error(`The archive has no ${name}`)
}
