import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/error.ts'
import { shortId } from '../../base/host/id.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { cgroupNames, removeCgroups } from './cgroups.ts'
import { cgroupsOf, type Engine, sandboxPlacesOf } from './engine.ts'

const idPattern = /^[0-9a-f]{64}$/

export interface Living {
  /** Containers that run, and sandboxes, which may have a process of their own. */
  readonly containers: ReadonlySet<string>
  /** Sandboxes that hold namespaces and addresses: pods', and those of running containers. */
  readonly sandboxes: ReadonlySet<string>
}

/**
 * Removes what nobody living has: namespaces, cgroups with their processes, sockets, folders without a record,
 * addresses and links. Everything is tried; what fails is logged and tried again at the next start.
 */
export async function sweep(engine: Engine, living: Living): Promise<void> {
  const results = await Promise.allSettled([
    sweepPins(engine, living.sandboxes),
    sweepCgroups(engine, living.containers).then(() => sweepSockets(engine, living.containers)),
    sweepFolders(engine),
    sweepSandboxFolders(engine, living.sandboxes),
    engine.networks.reconcile(living.sandboxes),
  ])
  for (const result of results) {
    if (result.status === 'rejected') {
      engine.log('warn', 'Cannot remove all remains', { error: messageOf(result.reason) })
    }
  }
}

const list = (folder: string): Promise<string[]> => readdir(folder).catch(() => [])

async function sweepPins(engine: Engine, living: ReadonlySet<string>): Promise<void> {
  const known = new Set([...living].map(shortId))
  const folder = join(engine.run, 'ns')
  for (const name of await list(folder)) {
    const id = /^([0-9a-f]{12})-(net|ipc|uts|pid)$/.exec(name)?.[1]
    if (id && !known.has(id)) await engine.namespaces.unpin(join(folder, name))
  }
}

/** Containers' cgroups at the top and inside pods' folders, which go when nothing is left in them. */
async function sweepCgroups(engine: Engine, living: ReadonlySet<string>): Promise<void> {
  for (const name of await cgroupNames(engine.cgroups)) {
    if (idPattern.test(name)) {
      if (!living.has(name)) await removeCgroups(cgroupFolders(engine.cgroups, name))
      continue
    }
    const inner = cgroupsOf(engine, name)
    for (const id of await cgroupNames(inner)) {
      if (idPattern.test(id) && !living.has(id)) await removeCgroups(cgroupFolders(inner, id))
    }
    for (const folder of cgroupFolders(engine.cgroups, name)) await rmdir(folder).catch(() => undefined)
  }
}

/** A supervisor without a living container ends with its process, which `sweepCgroups` or this kills. */
export async function sweepSockets(engine: Engine, living: ReadonlySet<string>): Promise<void> {
  const known = new Set([...living].map(shortId))
  const folder = join(engine.run, 's')
  for (const name of await list(folder)) {
    if (!/^[0-9a-f]{12}$/.test(name) || known.has(name)) continue
    const path = join(folder, name)
    try {
      const supervisor = await engine.launcher.connect(path, AbortSignal.timeout(1000))
      await supervisor.signal(9, { all: true })
      await supervisor.exited.catch(() => undefined)
      await supervisor[Symbol.asyncDispose]()
    } catch {
      // Nobody answers: only the file is left.
    }
    await rm(path, { force: true })
  }
}

async function sweepFolders(engine: Engine): Promise<void> {
  const folder = join(engine.root, 'containers')
  for (const name of await list(folder)) {
    if (!idPattern.test(name) || engine.records.get(name)) continue
    await engine.overlays.unmount(join(folder, name, 'rootfs'))
    await rm(join(folder, name), { recursive: true, force: true })
  }
}

async function sweepSandboxFolders(engine: Engine, living: ReadonlySet<string>): Promise<void> {
  for (const id of await list(join(engine.root, 'sandboxes'))) {
    if (!idPattern.test(id) || living.has(id)) continue
    const { folder, shm } = sandboxPlacesOf(engine, id)
    await engine.overlays.unmount(shm)
    await rm(folder, { recursive: true, force: true })
  }
}
