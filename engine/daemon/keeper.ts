import { join } from 'node:path'
import { BerthError } from '../base/error.ts'
import { entryFile } from '../base/host/entry.ts'
import { ensureFolder, writeFileAtomic } from '../base/host/files.ts'
import { formatIpv4, parseSubnet } from '../network/address.ts'
import { keeperCommand } from '../runtime/host/keeper.ts'
import type { Config } from './config.ts'
import { socketGroup } from './sockets.ts'

/**
 * glibc's malloc gives memory back: by itself it raises its limits with each large buffer that is freed, and keeps what
 * pulling an image took for good (120 instead of 82 MiB of PSS, a minute after a pull and ten containers).
 */
const memory = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '131072',
  MALLOC_TRIM_THRESHOLD_: '131072',
}

/** Read by the keeper once; the daemon removes it. */
export const keeperSettingsFile = 'keeper.settings'

/**
 * Becomes the keeper: this process is replaced by the launcher, which opens the sockets and starts the daemon with
 * them. Whatever can be wrong is found before, here, where it can still be said well.
 */
export async function becomeKeeper(config: Config, argv: readonly string[]): Promise<never> {
  if (process.getuid?.() !== 0) {
    throw new BerthError('FORBIDDEN', 'Cannot start the daemon: containers need root', {
      hint: 'sudo berth daemon',
    })
  }
  await ensureFolder(config.root, 0o700)
  await ensureFolder(config.run, 0o755)
  checkSocketPath(config.run)
  const group = await socketGroup(config.group)
  const socket = (name: string, file: string) => ({
    name,
    kind: 'unix' as const,
    path: join(config.run, file),
    mode: group === undefined ? 0o600 : 0o660,
    ...(group !== undefined && { group }),
  })
  // Networks' name server: the first address of the default network, which may not be there yet (IP_FREEBIND).
  const dns = { address: formatIpv4(parseSubnet(config.network.subnet).base + 1), port: 53 }
  const { file, args, input } = keeperCommand({
    lock: join(config.root, 'lock'),
    control: join(config.run, 'keeper.sock'),
    sockets: [
      socket('api', 'berth.sock'),
      socket('docker', 'docker.sock'),
      { name: 'dns-udp', kind: 'udp', ...dns },
      { name: 'dns-tcp', kind: 'tcp', ...dns },
    ],
    argv: [process.execPath, entryFile('daemon', 'engine/daemon/main.ts'), ...argv],
    env: {
      ...memory,
      ...Object.fromEntries(
        Object.entries(process.env).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])),
      ),
    },
  })
  // A file and not a pipe: who writes into the pipe is replaced before the keeper reads.
  const settings = join(config.run, keeperSettingsFile)
  await writeFileAtomic(settings, input, 0o600)
  process.execve?.(file, [file, ...args, settings], process.env)
  throw new BerthError('INTERNAL', `Cannot start the launcher "${file}"`)
}

/** The longest socket below the run folder is `s/ID12`; a Unix socket's path ends at 107 bytes. */
function checkSocketPath(run: string): void {
  const limit = 107 - '/s/0123456789ab'.length
  if (Buffer.byteLength(run) > limit) {
    throw new BerthError(
      'CONFIGURATION',
      `The run folder's path is ${Buffer.byteLength(run)} bytes long, at most ${limit} fit`,
      {
        where: { file: run },
        hint: 'choose a shorter one with --run',
      },
    )
  }
}
