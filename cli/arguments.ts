import type { Command, Option } from 'commander'
import { BerthError } from '../engine/base/error.ts'

/**
 * Rewrites a command line from pflag's rules (docker's, helm's and kubectl's parser) to commander's, which differ:
 * `--rm=false` and `-i=true` set a boolean; `-e=A=1` drops the first `=`; an option with an optional value takes it
 * after `=` only (`--wait=legacy`, so that in `--wait NAME` the name stays an argument; its preset is the value
 * without one). Words after `--`, or after the first argument of a command that passes options through, stay.
 */
export function pflag(argv: readonly string[], command: Command): string[] {
  const out: string[] = []
  let current = command
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    if (word === '--') return [...out, ...argv.slice(i)]
    if (!word.startsWith('-') || word === '-') {
      const child = current.commands.find((c) => c.name() === word || c.aliases().includes(word))
      out.push(word)
      if (child) current = child
      else if (passesThrough(current)) return [...out, ...argv.slice(i + 1)]
      continue
    }
    const parsed = word.startsWith('--') ? longFlag(word, current) : shortFlags(word, current)
    out.push(...parsed.words)
    if (parsed.wants && i + 1 < argv.length) out.push(argv[++i] ?? '')
  }
  return out
}

interface Flag {
  readonly words: readonly string[]
  /** The next word is its value. */
  readonly wants: boolean
}

const passesThrough = (command: Command) =>
  (command as unknown as { _passThroughOptions: boolean })._passThroughOptions === true

function longFlag(word: string, command: Command): Flag {
  const at = word.indexOf('=')
  const name = at < 0 ? word : word.slice(0, at)
  const option = command.options.find((o) => o.long === name)
  if (!option) return { words: [word], wants: false }
  if (at < 0) {
    if (option.optional) return { words: [optional(option, name)], wants: false }
    return { words: [word], wants: option.required }
  }
  if (option.required || option.optional) return { words: [word], wants: false }
  return { words: boolean(option, { name, text: word.slice(at + 1), command }), wants: false }
}

/** `-itd`, `-eA=1`, `-e=A=1`, `-i=false`: one or more letters, the last of which may take the rest as its value. */
function shortFlags(word: string, command: Command): Flag {
  const words: string[] = []
  for (let at = 1; at < word.length; at++) {
    const name = `-${word[at]}`
    const option = command.options.find((o) => o.short === name)
    const rest = word.slice(at + 1)
    if (!option) return { words: [...words, `-${word.slice(at)}`], wants: false }
    if (option.required) {
      if (rest === '') return { words: [...words, name], wants: true }
      return { words: [...words, name, rest.startsWith('=') ? rest.slice(1) : rest], wants: false }
    }
    if (rest.startsWith('=') && !option.optional) {
      return { words: [...words, ...boolean(option, { name, text: rest.slice(1), command })], wants: false }
    }
    words.push(option.optional ? optional(option, option.long ?? name) : name)
  }
  return { words, wants: false }
}

function optional(option: Option, name: string): string {
  return typeof option.presetArg === 'string' && name.startsWith('--') ? `${name}=${option.presetArg}` : name
}

interface BooleanFlag {
  readonly name: string
  readonly text: string
  readonly command: Command
}

function boolean(option: Option, { name, text, command }: BooleanFlag): string[] {
  if (/^(1|t|true)$/i.test(text)) return [name]
  if (/^(0|f|false)$/i.test(text)) {
    const negative = `--no-${option.long?.slice(2)}`
    return command.options.some((o) => o.long === negative) ? [negative] : []
  }
  throw new BerthError('USAGE', `Cannot read "${text}" of flag ${name} as true or false`)
}
