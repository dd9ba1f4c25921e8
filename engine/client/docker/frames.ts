import { BerthError } from '../../base/error.ts'

/**
 * The multiplexed stream of attach, exec and logs without a terminal:
 * ```
 * u8 stream (0 stdin, 1 stdout, 2 stderr) | 0 0 0 | u32 length, big endian | content
 * ```
 * https://docs.docker.com/reference/api/engine/version/v1.47/#tag/Container/operation/ContainerAttach
 */
export interface Frame {
  readonly stream: 'stdout' | 'stderr'
  readonly content: Uint8Array
}

const headerBytes = 8
/** Larger than any engine sends; a length above it means that the stream is not multiplexed. */
const maxFrameBytes = 64 << 20

/** One frame as it goes over the wire. */
export function encodeFrame(stream: Frame['stream'], content: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + content.length)
  frame.writeUInt32BE(stream === 'stdout' ? 0x01000000 : 0x02000000, 0)
  frame.writeUInt32BE(content.length, 4)
  frame.set(content, headerBytes)
  return frame
}

/** The whole frames in chunks that may be cut anywhere. */
export async function* decodeFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(4)
      const stream = rest[0]
      if (length > maxFrameBytes || (stream ?? 9) > 2) {
        throw new BerthError('INTERNAL', 'Cannot read the stream of the container: it is not multiplexed')
      }
      if (rest.length < headerBytes + length) break
      const content = rest.subarray(headerBytes, headerBytes + length)
      yield { stream: stream === 2 ? 'stderr' : 'stdout', content }
      rest = rest.subarray(headerBytes + length)
    }
  }
}
