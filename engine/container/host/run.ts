import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError, errnoOf } from '../../base/error.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { type CompileContext, compile } from '../../runtime/oci/compile.ts'
import { compileSeccomp } from '../../runtime/oci/seccomp.ts'
import type { OciSeccomp } from '../../runtime/oci/types.ts'
import type { LaunchPlan } from '../../runtime/plan.ts'
import type { ContainerRecord, EndpointRecord, NetworkSetting } from '../container.ts'
import { hostsFile, mergeResolver, type Resolver, resolvConf } from '../etc.ts'
import { shortId } from '../id.ts'
import type { SupervisorHandle } from '../ports.ts'
import { findContainer } from '../reference.ts'
import { buildSpec, capabilityNames, type SpecFacts } from '../spec.ts'
import { type ResolvedUser, resolveUser } from '../user.ts'
import { removeCgroups } from './cgroups.ts'
import { sharedDevices } from './devices.ts'
import { cgroupsOf, type Engine, placesOf, sandboxPlacesOf } from './engine.ts'
import { readFromLayers } from './layers.ts'
import { closeSandbox, joinSandbox, type OpenedSandbox, pinSandbox, type SandboxSettings } from './sandbox.ts'

/** A container up to its barrier: everything is there, its program has not begun. */
export interface Raised extends OpenedSandbox {
  readonly supervisor: SupervisorHandle
}

/**
 * Makes sandbox and process of a container, up to the barrier. `recorded` settles when its record says that it
 * starts: until then there are only namespaces, which a sweep finds. After a failure nothing of it is left but the
 * container's folder.
 */
export async function raise(
  engine: Engine,
  record: ContainerRecord,
  { recorded, signal }: { recorded: Promise<unknown>; signal: AbortSignal },
): Promise<Raised> {
  const own = sandboxOf(engine, record)
  let opened: OpenedSandbox = { networks: {}, ports: [] }
  try {
    await Promise.all([recorded, prepareFolder(engine, record), own && pinSandbox(engine, own)])
    // Networks and process need only the namespaces, so both are made at once; a sysctl may name an interface.
    const joining = own ? joinSandbox(engine, own) : Promise.resolve(opened)
    const first = Object.keys(record.settings.sysctls ?? {}).some((key) => key.startsWith('net'))
    const launching = Promise.all([planOf(engine, record), first && joining])
    const [joined, launched] = await Promise.allSettled([
      joining,
      launching.then(([plan]) => engine.launcher.launch(plan, signal)),
    ])
    if (joined.status === 'fulfilled') opened = joined.value
    try {
      if (joined.status === 'rejected') throw joined.reason
      if (launched.status === 'rejected') throw launched.reason
      const { sandbox } = record.settings
      await writeEtc(engine, record, sandbox ? networksOfPod(engine, sandbox) : opened.networks)
      return { ...opened, supervisor: launched.value }
    } catch (error) {
      if (launched.status === 'fulfilled') await launched.value[Symbol.asyncDispose]()
      throw error
    }
  } catch (error) {
    await lower(engine, { ...record, networks: opened.networks })
    throw error
  }
}

function networksOfPod(engine: Engine, id: string): Readonly<Record<string, EndpointRecord>> {
  return engine.podSandbox?.(id).opened?.networks ?? {}
}

/** Takes down what `raise` made, the process included. Idempotent; what fails is logged and swept later. */
export async function lower(engine: Engine, record: ContainerRecord): Promise<void> {
  await removeCgroups(cgroupFolders(cgroupsOf(engine, record.settings.cgroupParent), record.id))
  // A supervisor that was killed left it.
  await rm(placesOf(engine, record.id).socket, { force: true })
  if (!record.settings.sandbox) await closeSandbox(engine, record.id, Object.values(record.networks))
}

/** What a run needs on disk: an empty state folder, and the files that are bound into /etc, whose text comes later. */
async function prepareFolder(engine: Engine, record: ContainerRecord): Promise<void> {
  const places = placesOf(engine, record.id)
  const touch = (name: string) => writeFile(join(places.folder, name), '', { flag: 'a', mode: 0o644 })
  await Promise.all([
    rm(places.socket, { force: true }),
    ...['hostname', 'hosts', 'resolv.conf'].map(touch),
    rm(join(places.folder, 'runs'), { recursive: true, force: true }),
  ])
  await mkdir(places.state(record.progress.run), { recursive: true, mode: 0o700 })
}

function sandboxOf(engine: Engine, record: ContainerRecord): SandboxSettings | undefined {
  const { settings } = record
  if (settings.sandbox) return undefined
  const own = ownNamespaces(record)
  return {
    id: record.id,
    hostname: record.hostname,
    own,
    networks: own.includes('net') ? networksOf(engine, record) : [],
    ports: settings.ports,
    sysctls: {},
  }
}

/** Kinds that the container has of its own, by its modes. */
export function ownNamespaces({ settings }: ContainerRecord): ('net' | 'ipc' | 'uts')[] {
  const shared = (mode: string | undefined) => mode === 'host' || mode?.startsWith('container:')
  return [
    ...(shared(settings.networkMode) ? [] : (['net'] as const)),
    ...(shared(settings.ipcMode) ? [] : (['ipc'] as const)),
    ...(settings.utsMode === 'host' ? [] : (['uts'] as const)),
  ]
}

/** The network of the mode first, unless the others name it. */
function networksOf(engine: Engine, record: ContainerRecord): NetworkSetting[] {
  const { settings } = record
  if (settings.networkMode === 'none') return []
  const main = settings.networkMode || 'bridge'
  const named = settings.networks.some(
    ({ name }) => engine.networks.resolve(name) === engine.networks.resolve(main),
  )
  const asked = named ? settings.networks : [{ name: main, aliases: [] }, ...settings.networks]
  return asked.map((network) => namedNetwork(engine, record, network))
}

/** A network by its own name, and the names by which its containers find this one. */
export function namedNetwork(
  engine: Engine,
  record: ContainerRecord,
  network: NetworkSetting,
): NetworkSetting {
  const name = engine.networks.resolve(network.name)
  if (!name) throw new BerthError('NOT_FOUND', `network ${network.name} not found`)
  const aliases = [...new Set([record.settings.name, ...network.aliases, shortId(record.id)])]
  return { ...network, name, aliases }
}

/** The files of /etc that the engine writes; a container that shares another's network shares its files too. */
export async function writeEtc(
  engine: Engine,
  record: ContainerRecord,
  networks: Readonly<Record<string, EndpointRecord>>,
): Promise<void> {
  const { settings, hostname } = record
  const { folder } = placesOf(engine, record.id)
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o644 })
  const first = Object.keys(networks)[0]
  const host = async (path: string) => await readFile(path, 'utf8').catch(() => '')
  const resolver = (first && engine.networks.resolver(first)) || parseResolver(await host('/etc/resolv.conf'))
  const asked = settings.dns
  const hosts =
    settings.networkMode === 'host' && !settings.extraHosts?.length
      ? await host('/etc/hosts')
      : hostsFile({
          hostname,
          ...(settings.domainname && { domainname: settings.domainname }),
          addresses: Object.values(networks).map((endpoint) => endpoint.address),
          extra: settings.extraHosts ?? [],
          gateway: Object.values(networks)[0]?.gateway,
        })
  await Promise.all([
    write('hostname', `${hostname}\n`),
    write('hosts', hosts),
    write('resolv.conf', resolvConf(mergeResolver(resolver, asked))),
  ])
}

function parseResolver(text: string): Resolver {
  const words = (key: string) =>
    text
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([first]) => first === key)
  return {
    servers: words('nameserver').flatMap(([, server]) => (server ? [server] : [])),
    search: words('search').at(-1)?.slice(1) ?? [],
    options: words('options').flatMap(([, ...options]) => options),
  }
}

/** The launch plan of a container as things are now. */
export async function planOf(engine: Engine, record: ContainerRecord): Promise<LaunchPlan> {
  const places = placesOf(engine, record.id)
  const { settings } = record
  const { folder, lower } = await engine.images.rootfs(record.imageId)
  const sharedMemory = sharedMemoryOf(engine, record)
  const facts: SpecFacts = {
    user: await userOf(engine, record, record.process.user),
    kernel: engine.kernel,
    namespaces: namespacesOf(engine, record),
    etc: etcFiles(engine, record),
    devices: await sharedDevices(settings),
    rootfs: places.rootfs,
    ...(sharedMemory && { sharedMemory }),
  }
  const spec = buildSpec(record, facts)
  const context: CompileContext = {
    id: record.id,
    rootfs: { kind: 'overlay', folder, lower, upper: places.upper, work: places.work, target: places.rootfs },
    supervisor: {
      socket: places.socket,
      stateFolder: places.state(record.progress.run),
      ...(!settings.log?.none && {
        log: {
          path: record.logPath,
          maxSizeBytes: settings.log?.maxSizeBytes ?? 0,
          maxFiles: settings.log?.maxFiles ?? 1,
        },
      }),
      terminal: settings.terminal,
      stdin: settings.stdin,
      stdinOnce: settings.stdinOnce,
      pauseOnly: false,
    },
    cgroups: cgroupsOf(engine, settings.cgroupParent),
    kernel: engine.kernel,
    files: await checkSources(record, facts.etc),
    ...(spec.linux?.seccomp && { compiled: compiledSeccomp(spec.linux.seccomp, settings) }),
  }
  return compile(spec, context)
}

/** Programs by the capabilities that decide over docker's own profile: compiling takes some milliseconds. */
const programs = new Map<string, { program: Uint8Array; flags: number }>()

/** The program of a profile, compiled once. */
export function compiledSeccomp(
  seccomp: OciSeccomp,
  settings: ContainerRecord['settings'],
): { program: Uint8Array; flags: number } {
  if (typeof settings.seccomp === 'object') return compileSeccomp(seccomp)
  const key = capabilityNames(settings).sort().join()
  const known = programs.get(key) ?? compileSeccomp(seccomp)
  if (programs.size > 64) programs.clear()
  programs.set(key, known)
  return known
}

/** A user's numbers, by the passwd and group files of the container's own root file system. */
export async function userOf(engine: Engine, record: ContainerRecord, user: string): Promise<ResolvedUser> {
  const { folder, lower } = await engine.images.rootfs(record.imageId)
  const layers = [placesOf(engine, record.id).upper, ...lower.map((layer) => join(folder, layer))]
  const [passwd, group] = await Promise.all([
    readFromLayers(layers, '/etc/passwd'),
    readFromLayers(layers, '/etc/group'),
  ])
  return resolveUser(user, { passwd, group }, record.settings.groupAdd)
}

/** Where /dev/shm comes from, when it is not the container's own. */
function sharedMemoryOf(engine: Engine, { settings }: ContainerRecord): string | undefined {
  if (settings.ipcMode === 'host') return '/dev/shm'
  const { sandbox } = settings
  return sandbox && engine.podSandbox?.(sandbox).settings.sharedMemory
    ? sandboxPlacesOf(engine, sandbox).shm
    : undefined
}

function namespacesOf(engine: Engine, record: ContainerRecord): SpecFacts['namespaces'] {
  const { settings } = record
  const { namespace } = placesOf(engine, settings.sandbox ?? record.id)
  const of = (mode: string | undefined, kind: 'net' | 'ipc' | 'uts'): string | undefined => {
    if (mode === 'host') return undefined
    return mode?.startsWith('container:') ? `/proc/${runningPid(engine, mode)}/ns/${kind}` : namespace(kind)
  }
  const network = of(settings.networkMode, 'net')
  const ipc = of(settings.ipcMode, 'ipc')
  const uts = of(settings.utsMode, 'uts')
  const pid = settings.pidMode
  return {
    ...(network && { network }),
    ...(ipc && { ipc }),
    ...(uts && { uts }),
    pid:
      pid === 'host'
        ? 'host'
        : pid?.startsWith('container:')
          ? { path: `/proc/${runningPid(engine, pid)}/ns/pid` }
          : pid === 'sandbox'
            ? { path: namespace('pid') }
            : 'new',
    cgroup: settings.cgroupnsMode === 'host' ? 'host' : 'new',
  }
}

function runningPid(engine: Engine, mode: string): number {
  const target = targetOf(engine, mode)
  if (target.state.pid === 0) {
    throw new BerthError(
      'CONFLICT',
      `Cannot join the namespace of a container that does not run: ${target.id}`,
      {
        hint: `berth start ${target.settings.name}`,
      },
    )
  }
  return target.state.pid
}

function targetOf(engine: Engine, mode: string): ContainerRecord {
  return findContainer(
    [...engine.records.entries()].map(([, record]) => record),
    mode.slice('container:'.length),
  )
}

function etcFiles(engine: Engine, record: ContainerRecord): { target: string; source: string }[] {
  const { networkMode } = record.settings
  const owner = networkMode.startsWith('container:') ? targetOf(engine, networkMode).id : record.id
  const { folder } = placesOf(engine, owner)
  return ['resolv.conf', 'hostname', 'hosts'].map((name) => ({
    target: `/etc/${name}`,
    source: join(folder, name),
  }))
}

/**
 * Which bind sources are no folders; a missing one is made or refused, as it was asked for. A part of a volume is left
 * to the launcher, which looks at it without following a link out of the volume.
 */
async function checkSources(record: ContainerRecord, etc: SpecFacts['etc']): Promise<Set<string>> {
  const files = new Set(etc.map(({ source }) => source))
  for (const { kind, source, setting } of record.mounts) {
    if (kind === 'tmpfs') continue
    try {
      if (!(await stat(source)).isDirectory()) files.add(source)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error
      if (!setting.createSource) {
        throw new BerthError(
          'INVALID',
          `Invalid mount config for type "${kind}": bind source path does not exist: ${source}`,
        )
      }
      await mkdir(source, { recursive: true, mode: 0o755 })
    }
  }
  return files
}
