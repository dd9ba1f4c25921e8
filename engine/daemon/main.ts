import { parseArgs } from 'node:util'
import { codes } from '../base/codes.ts'
import { describeError, formatError } from '../base/describe.ts'
import { BerthError, isBerthError } from '../base/error.ts'
import { type Log, openLog } from '../base/host/log.ts'
import { inheritedDescriptors } from '../runtime/host/keeper.ts'
import { type Config, readConfig } from './config.ts'
import { Daemon } from './daemon.ts'
import { becomeKeeper } from './keeper.ts'
import { reset } from './reset/reset.ts'

const endLimitMs = 5000
const fatalGraceMs = 200

/**
 * The daemon's process. Started by a person (`berth daemon`) it becomes the keeper, which starts this file again with
 * the open sockets (`BERTH_FDS`); with `--alone` (tests) it is the daemon without a keeper; with `--reset` it removes
 * what a daemon of these folders has on the machine (`berth system reset`, which has asked before).
 */
async function main(): Promise<void> {
  const argv = process.argv.slice(2)
  const { values } = parseArgs({
    args: argv,
    options: {
      root: { type: 'string' },
      run: { type: 'string' },
      config: { type: 'string' },
      alone: { type: 'boolean' },
      debug: { type: 'boolean' },
      reset: { type: 'boolean' },
    },
  })
  if (values.reset) return await resetFolders(values)
  const read = async (): Promise<Config> => {
    const file = await readConfig(values.config)
    return { ...file, root: values.root ?? file.root, run: values.run ?? file.run }
  }
  const config = await read()
  const descriptors = inheritedDescriptors(process.env)
  if (descriptors.size === 0 && !values.alone) await becomeKeeper(config, argv)
  await serve(config, { read, descriptors, debug: values.debug === true })
}

async function resetFolders(values: { root?: string; run?: string; config?: string }): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new BerthError('FORBIDDEN', 'Cannot reset: it needs root', { hint: 'sudo berth system reset' })
  }
  const { root, run } = values
  const folders = root !== undefined && run !== undefined ? { root, run } : await readConfig(values.config)
  let some = false
  const onRemoved = (line: string) => {
    some = true
    process.stdout.write(`${line}\n`)
  }
  await reset({ ...folders, onRemoved })
  if (!some) process.stdout.write(`nothing is there of a daemon in ${folders.root} and ${folders.run}\n`)
}

interface ServeOptions {
  /** The configuration as it is now. */
  readonly read: () => Promise<Config>
  readonly descriptors: ReadonlyMap<string, number>
  readonly debug: boolean
}

async function serve(config: Config, { read, descriptors, debug }: ServeOptions): Promise<void> {
  const log = openLog(debug ? 'debug' : 'info', (line) => process.stderr.write(line))
  const ending = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => ending.abort(new BerthError('INTERRUPTED', `Ended by ${name}`)))
  }
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()))
  const keeperSocket = process.env.BERTH_KEEPER
  const opened = Daemon.open({
    config,
    log,
    descriptors,
    ...(keeperSocket && { keeperSocket }),
    signal: ending.signal,
    onFatal: (error) => {
      log('error', 'the daemon has to end', { error: error.message })
      // Whoever waits for what could not be written is told why; nothing else is written any more.
      setTimeout(() => process.exit(1), fatalGraceMs)
    },
  })
  // One after the other, and one that comes early when the daemon is there.
  let turn: Promise<unknown> = opened.catch(() => undefined)
  process.on('SIGHUP', () => {
    turn = turn.then(async () => reread(await opened, read, log))
  })
  const daemon = await opened
  log('info', 'ready', { root: config.root, run: config.run, containers: daemon.containers.list().length })
  await ended
  const running = daemon.containers.list().filter((c) => c.state.status === 'running')
  log('info', 'ending; containers keep running', { containers: running.map((c) => c.settings.name) })
  // Whatever hangs: everything is safe against an end at any instruction, and who waits for the lock must not wait on.
  setTimeout(() => {
    log('error', 'the daemon did not end in time', { resources: process.getActiveResourcesInfo() })
    process.exit(1)
  }, endLimitMs).unref()
  await daemon[Symbol.asyncDispose]()
  log('info', 'ended')
}

/** SIGHUP: the file is read again, and what took effect is said, and what will only at the next start. */
async function reread(daemon: Daemon, read: () => Promise<Config>, log: Log): Promise<void> {
  try {
    const { now, later } = await daemon.reconfigure(await read())
    log('info', 'the configuration was read again', { changed: now })
    if (later.length > 0)
      log('warn', 'changes of the configuration take effect at the next start', { keys: later })
  } catch (error) {
    const { message, where, hint } = describeError(error)
    log('error', 'the changed configuration is wrong; the daemon goes on with the old one', {
      error: message,
      where,
      hint,
    })
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(formatError(describeError(error), process.stderr.isTTY === true))
    process.exit(isBerthError(error) ? codes[error.code].exit : codes.INTERNAL.exit)
  },
)
