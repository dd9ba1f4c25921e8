import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { BerthError, messageOf } from '../../base/error.ts'
import { packageRoot } from '../../base/host/entry.ts'
import { encodeLaunch } from '../encode.ts'
import type { LaunchPlan } from '../plan.ts'
import { connectTo } from './connect.ts'
import { encodeFrame, frame } from './protocol.ts'
import { Supervisor } from './supervisor.ts'

/** Who makes a supervisor: a keeper, or this process, which starts the launcher itself. */
export interface LaunchVia {
  readonly keeperSocket?: string
  /** Another launcher than `launcherFile()`; without a keeper only. */
  readonly launcher?: string
}

/** The launcher's program: built on this machine, or in an installed package the prebuilt one. */
export function launcherFile(): string {
  const built = join(packageRoot(), 'dist/launcher')
  if (existsSync(built)) return built
  return join(packageRoot(), `engine/runtime/launcher/prebuilt/launcher-${process.arch}`)
}

/**
 * Creates a container up to its barrier. Rejects with `KERNEL` when a step fails, and nothing is left then but what
 * `host` steps made. When `signal` aborts, the container may still come to be: `Supervisor.connect` tells.
 */
export async function launch(plan: LaunchPlan, via: LaunchVia, signal: AbortSignal): Promise<Supervisor> {
  signal.throwIfAborted()
  const bytes = encodeFrame(frame.launch, encodeLaunch(plan))
  const action = `create container "${plan.id}"`
  const socket =
    via.keeperSocket === undefined
      ? await startSupervisor(via.launcher ?? launcherFile(), action)
      : await connectTo(via.keeperSocket, signal)
  socket.write(bytes)
  return await Supervisor.adopt(socket, plan.supervisor.socket, { action, signal })
}

/** In a session of its own, so that nothing that ends this process ends it too; its connection is descriptor 3. */
async function startSupervisor(launcher: string, action: string): Promise<Socket> {
  const child = spawn(launcher, ['supervisor'], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    cwd: '/',
    env: {},
  })
  child.unref()
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (error) =>
      reject(
        new BerthError('UNAVAILABLE', `Cannot ${action}: "${launcher}" does not start: ${messageOf(error)}`, {
          hint: 'npm run build makes the launcher',
          cause: error,
        }),
      ),
    )
  })
  return child.stdio[3] as Socket
}
