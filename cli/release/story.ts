import { parseDuration } from '../../engine/base/duration.ts'
import type { Progress } from '../../engine/release/host/progress.ts'
import {
  containerStates,
  isOfWorkload,
  isPodReady,
  type PodObject,
  type PodTrouble,
  podTrouble,
} from '../../engine/release/pods.ts'

/** One thing that happened, for a person. */
export interface StoryLine {
  readonly word: string
  readonly text: string
  readonly tone?: 'good' | 'bad'
}

/** An object of the release as the story knows it. */
export interface Chapter {
  readonly object: string
  readonly state: 'applied' | 'waiting' | 'ready' | 'failed' | 'removed'
  readonly reason: string
  /** Since when it is so. */
  readonly sinceMs: number
}

/** A pod of the release. */
export interface Scene {
  readonly pod: PodObject
  readonly word: string
  readonly trouble: PodTrouble | undefined
  readonly sinceMs: number
}

interface KubeEvent {
  readonly metadata: { readonly uid?: string }
  readonly involvedObject?: { readonly kind?: string; readonly name?: string }
  readonly reason?: string
  readonly message?: string
}

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob', 'Pod']
/** After this time without anything new, a person wants to know what is waited for. */
const quietMs = 5000

/**
 * What happens during an operation, put together from the engine's progress and the pods and events of the API, in
 * whatever order they come. Each thing is told once. No clock: the time comes with every call.
 */
export class Story {
  readonly chapters = new Map<string, Chapter>()
  readonly #pods = new Map<string, Scene>()
  readonly #told = new Set<string>()
  readonly #pulling = new Map<string, number>()
  #lines: StoryLine[] = []
  #movedMs: number
  #waitText = ''

  constructor(nowMs: number) {
    this.#movedMs = nowMs
  }

  /** What is new since the last call. */
  take(): readonly StoryLine[] {
    return this.#lines.splice(0)
  }

  progress(progress: Progress, nowMs: number): void {
    switch (progress.type) {
      case 'warning':
        this.#tell(`warning ${progress.text}`, { word: 'warning', text: progress.text, tone: 'bad' }, nowMs)
        break
      case 'applied':
      case 'removed':
        this.#chapter(progress.object, { state: progress.type, reason: '' }, nowMs)
        this.#tell(
          `${progress.type} ${progress.object}`,
          { word: progress.type, text: progress.object },
          nowMs,
        )
        break
      case 'hook': {
        const { object, event, phase } = progress
        const state = { Running: 'waiting', Succeeded: 'ready', Failed: 'failed' } as const
        this.#chapter(object, { state: state[phase], reason: `${event} hook` }, nowMs)
        const word = { Running: 'hook', Succeeded: 'done', Failed: 'failed' }[phase]
        this.#tell(
          `${event} ${object} ${phase}`,
          { word, text: `${object} (${event})`, ...tone(phase) },
          nowMs,
        )
        break
      }
      case 'state': {
        const { object, state, reason } = progress
        if (!isWorkload(object)) break
        const before = this.chapters.get(object)
        // A hook's end is told by the hook.
        if (before?.reason.endsWith(' hook')) break
        this.#chapter(object, { state, reason }, nowMs)
        if (state === 'ready')
          this.#tell(`ready ${object}`, { word: 'ready', text: object, tone: 'good' }, nowMs)
        if (state === 'failed')
          this.#tell(`failed ${object}`, { word: 'failed', text: `${object} ${reason}`, tone: 'bad' }, nowMs)
        break
      }
    }
    for (const scene of this.#pods.values()) this.#pod(scene.pod, nowMs)
  }

  /** A pod as it is now. `old`: it was there before the operation began, what it was then is no news. */
  pod(pod: PodObject, nowMs: number, { old = false, gone = false } = {}): void {
    const key = pod.metadata.uid ?? pod.metadata.name
    const word = gone ? 'gone' : wordOf(pod)
    const before = this.#pods.get(key)
    const trouble = podTrouble(pod)
    const same = before?.word === word && before.trouble?.text === trouble?.text
    this.#pods.set(key, { pod, word, trouble, sinceMs: same ? before.sinceMs : nowMs })
    if (old) for (const [fact] of factsOf(pod)) this.#told.add(fact)
    else this.#pod(pod, nowMs)
    if (gone) {
      this.#pods.delete(key)
      if (this.#isMine(pod)) this.#tell(`stopped ${key}`, { word: 'stopped', text: pod.metadata.name }, nowMs)
    }
  }

  /** An Event that is new. */
  event({ involvedObject, reason, message = '' }: KubeEvent, nowMs: number): void {
    if (involvedObject?.kind !== 'Pod') return
    const image = /image "([^"]*)"/.exec(message)?.[1] ?? ''
    if (reason === 'Pulling') {
      if (!this.#pulling.has(image)) this.#pulling.set(image, nowMs)
      this.#tell(`pulling ${image}`, { word: 'pulling', text: image }, nowMs)
    }
    if (reason === 'Pulled') {
      const took = /^Successfully pulled image "[^"]*" in (\S+)/.exec(message)?.[1]
      this.#pulling.delete(image)
      if (took !== undefined) {
        const seconds = (parseDuration(took) / 1000).toFixed(1)
        this.#tell(`pulled ${image}`, { word: 'pulled', text: `${image} (${seconds} s)` }, nowMs)
      }
    }
    if (reason === 'Failed') this.#pulling.delete(image)
  }

  /** Images that are being pulled, with the time since when. */
  get pulling(): ReadonlyMap<string, number> {
    return this.#pulling
  }

  /** The pods of a workload, by name. */
  scenesOf(workload: string): readonly Scene[] {
    const one = new Set([workload])
    return [...this.#pods.values()]
      .filter(({ pod }) => isOfWorkload(pod, one))
      .sort((a, b) => (a.pod.metadata.name < b.pod.metadata.name ? -1 : 1))
  }

  /** What is waited for when nothing has happened for a while; undefined while things move, or when it was told. */
  stall(nowMs: number): readonly Scene[] | undefined {
    if (nowMs - this.#movedMs < quietMs) return undefined
    const waiting = [...this.chapters.values()].filter(({ state }) => state === 'waiting')
    const scenes = waiting
      .flatMap(({ object }) => this.scenesOf(object))
      .filter(({ word }) => word !== 'ready')
    const text = JSON.stringify([
      waiting.map(({ object, reason }) => [object, reason]),
      scenes.map(({ pod, word, trouble }) => [pod.metadata.name, word, trouble?.reason]),
    ])
    if (text === this.#waitText || (waiting.length === 0 && scenes.length === 0)) return undefined
    this.#waitText = text
    this.#movedMs = nowMs
    for (const { object, reason } of waiting)
      this.#lines.push({ word: 'waiting', text: `${object} ${reason}`.trim() })
    for (const { pod, word, trouble } of scenes)
      this.#lines.push({
        word: '',
        text: `${pod.metadata.name}: ${trouble ? `${trouble.reason}, ${trouble.text}` : word}`,
      })
    return scenes
  }

  /** Lines that belong to what was said last, such as a log's. */
  aside(texts: readonly string[]): void {
    this.#lines.push(...texts.map((text) => ({ word: '', text: `  | ${text}` })))
  }

  #pod(pod: PodObject, nowMs: number): void {
    if (!this.#isMine(pod)) return
    for (const [fact, line] of factsOf(pod)) if (line) this.#tell(fact, line, nowMs)
  }

  #isMine(pod: PodObject): boolean {
    return isOfWorkload(pod, new Set(this.chapters.keys()))
  }

  #chapter(object: string, next: Pick<Chapter, 'state' | 'reason'>, nowMs: number): void {
    const before = this.chapters.get(object)
    const same = before?.state === next.state
    this.chapters.set(object, { object, ...next, sinceMs: same ? before.sinceMs : nowMs })
  }

  #tell(key: string, line: StoryLine, nowMs: number): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.#lines.push(line)
    this.#movedMs = nowMs
  }
}

const tone = (phase: string) =>
  phase === 'Failed' ? ({ tone: 'bad' } as const) : phase === 'Succeeded' ? ({ tone: 'good' } as const) : {}

export function isWorkload(object: string): boolean {
  return workloadKinds.includes(object.split('/')[0] ?? '')
}

/** What a pod's status says that happened: a name that is told once, and its line. */
function factsOf(pod: PodObject): readonly (readonly [string, StoryLine | undefined])[] {
  const { name, uid = name } = pod.metadata
  const states = containerStates(pod)
  const only = states.length === 1
  const facts: (readonly [string, StoryLine | undefined])[] = states.flatMap(
    ({ name: container, state, restartCount = 0 }) => {
      const text = only ? name : `${name} (${container})`
      const run = `${uid} ${container} ${restartCount}`
      const begun = state?.running ?? state?.terminated
      const word = restartCount > 0 ? 'restarted' : 'started'
      return begun ? [[`started ${run}`, { word, text }] as const] : []
    },
  )
  const trouble = podTrouble(pod)
  if (trouble) {
    // An image that cannot be pulled is the same news for every pod that wants it.
    const crash = trouble.crashed ? `${trouble.container} crashed` : trouble.text
    const what = trouble.text.startsWith('cannot pull') ? trouble.text : `${uid} ${crash}`
    const text = trouble.text.startsWith('cannot pull') ? trouble.text : `${name} ${trouble.text}`
    facts.push([`trouble ${what}`, { word: 'failing', text, tone: 'bad' }])
  }
  if (isPodReady(pod)) facts.push([`ready ${uid}`, { word: 'ready', text: name, tone: 'good' }])
  return facts
}

/** What a pod does now, in a word or two. */
export function wordOf(pod: PodObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'stopping'
  if (pod.status?.phase === 'Succeeded') return 'done'
  if (isPodReady(pod)) return 'ready'
  const states = containerStates(pod)
  if (states.some(({ state }) => state?.running)) return 'started, not ready yet'
  return states.length === 0 || pod.status?.phase === 'Pending' ? 'being made' : (pod.status?.phase ?? '')
}
