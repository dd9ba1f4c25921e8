import { plain } from '../../engine/base/describe.ts'
import { type Chapter, isWorkload, type Scene, type Story, type StoryLine } from './story.ts'

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/** `1.2s`, `1m04s`: how long something takes. */
function seconds(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`
  const whole = Math.floor(ms / 1000)
  return `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`
}

/** One event in a pipe: `  1.2s  pulled    redis:7 (0.9 s)`. */
export function plainLine({ word, text }: StoryLine, elapsedMs: number): string {
  const time = word === '' ? '' : seconds(elapsedMs)
  return plain(`${time.padStart(7)}  ${word.padEnd(9)} ${text}`).replaceAll('\n', ' ')
}

export interface FrameOptions {
  readonly title: string
  readonly nowMs: number
  readonly startedMs: number
  readonly columns: number
  readonly rows: number
  readonly color: boolean
  /** The last lines of logs of pods that end again and again. */
  readonly logs: ReadonlyMap<string, readonly string[]>
  /** How it ended: nothing turns any more. */
  readonly end?: 'good' | 'bad' | 'left'
}

/** What a terminal shows of an operation now: workloads with their pods, above them the rest in a few lines. */
export function frame(story: Story, options: FrameOptions): string[] {
  const { title, nowMs, startedMs, columns, rows, end } = options
  const turn = spinner[Math.floor((nowMs - startedMs) / 100) % spinner.length] ?? ''
  const chapters = [...story.chapters.values()]
  const workloads = chapters.filter(({ object }) => isWorkload(object))
  const width = Math.max(0, ...workloads.map(({ object }) => object.length))
  const head = end ? { good: '✓', bad: '✗', left: '·' }[end] : turn
  const lines: Line[] = [
    { mark: head, text: `${title}  ${seconds(nowMs - startedMs)}`, bold: true },
    ...others(chapters),
    ...(end
      ? []
      : [...story.pulling].map(([image, since]) => ({
          mark: turn,
          text: `pulling ${image}  ${seconds(nowMs - since)}`,
          inset: 1,
        }))),
    ...workloads.flatMap((one) => workloadLines(one, story, { ...options, turn, width })),
  ]
  const shown = lines.length < rows ? lines : [...lines.slice(0, 1), ...lines.slice(lines.length - rows + 2)]
  return shown.map((line) => paint(line, columns, options.color))
}

interface Line {
  readonly mark: string
  readonly text: string
  readonly inset?: number
  readonly bold?: boolean
}

/** Objects that are there as soon as they are applied: a line for each kind. */
function others(chapters: readonly Chapter[]): Line[] {
  const quick = chapters.filter(({ object }) => !isWorkload(object))
  const groups = Map.groupBy(
    quick,
    ({ object, state }) => `${state === 'removed' ? '-' : '✓'} ${object.split('/')[0]}`,
  )
  return [...groups].map(([key, group]) => {
    const [mark = '', kind] = key.split(' ')
    const names = group.map(({ object }) => object.slice(object.indexOf('/') + 1)).join(', ')
    return { mark, text: `${kind}/${names}`, inset: 1 }
  })
}

function workloadLines(
  chapter: Chapter,
  story: Story,
  { nowMs, turn, width, end, logs, columns }: FrameOptions & { turn: string; width: number },
): Line[] {
  const { object, state, reason, sinceMs } = chapter
  const scenes = story.scenesOf(object)
  const marks = { applied: '✓', waiting: end ? '·' : turn, ready: '✓', failed: '✗', removed: '-' }
  const words = {
    applied: 'applied',
    waiting: reason.replace(/^(has|is) /, ''),
    ready: 'ready',
    failed: reason,
    removed: 'removed',
  }
  const time = state === 'waiting' && !end ? `  ${seconds(nowMs - sinceMs)}` : ''
  const shown = state === 'ready' ? [] : scenes.filter(({ word }) => word !== 'ready' || state === 'waiting')
  return [
    { mark: marks[state], text: `${object.padEnd(width)}  ${words[state]}${time}`, inset: 1 },
    ...shown.flatMap((scene) => sceneLines(scene, { nowMs, turn: end ? '·' : turn, logs, columns })),
  ]
}

function sceneLines(
  { pod, word, trouble, sinceMs }: Scene,
  { nowMs, turn, logs, columns }: Pick<FrameOptions, 'nowMs' | 'logs' | 'columns'> & { turn: string },
): Line[] {
  const { name, uid = name } = pod.metadata
  const text = trouble ? trouble.reason : word
  const more = trouble ? [...wrap(trouble.text, columns - 12).slice(0, 4), ...(logs.get(uid) ?? [])] : []
  const time = word === 'ready' ? '' : `  ${seconds(nowMs - sinceMs)}`
  return [
    { mark: word === 'ready' ? '✓' : trouble ? '!' : turn, text: `${name}  ${text}${time}`, inset: 2 },
    ...more.map((line) => ({ mark: '|', text: line, inset: 3 })),
  ]
}

/** Text in lines of a width, cut between words. */
function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of plain(text).split(/\s+/)) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

const colors: Readonly<Record<string, string>> = {
  '✓': '32',
  '✗': '31',
  '!': '33',
  '-': '90',
  '·': '90',
  '|': '90',
}

function paint({ mark, text, inset = 0, bold = false }: Line, columns: number, color: boolean): string {
  const indent = '  '.repeat(inset)
  const room = Math.max(10, columns - indent.length - 3)
  const whole = plain(text).replaceAll('\n', ' ')
  const cut = whole.length > room ? `${whole.slice(0, room - 1)}…` : whole
  if (!color) return `${indent}${mark} ${cut}`
  return `${indent}\u001b[${colors[mark] ?? '36'}m${mark}\u001b[0m ${bold ? `\u001b[1m${cut}\u001b[0m` : mark === '|' ? `\u001b[90m${cut}\u001b[0m` : cut}`
}
