import { describe, expect, it } from 'vitest'
import { familiar, familiarName, formatReference, parseReference, withDefaultTag } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`

describe('parseReference', () => {
  for (const [text, full, short] of [
    ['redis', 'docker.io/library/redis', 'redis'],
    ['redis:7', 'docker.io/library/redis:7', 'redis:7'],
    ['me/app', 'docker.io/me/app', 'me/app'],
    ['docker.io/redis', 'docker.io/library/redis', 'redis'],
    ['index.docker.io/me/app:1', 'docker.io/me/app:1', 'me/app:1'],
    ['library/redis', 'docker.io/library/redis', 'redis'],
    ['library/a/b', 'docker.io/library/a/b', 'library/a/b'],
    ['localhost/app', 'localhost/app', 'localhost/app'],
    ['localhost:5000/app', 'localhost:5000/app', 'localhost:5000/app'],
    ['127.0.0.1:5000/shop/web:2.1', '127.0.0.1:5000/shop/web:2.1', '127.0.0.1:5000/shop/web:2.1'],
    ['[::1]:5000/app', '[::1]:5000/app', '[::1]:5000/app'],
    [`quay.io/x/y@${digest}`, `quay.io/x/y@${digest}`, `quay.io/x/y@${digest}`],
    [`redis:7@${digest}`, `docker.io/library/redis:7@${digest}`, `redis:7@${digest}`],
    ['Host/app', 'Host/app', 'Host/app'],
    ['a__b/c.d-e--f', 'docker.io/a__b/c.d-e--f', 'a__b/c.d-e--f'],
  ] as const) {
    it(`reads ${text}`, () => {
      expect(formatReference(parseReference(text))).toBe(full)
      expect(familiar(parseReference(text))).toBe(short)
    })
  }

  for (const [text, why] of [
    ['', 'names no repository'],
    ['Redis', 'must be lowercase'],
    ['me/App', 'must be lowercase'],
    ['a'.repeat(64), '64 hexadecimal digits'],
    ['redis:', 'tag ""'],
    ['redis:-x', 'tag "-x"'],
    [`redis:${'x'.repeat(129)}`, 'at most 128'],
    ['redis@sha256:abc', 'is no digest'],
    [`redis@${digest}@${digest}`, 'more than one "@"'],
    ['a//b', 'repository name'],
    ['a/../b', 'repository name'],
    ['-host.com/a', 'is no host name'],
    ['host:port/a', 'is no host name'],
    [`${'a/'.repeat(150)}b`, 'more than 255'],
    ['me/a b', 'repository name'],
  ] as const) {
    it(`refuses ${text.slice(0, 40)}`, () => {
      expect(() => parseReference(text)).toThrow(why)
      expect(() => parseReference(text)).toThrow('invalid reference format')
    })
  }

  it('shows the right form of a URL', () => {
    const error = (text: string) => {
      try {
        parseReference(text)
      } catch (caught) {
        return (caught as { hint?: string }).hint
      }
      return undefined
    }
    expect(error('http://127.0.0.1:5000/app')).toMatch(
      /^write 127\.0\.0\.1:5000\/app: registries on loopback .*"127\.0\.0\.1:5000": \{"insecure": true\}/,
    )
    expect(error('https://quay.io/app')).toBe('write quay.io/app')
  })

  it('adds latest only where nothing is said', () => {
    expect(withDefaultTag(parseReference('a')).tag).toBe('latest')
    expect(withDefaultTag(parseReference('a:b')).tag).toBe('b')
    expect(withDefaultTag(parseReference(`a@${digest}`)).tag).toBeUndefined()
    expect(familiarName(parseReference('redis:7'))).toBe('redis')
  })
})
