import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { MS } from '../../runtime/oci/linux.ts'
import { pausePlan } from '../pause.ts'
import type { SupervisorHandle } from '../ports.ts'
import { removeCgroups } from './cgroups.ts'
import { cgroupsOf, type Engine, sandboxPlacesOf } from './engine.ts'

export type PauseEngine = Pick<Engine, 'root' | 'run' | 'namespaces' | 'overlays' | 'launcher' | 'cgroups'>

interface Pod {
  readonly id: string
  readonly cgroupParent?: string
}

/**
 * Starts the first process of a sandbox's PID namespace and pins the namespace. The pin does not keep it alive, but
 * who joins by it can never meet another process of the same number.
 */
export async function startPause(
  engine: PauseEngine,
  { id, cgroupParent }: Pod,
  signal: AbortSignal,
): Promise<SupervisorHandle> {
  const places = sandboxPlacesOf(engine, id)
  for (const folder of [places.state, places.root]) await mkdir(folder, { recursive: true, mode: 0o700 })
  const supervisor = await engine.launcher.launch(
    pausePlan(id, places, cgroupsOf(engine, cgroupParent)),
    signal,
  )
  try {
    const pin = places.namespace('pid')
    await writeFile(pin, '', { mode: 0o600 })
    await engine.overlays.mount({ source: `/proc/${supervisor.pid}/ns/pid`, target: pin, flags: MS.BIND })
    // Had it died before, the number could be another's by now: then this fails.
    await supervisor.start()
    return supervisor
  } catch (error) {
    await supervisor[Symbol.asyncDispose]()
    await stopPause(engine, { id, ...(cgroupParent && { cgroupParent }) })
    throw error
  }
}

/** Ends it, and with it every process of the namespace. Idempotent; needs no connection. */
export async function stopPause(engine: PauseEngine, { id, cgroupParent }: Pod): Promise<void> {
  const { socket, namespace } = sandboxPlacesOf(engine, id)
  await removeCgroups(cgroupFolders(cgroupsOf(engine, cgroupParent), id))
  // The pod's goes with the last that is in it.
  for (const folder of cgroupParent ? cgroupFolders(engine.cgroups, cgroupParent) : [])
    await rmdir(folder).catch(() => undefined)
  await engine.namespaces.unpin(namespace('pid'))
  await rm(socket, { force: true })
}
