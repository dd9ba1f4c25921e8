import { Command, CommanderError } from 'commander'
import { codes } from '../engine/base/codes.ts'
import { BerthError, isBerthError } from '../engine/base/error.ts'
import { suggest } from '../engine/base/suggest.ts'
import { pflag } from './arguments.ts'
import { type CommandEntry, commands, type Manners } from './commands.ts'
import { helpText } from './help.ts'
import { type Format, Output, type OutputStreams } from './output.ts'

/** Exit code of a wrong command line: berth's own, helm's, docker's. */
const usageExit: Readonly<Record<Manners, number>> = { berth: codes.USAGE.exit, helm: 1, docker: 125 }

/** Docker verbs that berth does not have yet: answered by name, so that nobody looks for a spelling mistake. */
const notYet = new Set(
  (
    'build builder buildx commit compose config context cp diff events export import info load login logout ' +
    'manifest pause plugin port rename save scout secret service stack stats swarm top trust unpause update'
  ).split(' '),
)

/** Runs one command line and returns its exit code. Only the command that is named is loaded. */
export async function run(argv: readonly string[], streams: OutputStreams): Promise<number> {
  const output = new Output(streams)
  let entry: CommandEntry | undefined
  let command: Command | undefined
  try {
    const { host, rest } = globalFlags(argv)
    const [word, ...args] = rest
    if (word === undefined || word === '--help' || word === '-h' || (word === 'help' && args.length === 0)) {
      output.write(helpText())
      return 0
    }
    if (word === '--version' || word === '-v') return await run(['version', '--short'], streams)
    const name = word === 'help' ? (args[0] ?? '') : word
    entry = find(name)
    if (!entry) throw unknownCommand(name)
    command = (await entry.load()).command(output)
    const root = new Command('berth').enablePositionalOptions().addCommand(command)
    settle(command, output)
    if (host !== undefined) setHost(command, host)
    const line = word === 'help' ? [...args.slice(1), '--help'] : args
    await root.parseAsync([command.name(), ...pflag(line, command)], { from: 'user' })
  } catch (error) {
    return failed(error, { argv, entry, command, output })
  }
  return output.exitCode
}

function find(name: string): CommandEntry | undefined {
  return commands.find((entry) => entry.name === name || entry.aliases?.includes(name))
}

/** `--host` may stand before the command, as with docker and kubectl. */
function globalFlags(argv: readonly string[]): { host: string | undefined; rest: readonly string[] } {
  const [first, second] = argv
  if (first === '--host' && second !== undefined) return { host: second, rest: argv.slice(2) }
  if (first?.startsWith('--host=')) return { host: first.slice('--host='.length), rest: argv.slice(1) }
  if (first?.startsWith('-') && !['--help', '-h', '--version', '-v'].includes(first)) {
    const near = suggest(first, ['--host', '--help', '--version'])
    throw new BerthError('USAGE', `Unknown flag "${first}" before a command`, {
      hint: near ? `did you mean ${near}?` : 'berth --help',
    })
  }
  return { host: undefined, rest: argv }
}

/** What every command and subcommand has: `--host`, `-o` into the output, errors as exceptions, help on stdout. */
function settle(command: Command, output: Output): void {
  command
    .exitOverride()
    .showSuggestionAfterError(false)
    .helpOption(command.options.some((o) => o.short === '-h') ? '--help' : '-h, --help', 'Print this help')
    .helpCommand(false)
    .configureOutput({ writeOut: (text) => output.write(text), writeErr: () => undefined })
  if (command.commands.length > 0) command.enablePositionalOptions()
  else {
    if (!command.options.some((option) => option.long === '--host')) {
      command.option('--host <url>', 'Daemon to talk to, unix://PATH (default: BERTH_HOST, then /run/berth)')
    }
    // `kubeconfig --output` is a file.
    const choosesFormat = command.options.some((o) => o.long === '--output' && o.flags.endsWith('<format>'))
    command.hook('preAction', () => {
      const asked: unknown = command.opts().output
      if (choosesFormat && typeof asked === 'string') output.format = outputFormat(asked)
    })
  }
  for (const child of command.commands) settle(child, output)
}

const outputFormats = ['table', 'json', 'yaml'] as const

function outputFormat(asked: string): Format {
  const format = outputFormats.find((known) => known === asked)
  if (format) return format
  const near = suggest(asked, outputFormats)
  throw new BerthError('USAGE', `Invalid argument "${asked}" for "-o, --output": invalid format type`, {
    hint: `${near ? `did you mean ${near}? ` : ''}One of ${outputFormats.join(', ')}`,
  })
}

function setHost(command: Command, host: string): void {
  if (command.commands.length === 0) command.setOptionValue('host', host)
  for (const child of command.commands) setHost(child, host)
}

function unknownCommand(name: string): BerthError {
  if (notYet.has(name)) {
    return new BerthError('UNSUPPORTED', `Command "${name}" is not there yet`, {
      hint: 'berth --help lists what is',
      details: { exitCode: 125 },
    })
  }
  const near = suggest(
    name,
    commands.flatMap((entry) => [entry.name, ...(entry.aliases ?? [])]),
  )
  return new BerthError('USAGE', `Unknown command "${name}"`, {
    hint: near ? `did you mean "berth ${near}"?` : 'berth --help lists the commands',
  })
}

interface Failure {
  readonly argv: readonly string[]
  readonly entry: CommandEntry | undefined
  readonly command: Command | undefined
  readonly output: Output
}

function failed(error: unknown, { argv, entry, command, output }: Failure): number {
  if (error instanceof CommanderError) {
    // A group without a subcommand prints its help; commander means it for stderr.
    if (error.code === 'commander.help' && command) output.write(command.helpInformation())
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.help') return 0
    output.format = output.format === 'text' ? askedFormat(argv, entry) : output.format
    output.fail(usageError(error, command), usageExit[entry?.manners ?? 'berth'])
    return output.exitCode
  }
  const asked = isBerthError(error) ? error.details?.exitCode : undefined
  if (typeof asked === 'number') output.fail(error, asked)
  else if (isBerthError(error, 'USAGE')) output.fail(error, usageExit[entry?.manners ?? 'berth'])
  else output.fail(error)
  return output.exitCode
}

/** `-o json` on a line that could not be parsed; docker's verbs are left out, theirs may be a container's words. */
function askedFormat(argv: readonly string[], entry: CommandEntry | undefined): Format {
  if (entry?.manners === 'docker') return 'text'
  return /(^| )(-o|--output)[ =]?json( |$)/.test(argv.join(' ')) ? 'json' : 'text'
}

/** Commander's words in berth's form, with the nearest flag or subcommand. */
function usageError(error: CommanderError, command: Command | undefined): BerthError {
  const name = command?.name() ?? ''
  const text = error.message.replace(/^error: /, '')
  const quoted = /'([^']*)'/.exec(text)?.[1] ?? ''
  const help = `berth ${name} --help`
  if (error.code === 'commander.unknownOption') {
    const near = suggest(quoted, command ? flagsOf(command) : [])
    return new BerthError('USAGE', `Unknown flag "${quoted}" of "berth ${name}"`, {
      hint: near ? `did you mean ${near}? See ${help}` : help,
    })
  }
  if (error.code === 'commander.unknownCommand') {
    const near = suggest(quoted, command?.commands.map((child) => child.name()) ?? [])
    return new BerthError('USAGE', `Unknown command "berth ${name} ${quoted}"`, {
      hint: near ? `did you mean "berth ${name} ${near}"?` : help,
    })
  }
  const sentence = text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '')
  return new BerthError('USAGE', sentence.replace(/'([^']*)'/g, '"$1"'), { hint: help })
}

function flagsOf(command: Command): string[] {
  const own = command.options.flatMap((option) => (option.long ? [option.long] : []))
  return [...own, ...command.commands.flatMap(flagsOf)]
}
