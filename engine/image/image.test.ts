import { describe, expect, it } from 'vitest'
import type { Digest } from '../content/digest.ts'
import { digestOf } from '../content/verify.ts'
import { chainIds } from './chain.ts'
import { findImage, nameOf } from './find.ts'
import { createdOf, type ImageRecord, parseImageConfig } from './image.ts'
import { type LayerProgress, throttled } from './progress.ts'
import { planRemove } from './remove.ts'

const hex = (digit: string): Digest => `sha256:${digit.repeat(64)}`
const image = (id: Digest, names: string[], digests: string[] = []): ImageRecord => ({
  id,
  names,
  digests,
  config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
  layers: [],
  manifest: { digest: hex('f'), mediaType: 'm', size: 1 },
  created: 0,
  sizeBytes: 0,
})

describe('chainIds', () => {
  it('is the diffID at the bottom, then a hash of both (the example of the specification)', () => {
    const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')]
    const ab = digestOf(`${a} ${b}`)
    expect(chainIds([a, b, c])).toEqual([a, ab, digestOf(`${ab} ${c}`)])
    expect(new Set(chainIds([a, a, a])).size).toBe(3)
    expect(chainIds([])).toEqual([])
  })
})

describe('findImage', () => {
  const digest = `docker.io/library/redis@${hex('9')}`
  const images = [
    image(hex('a'), ['docker.io/library/redis:7', 'docker.io/library/redis:latest'], [digest]),
    image(`sha256:ab${'0'.repeat(62)}`, ['127.0.0.1:5000/ab:1']),
    image(hex('b'), ['docker.io/library/abc:latest']),
  ]
  for (const [word, expected] of [
    ['redis:7', 0],
    ['redis', 0],
    ['docker.io/redis:7', 0],
    [`redis@${hex('9')}`, 0],
    [`redis:6@${hex('9')}`, 0],
    [hex('a'), 0],
    ['a'.repeat(64), 0],
    ['aa', 0],
    ['ab0', 1],
    ['sha256:ab0', 1],
    ['127.0.0.1:5000/ab:1', 1],
    ['abc', 2],
    ['a', undefined],
    ['redis:8', undefined],
    ['', undefined],
    ['sha256:', undefined],
    ['NO', undefined],
  ] as const) {
    it(`${word || 'nothing'} is ${expected ?? 'none'}`, () => {
      expect(findImage(images, word)).toBe(expected === undefined ? undefined : images[expected])
    })
  }
  it('knows full names', () => {
    expect(nameOf('redis')).toBe('docker.io/library/redis:latest')
    expect(nameOf('a b')).toBeUndefined()
  })
})

describe('planRemove', () => {
  const one = image(hex('a'), ['docker.io/library/redis:7'], [`docker.io/library/redis@${hex('9')}`])
  const two = image(
    hex('a'),
    ['docker.io/library/redis:7', 'docker.io/me/other:1'],
    [`docker.io/library/redis@${hex('9')}`],
  )
  const stopped = [{ id: 'c'.repeat(64), running: false }]
  const running = [{ id: 'd'.repeat(64), running: true }]
  const plan = (
    of: ImageRecord,
    word: string,
    users: { id: string; running: boolean }[] = [],
    force = false,
  ) => planRemove(of, word, { users, force })

  it('takes the last name with the image, others alone', () => {
    expect(plan(one, 'redis:7')).toEqual({ untagged: [...one.names, ...one.digests], deleted: true })
    expect(plan(two, 'me/other:1')).toEqual({ untagged: ['docker.io/me/other:1'], deleted: false })
    expect(plan(two, 'redis:7')).toEqual({
      untagged: ['docker.io/library/redis:7', ...two.digests],
      deleted: false,
    })
    expect(plan(one, 'aaaa').deleted).toBe(true)
  })
  it('refuses as docker does', () => {
    expect(() => plan(one, 'redis:7', stopped)).toThrow(
      'unable to remove repository reference "redis:7" (must force) - container cccccccccccc is using its referenced image aaaaaaaaaaaa',
    )
    expect(() => plan(one, 'aaaa', stopped)).toThrow(
      'unable to delete aaaaaaaaaaaa (must be forced) - image is being used by stopped container cccccccccccc',
    )
    expect(() => plan(one, 'aaaa', running, true)).toThrow(
      '(cannot be forced) - image is being used by running container dddddddddddd',
    )
    expect(() => plan(two, 'aaaa')).toThrow('(must be forced) - image is referenced in multiple repositories')
    expect(plan(two, 'aaaa', [], true).deleted).toBe(true)
  })
  it('never takes what a container uses, forced or not', () => {
    expect(plan(one, 'redis:7', stopped, true)).toEqual({
      untagged: [...one.names, ...one.digests],
      deleted: false,
    })
    expect(plan(one, 'redis:7', running, true).deleted).toBe(false)
    expect(plan(one, 'aaaa', stopped, true).deleted).toBe(false)
  })
})

describe('parseImageConfig', () => {
  const parse = (value: unknown) =>
    parseImageConfig(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), 'app')
  it('checks what berth relies on', () => {
    const rootfs = { type: 'layers', diff_ids: [hex('1')] }
    expect(parse({ rootfs, config: { Cmd: null, Env: ['A=b'] } }).rootfs.diff_ids).toEqual([hex('1')])
    for (const [value, why] of [
      ['{', 'is no JSON'],
      ['null', 'is no JSON object'],
      [{}, 'no list of diffIDs'],
      [{ rootfs: { diff_ids: ['x'] } }, 'no list of diffIDs'],
      [{ rootfs, config: { Cmd: 'sh' } }, 'Cmd that is no list of strings'],
      [{ rootfs, config: { Env: [1] } }, 'Env that is no list of strings'],
    ] as const) {
      expect(() => parse(value)).toThrow(why)
    }
    const config = { architecture: 'x', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } } as const
    expect(createdOf({ ...config, created: '1970-01-01T00:00:01Z' })).toBe(1000)
    expect(createdOf({ ...config, created: 'never' })).toBe(0)
  })
})

it('throttles progress, but no change of state and not the end', () => {
  let now = 0
  const seen: LayerProgress[] = []
  const listen = throttled(
    (event) => seen.push(event),
    100,
    () => now,
  )
  const at = (currentBytes: number) =>
    listen({ layer: hex('1'), state: 'downloading', currentBytes, totalBytes: 9 })
  for (const bytes of [1, 2, 3]) at(bytes)
  now = 100
  at(4)
  at(5)
  at(9)
  listen({ layer: hex('1'), state: 'done' })
  expect(seen.map((one) => one.currentBytes ?? one.state)).toEqual([1, 4, 9, 'done'])
})
