import { mkdir, rm } from 'node:fs/promises'
import { hostname as hostName } from 'node:os'
import { dirname } from 'node:path'
import { BerthError, isBerthError, messageOf } from '../../base/error.ts'
import { ensureFolder } from '../../base/host/files.ts'
import { newId, shortId } from '../../base/host/id.ts'
import type { ContainerRecord, ContainerSettings, MountPoint } from '../container.ts'
import { checkName, drawName } from '../reference.ts'
import { planMounts, resolveProcess } from '../resolve.ts'
import { capabilityNames } from '../spec.ts'
import { type Engine, placesOf } from './engine.ts'
import { lower, ownNamespaces } from './run.ts'

/** A new container's record, checked as far as can be without effect. Its volumes' folders are not known yet. */
export function draft(engine: Engine, settings: ContainerSettings): ContainerRecord {
  const image = engine.images.get(settings.imageId ?? settings.image)
  if (!image) {
    throw new BerthError('NOT_FOUND', `No such image: ${settings.image}`, {
      hint: `berth pull ${settings.image}`,
    })
  }
  if (settings.init) {
    throw new BerthError(
      'UNSUPPORTED',
      'Cannot run an init process in the container: --init is not there yet',
    )
  }
  const records = [...engine.records.entries()].map(([, record]) => record)
  const taken = new Set(records.map((record) => record.settings.name))
  const name = settings.name.replace(/^\//, '') || drawName(taken, Math.random)
  checkName(records, name)
  capabilityNames(settings)
  const config = image.config.config ?? {}
  const id = newId()
  const sharesHostName = settings.networkMode === 'host' || settings.utsMode === 'host'
  const record: ContainerRecord = {
    id,
    created: engine.clock.now(),
    settings: { ...settings, name },
    imageId: image.id,
    process: resolveProcess(settings, config),
    mounts: planMounts(settings, config, newId).map((mount) => ({ ...mount, source: mount.source ?? '' })),
    hostname: settings.hostname || (sharesHostName ? hostName() : shortId(id)),
    logPath: settings.log?.path ?? placesOf(engine, id).log,
    state: { status: 'created', pid: 0, exitCode: 0, error: '', oomKilled: false, restartCount: 0 },
    networks: {},
    ports: [],
    progress: { step: 'making', run: 0, stopped: false, failures: 0 },
  }
  checkNetworks(engine, record)
  return record
}

function checkNetworks(engine: Engine, record: ContainerRecord): void {
  const { settings } = record
  const own = ownNamespaces(record).includes('net') && !settings.sandbox
  if (!own && settings.ports.length > 0) {
    throw new BerthError(
      'INVALID',
      'Conflicting options: port publishing and the container type network mode',
    )
  }
  if (!own || settings.networkMode === 'none') return
  for (const name of [
    settings.networkMode || 'bridge',
    ...settings.networks.map((network) => network.name),
  ]) {
    // Not NOT_FOUND: docker's client takes that for the image's, and pulls it.
    if (!engine.networks.resolve(name)) throw new BerthError('INVALID', `network ${name} not found`)
  }
}

/**
 * Folders and volumes of a drafted container. Gives the mounts with their sources. `recorded` settles when its record
 * is written: until then there are only folders, which a sweep finds.
 */
export async function make(
  engine: Engine,
  record: ContainerRecord,
  recorded: Promise<unknown>,
): Promise<MountPoint[]> {
  const places = placesOf(engine, record.id)
  await ensureFolder(places.folder, 0o700)
  await Promise.all([
    recorded,
    ...[places.upper, places.work, places.rootfs].map((path) => mkdir(path, { mode: 0o755 })),
    mkdir(dirname(record.logPath), { recursive: true, mode: 0o750 }),
  ])
  const mounts: MountPoint[] = []
  for (const mount of record.mounts) {
    if (mount.kind !== 'volume' || !mount.name) {
      mounts.push(mount)
      continue
    }
    const { folder } = await engine.volumes.ensure(mount.name, { anonymous: mount.anonymous })
    mounts.push({ ...mount, source: folder })
  }
  return mounts
}

/** Removes everything of a container but its record. Idempotent. */
export async function unmake(
  engine: Engine,
  record: ContainerRecord,
  options: { volumes: boolean },
): Promise<void> {
  const places = placesOf(engine, record.id)
  await Promise.all([lower(engine, record), engine.overlays.unmount(places.rootfs)])
  await rm(places.socket, { force: true })
  await rm(places.folder, { recursive: true, force: true })
  if (!options.volumes) return
  for (const { anonymous, name } of record.mounts) {
    if (!anonymous || !name) continue
    await engine.volumes.remove(name).catch((error) => {
      // In use by another container: it stays, as with docker.
      if (!isBerthError(error, 'CONFLICT', 'NOT_FOUND')) {
        engine.log('warn', 'Cannot remove a volume', { name, error: messageOf(error) })
      }
    })
  }
}
