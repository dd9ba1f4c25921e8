import { setTimeout as sleep } from 'node:timers/promises'
import { plain } from '../../engine/base/describe.ts'
import type { Clock } from '../../engine/base/host/clock.ts'
import type { KubernetesClient } from '../../engine/client/kubernetes-client.ts'
import type { KubeObject } from '../../engine/object/meta.ts'
import type { Progress } from '../../engine/release/host/progress.ts'
import type { PodObject } from '../../engine/release/pods.ts'
import type { Output } from '../output.ts'
import { frame, plainLine } from './draw.ts'
import { type Scene, Story } from './story.ts'

export interface FollowOptions {
  readonly client: Pick<KubernetesClient, 'watch' | 'logs'>
  readonly clock: Clock
  readonly namespace: string
  /** `Installing guestbook`. */
  readonly title: string
}

const drawEveryMs = 100
/** How long the first look at pods may keep an operation from its begin. */
const firstLookMs = 300
const logLines = 5

/**
 * Shows a person on stderr what happens to a release: on a terminal lines that are drawn again, in a pipe one line an
 * event. Pods and events are watched from before the operation begins; that they cannot be is no error.
 */
export class Follower implements AsyncDisposable {
  readonly #options: FollowOptions
  readonly #output: Output
  readonly #story: Story
  readonly #stop = new AbortController()
  readonly #startedMs: number
  readonly #tasks: Promise<void>[] = []
  readonly #logs = new Map<string, readonly string[]>()
  readonly #terminal: boolean
  #timer: NodeJS.Timeout | undefined
  #drawn = 0
  #end: 'good' | 'bad' | 'left' = 'good'

  private constructor(options: FollowOptions, output: Output) {
    this.#options = options
    this.#output = output
    this.#startedMs = options.clock.now()
    this.#story = new Story(this.#startedMs)
    this.#terminal = output.streams.stderr.isTTY === true && output.env.TERM !== 'dumb'
  }

  static async open(options: FollowOptions, output: Output): Promise<Follower> {
    const follower = new Follower(options, output)
    const pods = follower.#watch('Pod', (pod, flags) =>
      follower.#story.pod(pod as unknown as PodObject, options.clock.now(), flags),
    )
    const events = follower.#watch('Event', (event, { old, gone }) => {
      if (!old && !gone) follower.#story.event(event as Parameters<Story['event']>[0], options.clock.now())
    })
    await Promise.race([Promise.all([pods, events]), sleep(firstLookMs, undefined, { ref: false })])
    follower.#timer = setInterval(() => follower.#draw(), drawEveryMs)
    return follower
  }

  onProgress = (progress: Progress): void => {
    this.#story.progress(progress, this.#options.clock.now())
    if (!this.#terminal) this.#draw()
  }

  /** How the operation ended, for the last picture. */
  ended(end: 'good' | 'bad' | 'left'): void {
    this.#end = end
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    this.#stop.abort()
    await Promise.all(this.#tasks)
    this.#draw(true)
  }

  /** Resolves when what was there before is known. */
  #watch<T extends KubeObject>(
    kind: string,
    tell: (object: T, flags: { old: boolean; gone: boolean }) => void,
  ): Promise<void> {
    const { client, namespace } = this.#options
    const { promise, resolve } = Promise.withResolvers<void>()
    const run = async () => {
      let old = true
      for await (const event of client.watch<T>(
        { apiVersion: 'v1', kind, namespace },
        {},
        this.#stop.signal,
      )) {
        if (event.type === 'SYNCED') {
          old = false
          resolve()
        } else {
          tell(event.object, { old, gone: event.type === 'DELETED' })
          if (!this.#terminal) this.#draw()
        }
      }
    }
    // Whoever may not read pods still gets the engine's own progress.
    this.#tasks.push(
      run()
        .catch(() => undefined)
        .finally(resolve),
    )
    return promise
  }

  #draw(last = false): void {
    const nowMs = this.#options.clock.now()
    const stalled = last ? undefined : this.#story.stall(nowMs)
    if (stalled) void this.#readLogs(stalled)
    const lines = this.#story.take()
    const { stderr } = this.#output.streams
    if (!this.#terminal) {
      for (const line of lines) stderr.write(`${plainLine(line, nowMs - this.#startedMs)}\n`)
      return
    }
    // What a person must not miss stays above the picture.
    const above = lines
      .filter(({ word }) => word === 'warning')
      .map(({ text }) => `\u001b[2KWarning: ${plain(text)}\n`)
    const drawn = frame(this.#story, {
      title: this.#options.title,
      nowMs,
      startedMs: this.#startedMs,
      columns: stderr.columns ?? 80,
      rows: (stderr as { rows?: number }).rows ?? 24,
      color: !this.#output.env.NO_COLOR,
      logs: this.#logs,
      ...(last ? { end: this.#end } : {}),
    })
    const up = this.#drawn === 0 ? '' : `\u001b[${this.#drawn}A\r`
    stderr.write(`${up}${above.join('')}${drawn.map((line) => `\u001b[2K${line}\n`).join('')}\u001b[J`)
    this.#drawn = drawn.length
  }

  async #readLogs(scenes: readonly Scene[]): Promise<void> {
    for (const { pod, trouble } of scenes) {
      if (!trouble?.crashed) continue
      const { name, namespace = 'default', uid = name } = pod.metadata
      const query = { container: trouble.container, tailLines: String(logLines) }
      const texts = await this.#log({ name, namespace }, query).catch(() => [])
      if (texts.length === 0 || String(this.#logs.get(uid)) === String(texts)) continue
      this.#logs.set(uid, texts)
      this.#story.aside(texts)
    }
  }

  async #log(ref: { name: string; namespace: string }, query: Record<string, string>): Promise<string[]> {
    let text = ''
    for await (const piece of this.#options.client.logs(ref, query, this.#stop.signal))
      text += Buffer.from(piece).toString()
    return text
      .split('\n')
      .filter((line) => line !== '')
      .slice(-logLines)
  }
}
