import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { algorithmOf, hexOf, isDigest, parseDigest } from './digest.ts'
import { digestOf, verifyBytes, verifyStream } from './verify.ts'

const hello = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

describe('digest', () => {
  it('knows sha256 and sha512 and nothing else', () => {
    expect(digestOf('hello')).toBe(hello)
    expect(isDigest(digestOf('hello', 'sha512'))).toBe(true)
    expect(algorithmOf(digestOf('x', 'sha512'))).toBe('sha512')
    expect(hexOf(parseDigest(hello))).toHaveLength(64)
    for (const text of [
      '',
      'sha256:',
      hello.toUpperCase(),
      `${hello}0`,
      'md5:0',
      hello.slice(0, -1),
      `${hello}:x`,
      'toString:x',
      7,
    ]) {
      expect(isDigest(text), String(text)).toBe(false)
    }
    expect(() => parseDigest('sha256:../../etc')).toThrow('as a digest')
  })
})

describe('verify', () => {
  const read = (text: string, sizeBytes?: number) => {
    const promised = { digest: parseDigest(hello), ...(sizeBytes === undefined ? {} : { sizeBytes }) }
    const verified = verifyStream(promised)
    return Promise.all([buffer(verified), pipeline(Readable.from([Buffer.from(text)]), verified)])
  }
  it('ends only when digest and size are right', async () => {
    expect((await read('hello', 5))[0].toString()).toBe('hello')
    await expect(read('hellO')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await expect(read('hell', 5)).rejects.toThrow('it has 4 bytes and should have 5')
    await expect(read('hello, world', 5)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })
  it('checks bytes in memory', () => {
    const promised = { digest: parseDigest(hello), sizeBytes: 5 }
    expect(verifyBytes(Buffer.from('hello'), promised)).toHaveLength(5)
    expect(() => verifyBytes(Buffer.from('hellO'), promised)).toThrow('it has digest')
  })
})
