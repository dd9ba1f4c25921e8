import { describe, expect, it } from 'vitest'
import { checkPassword, Door, decide, parseHtpasswd } from './access.ts'
import { parsePiece, parseRange } from './range.ts'
import { isName, parseRoute } from './route.ts'

const sha = '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='
// htpasswd -nbB -C 5 me secret
const bcrypt = '$2y$05$7ne95tsnXlUcTFAEDlY.qupV6s/g486Y.Jv/U4xWuFRTwzxLF9xEa'

describe('access', () => {
  const nobody = { kind: 'nobody' } as const
  const me = { kind: 'user', name: 'me' } as const
  it('is decided by a table', () => {
    const hasUsers = true
    expect(decide(nobody, 'read', { anonymous: 'read', hasUsers })).toBe('allow')
    expect(decide(nobody, 'write', { anonymous: 'read', hasUsers })).toBe('challenge')
    expect(decide(nobody, 'write', { anonymous: 'read', hasUsers: false })).toBe('deny')
    expect(decide(nobody, 'read', { anonymous: 'none', hasUsers })).toBe('challenge')
    expect(decide(nobody, 'write', { anonymous: 'write', hasUsers: false })).toBe('allow')
    expect(decide(me, 'write', { anonymous: 'none', hasUsers })).toBe('allow')
    expect(decide({ kind: 'wrong' }, 'read', { anonymous: 'write', hasUsers })).toBe('challenge')
  })

  it('knows passwords and tokens', async () => {
    let checks = 0
    const door = new Door(parseHtpasswd(`# users\nme:${sha}\nother:plain\n`), async (password, hash) => {
      checks++
      return checkPassword(password, hash)
    })
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
    expect(await door.caller(basic('me:secret'))).toEqual(me)
    expect(await door.caller(basic('me:secret'))).toEqual(me)
    expect(checks).toBe(1)
    for (const wrong of ['me:Secret', 'nobody:secret', 'other:plain', ':', 'me']) {
      expect(await door.caller(basic(wrong)), wrong).toEqual({ kind: 'wrong' })
    }
    expect(await door.caller(undefined)).toEqual(nobody)
    const token = door.token(me, Date.now(), 60)
    expect(await door.caller(`Bearer ${token}`)).toEqual(me)
    expect(await door.caller(`Bearer ${door.token(nobody, Date.now(), 60)}`)).toEqual(nobody)
    expect(await door.caller(`Bearer ${door.token(me, Date.now() - 61_000, 60)}`)).toEqual({ kind: 'wrong' })
    expect(await door.caller(`Bearer ${token.slice(0, -2)}`)).toEqual({ kind: 'wrong' })
    expect(await door.caller('Bearer x')).toEqual({ kind: 'wrong' })
    expect(await new Door(new Map(), checkPassword).caller(`Bearer ${token}`)).toEqual({ kind: 'wrong' })
  })

  it('reads bcrypt', async () => {
    expect(await checkPassword('secret', bcrypt)).toBe(true)
    expect(await checkPassword('Secret', bcrypt)).toBe(false)
  })
})

describe('parseRange', () => {
  for (const [header, expected] of [
    [undefined, undefined],
    ['bytes=0-4', { start: 0, end: 4 }],
    ['bytes=5-', { start: 5, end: 9 }],
    ['bytes=-3', { start: 7, end: 9 }],
    ['bytes=-30', { start: 0, end: 9 }],
    ['bytes=5-100', { start: 5, end: 9 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=5-4', 'unsatisfiable'],
    ['bytes=0-1,3-4', undefined],
    ['items=0-1', undefined],
  ] as const) {
    it(String(header), () => expect(parseRange(header, 10)).toEqual(expected))
  }
  it('reads pieces of uploads', () => {
    expect(parsePiece('5-9')).toEqual({ start: 5, end: 9 })
    expect(parsePiece('bytes 5-9/20')).toEqual({ start: 5, end: 9 })
    expect(parsePiece('9-5')).toBe('wrong')
    expect(parsePiece('x')).toBe('wrong')
    expect(parsePiece(undefined)).toBeUndefined()
  })
})

describe('parseRoute', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  for (const [path, expected] of [
    ['/v2/', { kind: 'base' }],
    ['/v2/a/b/tags/list', { kind: 'tags', name: 'a/b' }],
    ['/v2/a/manifests/v1', { kind: 'manifest', name: 'a', tag: 'v1' }],
    [`/v2/a/manifests/${digest}`, { kind: 'manifest', name: 'a', digest }],
    [`/v2/a/blobs/${digest}`, { kind: 'blob', name: 'a', digest }],
    ['/v2/a/blobs/uploads/', { kind: 'uploads', name: 'a' }],
    ['/v2/a/blobs/sha256:zz', { kind: 'wrong', code: 'DIGEST_INVALID' }],
    ['/v2/a/manifests/-x', { kind: 'wrong', code: 'TAG_INVALID' }],
    ['/v2/a/blobs/uploads/..', { kind: 'wrong', code: 'BLOB_UPLOAD_UNKNOWN' }],
    ['/v2/../etc/tags/list', { kind: 'wrong', code: 'NAME_INVALID' }],
    ['/v2/_manifests/tags/list', { kind: 'wrong', code: 'NAME_INVALID' }],
    ['/v2/A/tags/list', { kind: 'wrong', code: 'NAME_INVALID' }],
    ['/v2/tags/list', undefined],
    ['/etc/passwd', undefined],
  ] as const) {
    it(path, () => expect(parseRoute(path)).toEqual(expected))
  }
  it('limits names', () => expect(isName('a/'.repeat(128))).toBe(false))
})
