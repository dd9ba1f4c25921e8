import { BerthError } from '../../base/error.ts'
import type { Step } from '../plan.ts'
import type { CgroupLayout } from './cgroups.ts'
import { CLONE, MOUNT_ATTR, MS } from './linux.ts'
import type { OciMount } from './types.ts'

interface Effect {
  readonly set?: number
  readonly clear?: number
  readonly propagation?: number
  /** MOUNT_ATTR_* for the whole tree. */
  readonly recursive?: number
}

/** What each mount option does (runtime-spec, config.md, "Linux mount options"). All others are the file system's. */
const options: Readonly<Record<string, Effect>> = {
  defaults: {},
  async: { clear: MS.SYNCHRONOUS },
  atime: { clear: MS.NOATIME },
  bind: { set: MS.BIND },
  dev: { clear: MS.NODEV },
  diratime: { clear: MS.NODIRATIME },
  dirsync: { set: MS.DIRSYNC },
  exec: { clear: MS.NOEXEC },
  iversion: { set: MS.I_VERSION },
  lazytime: { set: MS.LAZYTIME },
  loud: { clear: MS.SILENT },
  mand: { set: MS.MANDLOCK },
  noatime: { set: MS.NOATIME },
  nodev: { set: MS.NODEV },
  nodiratime: { set: MS.NODIRATIME },
  noexec: { set: MS.NOEXEC },
  noiversion: { clear: MS.I_VERSION },
  nolazytime: { clear: MS.LAZYTIME },
  nomand: { clear: MS.MANDLOCK },
  norelatime: { clear: MS.RELATIME },
  nostrictatime: { clear: MS.STRICTATIME },
  nosuid: { set: MS.NOSUID },
  nosymfollow: { set: MS.NOSYMFOLLOW },
  rbind: { set: MS.BIND | MS.REC },
  relatime: { set: MS.RELATIME },
  remount: { set: MS.REMOUNT },
  ro: { set: MS.RDONLY },
  rw: { clear: MS.RDONLY },
  silent: { set: MS.SILENT },
  strictatime: { set: MS.STRICTATIME },
  suid: { clear: MS.NOSUID },
  symfollow: { clear: MS.NOSYMFOLLOW },
  sync: { set: MS.SYNCHRONOUS },
  private: { propagation: MS.PRIVATE },
  rprivate: { propagation: MS.PRIVATE | MS.REC },
  shared: { propagation: MS.SHARED },
  rshared: { propagation: MS.SHARED | MS.REC },
  slave: { propagation: MS.SLAVE },
  rslave: { propagation: MS.SLAVE | MS.REC },
  unbindable: { propagation: MS.UNBINDABLE },
  runbindable: { propagation: MS.UNBINDABLE | MS.REC },
  rro: { set: MS.RDONLY, recursive: MOUNT_ATTR.RDONLY },
  rnosuid: { set: MS.NOSUID, recursive: MOUNT_ATTR.NOSUID },
  rnodev: { set: MS.NODEV, recursive: MOUNT_ATTR.NODEV },
  rnoexec: { set: MS.NOEXEC, recursive: MOUNT_ATTR.NOEXEC },
}

export interface MountOptions {
  readonly flags: number
  readonly propagation: number | undefined
  readonly recursive: number
  /** The file system's own options. */
  readonly data: string
}

/** Sorts a mount's options into mount(2)'s flags, propagation, attributes for the tree, and data. */
export function parseMountOptions(list: readonly string[]): MountOptions {
  let flags = 0
  let recursive = 0
  let propagation: number | undefined
  const data: string[] = []
  for (const option of list) {
    const effect = Object.hasOwn(options, option) ? options[option] : undefined
    if (!effect) {
      data.push(option)
      continue
    }
    flags = (flags | (effect.set ?? 0)) & ~(effect.clear ?? 0)
    recursive |= effect.recursive ?? 0
    propagation = effect.propagation ?? propagation
  }
  return { flags, propagation, recursive, data: data.join(',') }
}

/** `MS_SLAVE | MS_REC` of `rslave`; undefined for a word that is no propagation. */
export function propagationFlag(word: string): number | undefined {
  return Object.hasOwn(options, word) ? options[word]?.propagation : undefined
}

export interface MountContext {
  readonly rootfs: string
  readonly layout: CgroupLayout
  readonly id: string
  /** CLONE_NEW* of the namespaces that are the container's own. */
  readonly own: number
  /** Bind sources that are not folders: their mount point is made as a file. */
  readonly files: ReadonlySet<string>
}

/** The steps of one of the configuration's mounts. */
export function mountSteps(mount: OciMount, index: number, context: MountContext): Step[] {
  const at = `mounts[${index}]`
  const { destination, type = '', source = type } = mount
  if (!destination.startsWith('/')) {
    throw new BerthError(
      'INVALID',
      `Cannot mount at ${JSON.stringify(destination)}: a path must begin with "/"`,
      {
        details: { at },
      },
    )
  }
  const { flags, propagation, recursive, data } = parseMountOptions(mount.options ?? [])
  const bind = (flags & MS.BIND) !== 0 || type === 'bind'
  if (type === 'cgroup' || type === 'cgroup2') return cgroupMounts(destination, flags, { ...context, at })
  const spread = { ...(propagation !== undefined && { propagation }), ...(recursive && { recursive }) }
  if (bind && mount.part) {
    return [
      {
        do: 'bind-in',
        rootfs: context.rootfs,
        sourceRoot: source,
        source: mount.part.path,
        target: destination,
        createSource: mount.part.create,
        flags: flags | MS.BIND,
        ...spread,
        why: `a part of ${source} of the host, as asked`,
        at,
      },
    ]
  }
  return [
    {
      do: 'mount-in',
      rootfs: context.rootfs,
      source,
      target: destination,
      type: bind ? '' : type,
      flags: bind ? flags | MS.BIND : flags,
      ...(data && { data }),
      create: bind && context.files.has(source) ? 'file' : 'folder',
      ...spread,
      why: reason(mount, bind, context.own),
      at,
    },
  ]
}

const reasons: Readonly<Record<string, string>> = {
  '/dev': 'a device folder of its own, empty at first',
  '/dev/pts': "pseudo-terminals of its own, so that it cannot open the host's",
  '/dev/shm': 'POSIX shared memory of its own, of limited size',
  '/dev/mqueue': 'POSIX message queues of its IPC namespace',
  '/sys': 'devices and drivers, as its network namespace sees them',
  '/etc/hosts': 'its own name and address, and extra hosts',
  '/etc/hostname': 'its host name',
  '/etc/resolv.conf': 'the name server of its network',
}

function reason({ destination, type, source }: OciMount, bind: boolean, own: number): string {
  if (type === 'proc') {
    return own & CLONE.NEWPID
      ? "process list of the container's own PID namespace"
      : 'process list of the PID namespace that it shares'
  }
  const known = reasons[destination]
  if (known) return known
  if (bind) return `${source} of the host, as asked`
  return type === 'tmpfs' ? 'files in memory that end with the container' : `a ${type} file system, as asked`
}

/**
 * v2: one cgroup2 mount. v1: a tmpfs with a folder a hierarchy and a link for each controller of a joint one. In a
 * cgroup namespace of its own the container sees its cgroup as the root; without one, its folder is bound.
 */
function cgroupMounts(destination: string, flags: number, context: MountContext & { at: string }): Step[] {
  const { rootfs, layout, id, own, at } = context
  const flagsOf = flags & ~(MS.BIND | MS.REC)
  const mountOf = ({ name, mount }: { name: string; mount: string }, target: string): Step => {
    const common = { do: 'mount-in', rootfs, target, create: 'folder', at } as const
    if (own & CLONE.NEWCGROUP) {
      const fresh = name === '' ? { type: 'cgroup2' } : { type: 'cgroup', data: name }
      return {
        ...common,
        source: 'cgroup',
        ...fresh,
        flags: flagsOf,
        why: 'its own limits and use, as its root cgroup',
      }
    }
    return {
      ...common,
      source: `${mount}${layout.parent}/${id}`,
      type: '',
      flags: flagsOf | MS.BIND,
      why: 'its own limits and use',
    }
  }
  const [only] = layout.hierarchies
  if (layout.version === 2) return only ? [mountOf(only, destination)] : []
  const steps: Step[] = [
    {
      do: 'mount-in',
      rootfs,
      source: 'tmpfs',
      target: destination,
      type: 'tmpfs',
      flags: flagsOf & ~MS.RDONLY,
      data: 'mode=755',
      create: 'folder',
      why: "a folder for cgroup v1's hierarchies",
      at,
    },
  ]
  for (const hierarchy of layout.hierarchies) {
    if (hierarchy.name === '') continue
    const folder = hierarchy.name.replace(/^name=/, '')
    steps.push(mountOf(hierarchy, `${destination}/${folder}`))
    if (hierarchy.controllers.length > 1) {
      for (const controller of hierarchy.controllers) {
        steps.push({
          do: 'symlink-in',
          rootfs,
          path: `${destination}/${controller}`,
          target: folder,
          why: 'each controller by its own name',
          at,
        })
      }
    }
  }
  if (flags & MS.RDONLY) {
    steps.push({ do: 'read-only', rootfs, path: destination, why: 'nothing more is added to the folder', at })
  }
  return steps
}
