import { describe, expect, it } from 'vitest'
import { digestOf } from '../content/verify.ts'
import { parseChallenges } from './challenge.ts'
import { endpointsOf, isLoopback } from './endpoint.ts'
import { answerError, connectionError, parseErrorBody } from './failure.ts'
import { parseIndex, parseManifest } from './manifest.ts'
import { type Descriptor, mediaTypes, type Platform } from './media.ts'
import { choosePlatform, formatPlatform, parsePlatform, platformOf } from './platform.ts'
import { retryDelayMs } from './retry.ts'

describe('parseChallenges', () => {
  it('reads bearer and basic, several in one header, quotes and commas', () => {
    expect(
      parseChallenges(
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push"',
      ),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a:pull,push',
        },
      },
    ])
    expect(parseChallenges(['Basic realm="a \\"b\\""', 'Bearer realm=x, error=insufficient_scope'])).toEqual([
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
      { scheme: 'bearer', parameters: { realm: 'x', error: 'insufficient_scope' } },
    ])
    expect(parseChallenges('Negotiate, Basic realm="x"').map((one) => one.scheme)).toEqual([
      'negotiate',
      'basic',
    ])
    expect(parseChallenges(undefined)).toEqual([])
    expect(parseChallenges('"""')).toEqual([])
  })
})

describe('choosePlatform', () => {
  const one = (text: string): Descriptor => {
    const [os = '', architecture = '', variant] = text.split('/')
    const platform: Platform = { os, architecture, ...(variant ? { variant } : {}) }
    return { mediaType: mediaTypes.ociManifest, digest: digestOf(text), size: 1, platform }
  }
  const choose = (have: string[], want: string) => {
    const { platform } = choosePlatform(have.map(one), parsePlatform(want), 'app')
    return platform && formatPlatform(platform)
  }
  it('takes the nearest variant that runs', () => {
    expect(choose(['linux/arm64/v8', 'linux/amd64'], 'linux/amd64')).toBe('linux/amd64')
    expect(choose(['linux/arm64', 'linux/amd64'], 'linux/arm64/v8')).toBe('linux/arm64')
    expect(choose(['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6'], 'linux/arm/v7')).toBe('linux/arm/v7')
    expect(choose(['linux/arm/v5', 'linux/arm/v7'], 'linux/arm/v6')).toBe('linux/arm/v5')
    expect(choose(['linux/amd64/v3', 'linux/amd64'], 'amd64')).toBe('linux/amd64')
    expect(choose(['unknown/unknown', 'linux/x86_64'], 'amd64')).toBe('linux/x86_64')
    expect(platformOf('x64')).toEqual({ os: 'linux', architecture: 'amd64' })
  })
  it('names what there is when nothing fits', () => {
    expect(() => choose(['linux/s390x', 'windows/amd64', 'unknown/unknown'], 'amd64')).toThrow(
      'no match for platform linux/amd64',
    )
    expect(() => parsePlatform('linux/')).toThrow('as a platform')
  })
})

describe('endpointsOf', () => {
  it('knows loopback, docker.io and mirrors', () => {
    expect(['127.0.0.1:5000', '127.9.9.9', 'localhost:1', '[::1]:5000'].every(isLoopback)).toBe(true)
    expect(['127.example.com', '10.0.0.1:5000', 'localhost.evil.com', '1127.0.0.1'].some(isLoopback)).toBe(
      false,
    )
    const hosts = {
      'docker.io': { mirrors: ['http://10.0.0.1:5000/cache/', 'https://m.example'] },
      quay: { plainHttp: true },
    }
    expect(endpointsOf('docker.io', hosts)).toEqual([
      {
        registry: '10.0.0.1:5000',
        authority: '10.0.0.1:5000/cache',
        plain: 'only',
        verifyTls: true,
        mirror: true,
      },
      { registry: 'm.example', authority: 'm.example', plain: 'never', verifyTls: true, mirror: true },
      {
        registry: 'docker.io',
        authority: 'registry-1.docker.io',
        plain: 'never',
        verifyTls: true,
        mirror: false,
      },
    ])
    expect(endpointsOf('localhost:5000', {})[0]).toMatchObject({ plain: 'try', verifyTls: false })
  })
})

describe('retryDelayMs', () => {
  it('backs off for what passes, keeps Retry-After, gives up', () => {
    expect([0, 1, 2, 3, 4].map((attempt) => retryDelayMs({ status: 503 }, attempt, 0))).toEqual([
      200,
      400,
      800,
      1600,
      undefined,
    ])
    expect(retryDelayMs({ status: 429, retryAfter: '7' }, 0, 0)).toBe(7000)
    expect(retryDelayMs({ status: 429, retryAfter: '7000' }, 0, 0)).toBe(60_000)
    expect(retryDelayMs({ status: 404 }, 0, 0)).toBeUndefined()
    expect(retryDelayMs({ status: 501 }, 0, 0)).toBeUndefined()
    const failed = (code: string) => ({
      error: new Error('x', { cause: Object.assign(new Error('y'), { code }) }),
    })
    expect(retryDelayMs(failed('ECONNRESET'), 0, 1)).toBe(300)
    expect(retryDelayMs(failed('ECONNREFUSED'), 0, 1)).toBeUndefined()
  })
})

describe('failures', () => {
  it("carries the registry's words, cleaned, and a next step", () => {
    const body = JSON.stringify({
      errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest\u001b[2J unknown' }],
    })
    const error = answerError('Cannot pull "app"', { registry: 'r:1', status: 404, body })
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      details: { registryCode: 'MANIFEST_UNKNOWN', status: 404 },
    })
    expect(error.message).toBe(
      'Cannot pull "app": registry r:1 answered 404 (MANIFEST_UNKNOWN: manifest [2J unknown)',
    )
    expect(answerError('x', { registry: 'docker.io', status: 401, body: '<html>' })).toMatchObject({
      code: 'UNAUTHORIZED',
      hint: 'the repository is private or does not exist: berth registry login',
    })
    expect(answerError('x', { registry: 'r', status: 500, body: '' }).code).toBe('REGISTRY')
    expect(answerError('x', { registry: 'r', status: 429, body: '' }).code).toBe('UNAVAILABLE')
    expect(parseErrorBody('{"details":"incorrect username"}')).toEqual([
      { code: 'ERROR', message: 'incorrect username' },
    ])
    const tls = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    expect(connectionError('x', 'r', tls).hint).toContain('"ca": FILE')
  })
})

describe('manifests', () => {
  const of = (value: unknown, mediaType: string = mediaTypes.ociManifest) => {
    const bytes = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
    return { digest: digestOf(bytes), mediaType, bytes }
  }
  const config = { mediaType: mediaTypes.ociConfig, digest: digestOf('c'), size: 1 }
  it('refuses what is malformed, or two things at once', () => {
    expect(parseManifest(of({ schemaVersion: 2, config, layers: [] })).layers).toEqual([])
    for (const [value, why] of [
      ['{', 'no JSON'],
      ['[]', 'no JSON object'],
      [{ schemaVersion: 1 }, 'schemaVersion is 1'],
      [{ schemaVersion: 2, config: { ...config, size: -1 }, layers: [] }, '"config"'],
      [{ schemaVersion: 2, config, layers: [{ ...config, digest: 'x' }] }, '"layers"'],
      [{ schemaVersion: 2, config, layers: [], manifests: [] }, 'both'],
    ] as const) {
      expect(() => parseManifest(of(value))).toThrow(why)
    }
    expect(() => parseIndex(of({ schemaVersion: 2 }, mediaTypes.ociIndex))).toThrow('Cannot read image index')
  })
})
