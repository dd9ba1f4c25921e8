import { describe, expect, it } from 'vitest'
import { inheritedDescriptors } from './keeper.ts'
import { encodeFrame, FrameReader, frame, kernelError } from './protocol.ts'

describe('frames', () => {
  it('are found however the stream is cut', () => {
    const stream = Buffer.concat([
      encodeFrame(frame.stdout, Buffer.from('one')),
      encodeFrame(frame.start),
      encodeFrame(frame.stderr, Buffer.alloc(300, 7)),
    ])
    for (const size of [1, 2, 5, 7, 64, stream.length]) {
      const reader = new FrameReader()
      const found = []
      for (let i = 0; i < stream.length; i += size) found.push(...reader.push(stream.subarray(i, i + size)))
      expect(found.map(({ type, payload }) => [type, payload.length])).toEqual([
        [frame.stdout, 3],
        [frame.start, 0],
        [frame.stderr, 300],
      ])
    }
  })

  it('of an impossible length are refused', () => {
    expect(() => new FrameReader().push(Buffer.alloc(5))).toThrow(/a frame of 0 bytes/)
    expect(() => new FrameReader().push(Buffer.alloc(5, 0xff))).toThrow(/a frame of 4294967295 bytes/)
  })
})

describe('an error of the launcher', () => {
  it('names call, errno, reason and place', () => {
    const numbers = Buffer.alloc(16)
    for (const [i, value] of [13, 2, 4, 8].entries()) numbers.writeUInt32LE(value, i * 4)
    const error = kernelError(
      Buffer.concat([numbers, Buffer.from('mount x\0because\0mounts[1]\0')]),
      'create it',
    )
    expect(error.message).toBe('Cannot create it: mount x: EACCES (because, mounts[1])')
    expect(error.details).toEqual({
      step: 'mount-in',
      index: 4,
      phase: 'child',
      call: 'mount x',
      errno: 'EACCES',
      why: 'because',
      at: 'mounts[1]',
    })
  })
})

describe('inherited descriptors', () => {
  it('are named in BERTH_FDS', () => {
    expect([...inheritedDescriptors({ BERTH_FDS: 'api:3,lock:4' })]).toEqual([
      ['api', 3],
      ['lock', 4],
    ])
    expect(inheritedDescriptors({}).size).toBe(0)
  })
})
