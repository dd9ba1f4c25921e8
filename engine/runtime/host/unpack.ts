import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { pipeline, type Readable } from 'node:stream'
import { pipeline as run } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { BerthError, isBerthError, messageOf } from '../../base/error.ts'
import { encodeStep, frame, layerStep } from '../layer.ts'
import { readTar } from '../tar.ts'
import { failure } from './errno.ts'

export interface UnpackOptions {
  /** The layer's bytes as they are stored. */
  readonly source: Readable
  readonly compression: 'none' | 'gzip' | 'zstd'
  /** Digest of the uncompressed archive, `sha256:HEX`, verified before the layer counts as unpacked. */
  readonly diffId: string
  /** An empty folder, which becomes a lower directory of overlay. */
  readonly folder: string
  /** The layers below, unpacked, top first: what this layer does not say of a folder on the way to a file is theirs. */
  readonly lower?: readonly string[]
  /** The launcher's file. */
  readonly launcher: string
  /** Told of the stored bytes that were read so far. */
  readonly onRead?: (bytes: number) => void
  readonly signal: AbortSignal
}

const pieceBytes = 1 << 16

/**
 * Unpacks a layer into a folder: the archive is read here, each entry is executed by `launcher unpack`, which never
 * leaves the folder. When it returns, everything is on disk and the diffID was right; when it throws, the folder holds
 * a part and is to be removed. The launcher ends when this process does. Gives the bytes of the files unpacked.
 */
export async function unpackLayer(options: UnpackOptions): Promise<{ sizeBytes: number }> {
  const { signal } = options
  signal.throwIfAborted()
  const child = spawn(options.launcher, ['unpack', options.folder, ...(options.lower ?? [])], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {},
  })
  const reply = replyOf(child)
  const kill = () => child.kill('SIGKILL')
  signal.addEventListener('abort', kill)
  const size = { bytes: 0 }
  try {
    await run(framesOf(options, size), child.stdin as NonNullable<typeof child.stdin>)
  } catch (error) {
    kill()
    options.source.destroy()
    const told = await reply.catch((cause) => cause)
    signal.throwIfAborted()
    // The launcher stops reading when a step fails; its own words say more than the broken pipe.
    if (isBerthError(told, 'KERNEL', 'NO_SPACE') && (error as { code?: unknown }).code === 'EPIPE') throw told
    throw error
  } finally {
    signal.removeEventListener('abort', kill)
  }
  await reply
  return { sizeBytes: size.bytes }
}

/** The layer as frames, gathered to pieces; the end frame comes only when the diffID is right. */
async function* framesOf(options: UnpackOptions, size: { bytes: number }): AsyncGenerator<Buffer> {
  const hash = createHash(options.diffId.startsWith('sha512:') ? 'sha512' : 'sha256')
  let waiting: Buffer[] = []
  let waitingBytes = 0
  for await (const item of readTar(hashed(decompressed(options), hash))) {
    let frames: Buffer[]
    if ('entry' in item) {
      const step = layerStep(item.entry)
      if (step === undefined || step.kind === 'whiteout' || step.kind === 'opaque') {
        if (item.entry.sizeBytes > 0)
          throw new BerthError(
            'INVALID',
            `Cannot unpack layer: whiteout ${JSON.stringify(item.entry.path)} has content`,
          )
      }
      size.bytes += item.entry.sizeBytes
      frames = step ? frame('E', encodeStep(step)) : []
    } else {
      frames = frame('D', item.data)
    }
    waiting.push(...frames)
    for (const one of frames) waitingBytes += one.length
    if (waitingBytes < pieceBytes) continue
    yield Buffer.concat(waiting)
    waiting = []
    waitingBytes = 0
  }
  const found = `${options.diffId.split(':')[0]}:${hash.digest('hex')}`
  if (found !== options.diffId) {
    throw new BerthError(
      'DIGEST_MISMATCH',
      `Cannot unpack layer: its content has digest ${found}, the image's configuration says ${options.diffId}`,
    )
  }
  yield Buffer.concat([...waiting, ...frame('Z')])
}

function decompressed(options: UnpackOptions): AsyncIterable<Buffer> {
  const source = counted(options)
  if (options.compression === 'none') return source
  const transform =
    options.compression === 'gzip'
      ? createGunzip({ chunkSize: 1 << 18 })
      : createZstdDecompress({ chunkSize: 1 << 18 })
  pipeline(source, transform, () => {})
  return named(transform, options.compression)
}

async function* counted(options: UnpackOptions): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of options.source as AsyncIterable<Buffer>) {
    yield chunk
    bytes += chunk.length
    options.onRead?.(bytes)
  }
}

/** zlib's errors ("incorrect header check") as an error that says of what. */
async function* named(source: AsyncIterable<Buffer>, compression: string): AsyncGenerator<Buffer> {
  try {
    yield* source
  } catch (error) {
    const code = String((error as { code?: unknown }).code)
    if (!/^(Z_|ZSTD_|ERR_ZSTD)/.test(code)) throw error
    throw new BerthError(
      'INVALID',
      `Cannot unpack layer: its ${compression} data is damaged: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: { update(chunk: Buffer): unknown },
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
}

/** What the launcher says at its end: nothing, or the step that failed. */
function replyOf(child: ChildProcess): Promise<void> {
  const parts: Buffer[] = []
  child.stdout?.on('data', (part: Buffer) => parts.push(part))
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new BerthError('KERNEL', `Cannot unpack layer: cannot start the launcher: ${cause.message}`, {
          cause,
        }),
      ),
    )
    child.once('close', (code, signal) => {
      const reply = Buffer.concat(parts)
      const type = reply.length >= 5 ? String.fromCharCode(reply[4] ?? 0) : ''
      if (type === 'K' && code === 0) resolve()
      else if (type === 'X' && reply.length >= 9) {
        const [call = '', ...path] = reply.toString('utf8', 9).split(' ')
        reject(failure('unpack layer', { errno: reply.readUInt32LE(5), call, text: path.join(' ') }))
      } else
        reject(new BerthError('KERNEL', `Cannot unpack layer: the launcher ended with ${signal ?? code}`))
    })
  })
  // Whoever fails first is awaited last.
  ended.catch(() => {})
  return ended
}
