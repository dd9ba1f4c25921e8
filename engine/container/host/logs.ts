import { watch } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '../../base/error.ts'
import type { LogLine, LogOptions } from '../container.ts'
import { LineSplitter, parseLogLine, wantsLine } from '../log.ts'

const blockBytes = 64 << 10

/** How long a log is followed: until `ended` settles or the signal is aborted. */
export interface LogLife {
  readonly ended: Promise<unknown>
  readonly signal: AbortSignal
}

/**
 * A container's log from its files, the oldest first (`LOG.2`, `LOG.1`, `LOG`). With `follow` it goes on until its
 * life ends, and then ends with what was written last. A rotation loses nothing: the file that was open is read to
 * its end before the new one is.
 */
export async function* readLogs(path: string, options: LogOptions, life: LogLife): AsyncGenerator<LogLine> {
  if (options.tail === 0 && !options.follow) return
  for await (const bytes of rawLines(path, options, life)) {
    const line = parseLogLine(bytes)
    if (!line) continue
    const answer = wantsLine(line, options)
    if (answer === 'after') return
    if (answer === 'yes') yield line
  }
}

async function* rawLines(path: string, options: LogOptions, life: LogLife): AsyncGenerator<Uint8Array> {
  const files = await openFiles(path)
  try {
    let { first, offset } = await begin(files, options.tail)
    for (; first < files.length; first++, offset = 0) {
      const file = files[first]
      if (!file) continue
      if (first === files.length - 1 && options.follow) return yield* follow({ path, file, offset }, life)
      yield* readOn({ file, offset, splitter: new LineSplitter() })
    }
    if (options.follow && files.length === 0) yield* follow({ path, file: undefined, offset: 0 }, life)
  } finally {
    for (const file of files) await file.close().catch(() => undefined)
  }
}

async function openFiles(path: string): Promise<FileHandle[]> {
  const prefix = `${basename(path)}.`
  const names = await readdir(dirname(path)).catch(() => [])
  const rotated = names
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .sort((a, b) => Number(b.slice(prefix.length)) - Number(a.slice(prefix.length)))
    .map((name) => join(dirname(path), name))
  const files: FileHandle[] = []
  for (const name of [...rotated, path]) {
    const file = await openOrNot(name)
    if (file) files.push(file)
  }
  return files
}

async function openOrNot(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** File and offset from which `tail` lines are left; the newest file is searched first, from its end. */
async function begin(
  files: readonly FileHandle[],
  tail: number | undefined,
): Promise<{ first: number; offset: number }> {
  if (tail === undefined) return { first: 0, offset: 0 }
  let wanted = tail
  for (let first = files.length - 1; first >= 0; first--) {
    const file = files[first]
    if (!file) continue
    const found = await searchBack(file, wanted)
    if (found.lines >= wanted || first === 0) return { first, offset: found.offset }
    wanted -= found.lines
  }
  return { first: 0, offset: 0 }
}

/** The offset before the last `wanted` lines, or 0 and how many there are. */
async function searchBack(file: FileHandle, wanted: number): Promise<{ offset: number; lines: number }> {
  const { size } = await file.stat()
  if (wanted === 0) return { offset: size, lines: 0 }
  let lines = 0
  for (let end = size; end > 0; end -= blockBytes) {
    const start = Math.max(0, end - blockBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    for (let i = bytesRead - 1; i >= 0; i--) {
      // The newline that ends the last line of the file begins no line.
      if (buffer[i] !== 10 || start + i === size - 1) continue
      if (++lines === wanted) return { offset: start + i + 1, lines }
    }
  }
  return { offset: 0, lines: size > 0 ? lines + 1 : 0 }
}

interface Position {
  readonly file: FileHandle
  offset: number
  readonly splitter: LineSplitter
}

/** Whole lines up to the end of the file as it is now. */
async function* readOn(position: Position): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { buffer, bytesRead } = await position.file.read(
      Buffer.alloc(blockBytes),
      0,
      blockBytes,
      position.offset,
    )
    if (bytesRead === 0) return
    position.offset += bytesRead
    yield* position.splitter.push(buffer.subarray(0, bytesRead))
  }
}

async function* follow(
  start: { path: string; file: FileHandle | undefined; offset: number },
  { ended, signal }: LogLife,
): AsyncGenerator<Uint8Array> {
  const change = new Signal()
  let over = false
  ended.then(() => {
    over = true
    change.raise()
  })
  signal.addEventListener('abort', () => change.raise(), { once: true })
  // The folder, not the file: a new file of the same name is seen too.
  const watcher = watch(dirname(start.path), () => change.raise())
  let current: Position | undefined = start.file && {
    file: start.file,
    offset: start.offset,
    splitter: new LineSplitter(),
  }
  const opened: FileHandle[] = []
  try {
    for (;;) {
      if (signal.aborted) return
      const last = over
      if (current) yield* readOn(current)
      const next = await newer(start.path, current?.file)
      if (next) {
        if (current) yield* readOn(current)
        opened.push(next)
        current = { file: next, offset: 0, splitter: new LineSplitter() }
        continue
      }
      if (last) return
      await change.wait()
    }
  } finally {
    watcher.close()
    for (const file of opened) await file.close()
  }
}

/** The file that has taken the place of the one that is open, when there is one. */
async function newer(path: string, current: FileHandle | undefined): Promise<FileHandle | undefined> {
  const file = await openOrNot(path)
  if (!file) return undefined
  if (current && (await file.stat()).ino === (await current.stat()).ino) {
    await file.close()
    return undefined
  }
  return file
}

/** Remembers that it was raised while nobody waited. */
class Signal {
  #raised = false
  #wake: (() => void) | undefined

  raise(): void {
    this.#raised = true
    this.#wake?.()
  }

  async wait(): Promise<void> {
    if (!this.#raised) await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#raised = false
    this.#wake = undefined
  }
}
