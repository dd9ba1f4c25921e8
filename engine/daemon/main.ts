import { parseArgs } from 'node:util'
import { codes } from '../base/codes.ts'
import { describeError, formatError } from '../base/describe.ts'
import { BerthError, isBerthError } from '../base/error.ts'
import { openLog } from '../base/host/log.ts'
import { inheritedDescriptors } from '../runtime/host/keeper.ts'
import { type Config, readConfig } from './config.ts'
import { Daemon } from './daemon.ts'
import { becomeKeeper } from './keeper.ts'
import { reset } from './reset/reset.ts'

const endLimitMs = 5000

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
  const file = await readConfig(values.config)
  const config: Config = { ...file, root: values.root ?? file.root, run: values.run ?? file.run }
  const descriptors = inheritedDescriptors(process.env)
  if (descriptors.size === 0 && !values.alone) await becomeKeeper(config, argv)
  await serve(config, { descriptors, debug: values.debug === true })
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

async function serve(
  config: Config,
  { descriptors, debug }: { descriptors: ReadonlyMap<string, number>; debug: boolean },
): Promise<void> {
  const log = openLog(debug ? 'debug' : 'info', (line) => process.stderr.write(line))
  const ending = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => ending.abort(new BerthError('INTERRUPTED', `Ended by ${name}`)))
  }
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()))
  const keeperSocket = process.env.BERTH_KEEPER
  const daemon = await Daemon.open({
    config,
    log,
    descriptors,
    ...(keeperSocket && { keeperSocket }),
    signal: ending.signal,
    onFatal: (error) => {
      log('error', 'the daemon has to end', { error: error.message })
      process.exit(1)
    },
  })
  log('info', 'ready', { root: config.root, run: config.run, containers: daemon.containers.list().length })
  process.on('SIGHUP', () => reread(config, log))
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

/** What a running daemon can take over from a changed file: nothing yet but the word that it cannot. */
async function reread(config: Config, log: ReturnType<typeof openLog>): Promise<void> {
  try {
    const changed = Object.entries(await readConfig(undefined)).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(config[key as keyof Config]),
    )
    log('warn', 'changes of the configuration take effect at the next start', {
      keys: changed.map(([key]) => key),
    })
  } catch (error) {
    log('error', 'the changed configuration is wrong; the daemon goes on with the old one', {
      error: String(error),
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
