import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { scaledMs } from '../../../test/support/time.ts'
import { hostTool } from '../../../test/tools/host-tool.ts'
import { newId } from '../../base/host/id.ts'
import type { ExecPlan, LaunchPlan, NamespaceJoin, Step, SupervisorSettings } from '../plan.ts'
import { launch, launcherFile } from './launcher.ts'
import type { AttachSession } from './session.ts'
import type { Supervisor } from './supervisor.ts'

/** What host tests of the launcher share: a root file system of one static program, and plans around it. */

export const clone = {
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  net: 0x40000000,
} as const
export const allNamespaces = clone.mount | clone.cgroup | clone.uts | clone.ipc | clone.pid | clone.net
const ms = {
  rdonly: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  bind: 0x1000,
  rec: 0x4000,
  private: 1 << 18,
  slave: 1 << 19,
}

/** The launcher under test: another build of it, as with sanitizers, is named by BERTH_LAUNCHER. */
export function launcherUnderTest(): string {
  return process.env.BERTH_LAUNCHER ?? launcherFile()
}

/** Fills a folder with busybox and the names of its programs that the tests use. */
async function fillRootfs(folder: string): Promise<void> {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp'])
    await mkdir(join(folder, name), { recursive: true })
  await copyFile((await hostTool('busybox')).file, join(folder, 'bin/busybox'))
  const names =
    'sh cat echo true false ls id sleep stty readlink kill ps hostname mount head seq env dd wc touch printf tty sed cut grep mkdir'
  for (const name of names.split(' ')) await symlink('busybox', join(folder, 'bin', name))
  await writeFile(join(folder, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
}

export interface PlanOptions {
  readonly argv: readonly string[]
  readonly settings?: Partial<SupervisorSettings>
  readonly flags?: number
  readonly join?: readonly NamespaceJoin[]
  readonly host?: readonly Step[]
  readonly parent?: readonly Step[]
  /** Before the pivot. */
  readonly mounts?: readonly Step[]
  /** Right before exec. */
  readonly last?: readonly Step[]
  readonly rootfs?: Step
  readonly barrier?: boolean
}

/** A temporary folder with a root file system, the containers made in it, and what they need to be made. */
export class Bench implements AsyncDisposable {
  readonly folder: string
  readonly rootfs: string
  readonly supervisors: Supervisor[] = []

  private constructor(folder: string) {
    this.folder = folder
    this.rootfs = join(folder, 'rootfs')
  }

  static async open(): Promise<Bench> {
    const bench = new Bench(await mkdtemp(join(tmpdir(), 'berth-launcher-')))
    await fillRootfs(bench.rootfs)
    return bench
  }

  /** A plan for a container of its own folder, with the usual mounts. */
  async plan(options: PlanOptions): Promise<LaunchPlan> {
    const id = newId().slice(0, 12)
    const stateFolder = join(this.folder, id)
    await mkdir(stateFolder)
    return planOf(id, stateFolder, this.rootfs, options)
  }

  async create(plan: LaunchPlan): Promise<Supervisor> {
    const supervisor = await launch(
      plan,
      { launcher: launcherUnderTest() },
      AbortSignal.timeout(scaledMs(20_000)),
    )
    this.supervisors.push(supervisor)
    return supervisor
  }

  /** Creates, attaches, starts and waits: what the program wrote and how it ended. */
  async run(options: PlanOptions): Promise<{ out: string; err: string; code: number }> {
    const supervisor = await this.create(await this.plan(options))
    const session = await supervisor.attach({ stdin: false, stdout: true, stderr: true })
    const texts = Promise.all([textOf(session, 'stdout'), textOf(session, 'stderr')])
    await supervisor.start()
    const { code } = await supervisor.exited
    const [out, err] = await texts
    return { out, err, code }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const supervisor of this.supervisors) {
      await supervisor.signal(9, { all: true }).catch(() => {})
      await Promise.race([supervisor.exited.catch(() => {}), sleep(5000)])
      await supervisor[Symbol.asyncDispose]()
    }
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** All that a stream of a session will ever give. */
export async function textOf(session: AttachSession, stream: 'stdout' | 'stderr'): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of session[stream]) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function planOf(id: string, stateFolder: string, rootfs: string, o: PlanOptions): LaunchPlan {
  const flags = o.flags ?? allNamespaces
  const inside = { rootfs, why: 'test' }
  /* Devices cannot be made in a user namespace. */
  const user = (flags & clone.user) !== 0 || o.join?.some(({ kind }) => kind === clone.user)
  const nodes = [
    ['null', 1, 3],
    ['zero', 1, 5],
    ['full', 1, 7],
    ['random', 1, 8],
    ['urandom', 1, 9],
    ['tty', 5, 0],
  ] as const
  const root: Step = o.rootfs ?? {
    do: 'mount',
    source: rootfs,
    target: rootfs,
    type: '',
    flags: ms.bind | ms.rec,
    why: 'pivot_root needs a mount',
  }
  const mounts: Step[] = [
    { do: 'propagation', flags: ms.rec | ms.slave, why: 'no mount spreads to the host' },
    root,
    { do: 'mount-in', ...inside, source: 'proc', target: '/proc', type: 'proc', flags: 14, create: 'folder' },
    {
      ...{ do: 'mount-in', ...inside, source: 'tmpfs', target: '/dev', type: 'tmpfs' },
      ...{ flags: ms.nosuid, data: 'mode=755,size=64k', create: 'folder' },
    },
    {
      ...{ do: 'mount-in', ...inside, source: 'devpts', target: '/dev/pts', type: 'devpts', flags: 10 },
      ...{ data: 'newinstance,ptmxmode=0666,mode=0620', create: 'folder' },
    },
    ...nodes.map(
      ([name, major, minor]): Step =>
        user
          ? {
              ...{ do: 'mount-in', ...inside, source: `/dev/${name}`, target: `/dev/${name}`, type: '' },
              ...{ flags: ms.bind, create: 'file' },
            }
          : {
              ...{ do: 'mknod-in', ...inside, path: `/dev/${name}`, kind: 'c', major, minor },
              ...{ mode: 0o666, uid: 0, gid: 0 },
            },
    ),
    { do: 'symlink-in', ...inside, path: '/dev/ptmx', target: 'pts/ptmx' },
    ...(o.mounts ?? []),
  ]
  const terminal = o.settings?.terminal ?? false
  return {
    version: 1,
    id,
    supervisor: {
      socket: join(stateFolder, 's'),
      stateFolder,
      terminal,
      stdin: false,
      stdinOnce: false,
      pauseOnly: false,
      cgroups: [],
      ...o.settings,
    },
    join: o.join ?? [],
    cloneFlags: flags,
    host: o.host ?? [],
    parent: o.parent ?? [],
    child: [
      { do: 'setsid', why: 'a session of its own' },
      ...(flags & clone.mount ? mounts : []),
      ...(flags & clone.net ? [{ do: 'loopback-up', why: 'a namespace begins with it down' } as const] : []),
      ...(terminal ? [{ do: 'console', rootfs, why: 'a terminal was asked for' } as const] : []),
      ...(flags & clone.mount ? [{ do: 'pivot-root', rootfs, why: 'its own root' } as const] : []),
      ...((o.barrier ?? true) ? [{ do: 'barrier', why: 'create and start are two' } as const] : []),
      ...(o.last ?? []),
      ...(o.settings?.pauseOnly
        ? []
        : [{ do: 'exec', argv: o.argv, env: ['PATH=/bin', 'TERM=xterm'], why: 'the command' } as const]),
    ],
  }
}

/** A plan for a further process in the namespaces of a container's first one. */
export function execPlanOf(
  pid: number,
  options: { argv: readonly string[]; terminal?: boolean; stdin?: boolean },
): ExecPlan {
  const kinds = ['ipc', 'uts', 'net', 'pid', 'cgroup', 'mount'] as const
  return {
    version: 1,
    id: `${options.argv.join(' ')}`,
    terminal: options.terminal ?? false,
    stdin: options.stdin ?? false,
    join: kinds.map((kind) => ({
      path: `/proc/${pid}/ns/${kind === 'mount' ? 'mnt' : kind}`,
      kind: clone[kind],
      why: `share ${kind}`,
    })),
    parent: [],
    child: [
      { do: 'setsid', why: 'a session of its own' },
      ...(options.terminal ? [{ do: 'console', rootfs: '/', why: 'a terminal was asked for' } as const] : []),
      { do: 'chdir', path: '/', create: false, why: 'where it begins' },
      { do: 'exec', argv: options.argv, env: ['PATH=/bin', 'TERM=xterm'], why: 'the command' },
    ],
  }
}

/** Tries until it does not throw, for at most ten seconds of a quick machine. */
export async function eventually<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (let i = 0; ; i++) {
    try {
      return await attempt()
    } catch (error) {
      if (i >= scaledMs(500)) throw error
      await sleep(20)
    }
  }
}

/** Whether a process is there and not a zombie. */
export async function alive(pid: number): Promise<boolean> {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(await readFile(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
