import { readFileSync } from 'node:fs'
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { compareSnapshots, type Snapshot } from '../demo/snapshot.ts'
import { TestDaemon } from '../tools/daemon.ts'

let daemon: TestDaemon
let before: Snapshot
/** Of keeper, daemon, supervisors and containers. */
let running: readonly string[]
let instance: string

/** A daemon with a container of two networks, a pod, a volume, and a chain of somebody else's that drops. */
beforeEach(async () => {
  daemon = await TestDaemon.start()
  await nft(
    'add table ip other; add chain ip other forward { type filter hook forward priority 0; policy drop; }',
  )
  instance = (await readFile(join(daemon.root, 'instance'), 'utf8')).trim()
  before = await snapshot()
  await ok('network', 'create', 'net')
  await ok('run', '-d', '--name', 'web', '-v', 'data:/data', '-p', '8080:80', 'busybox', 'sleep', '1000')
  await ok('network', 'connect', 'net', 'web')
  await createPod()
  await expect.poll(() => ok('ps', '-q'), { timeout: 20_000 }).toMatch(/.+\n.+/)
  running = await processes()
  expect(running.length).toBeGreaterThanOrEqual(6)
})
afterEach(async () => {
  await nft('delete table ip other')
  await reset()
  await daemon[Symbol.asyncDispose]()
})

it('removes everything after keeper and daemon were killed, again and again', async () => {
  await daemon.stop('SIGKILL')
  for (const [pid = ''] of running.map((line) => line.split(' '))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (command.startsWith('berth-supervisor')) process.kill(Number(pid), 'SIGKILL')
  }
  const { code, stdout, stderr } = await reset()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^killed \d+ processes of containers$/m)
  expect(stdout).toMatch(/^removed \d+ accept rules in chains of others$/m)
  expect(stdout).toContain(`removed nftables table berth-${instance}`)
  expect(stdout).toContain(`removed link berth0-${instance}`)
  expect(stdout).toMatch(/^unmounted .*-net$/m)
  await nothingLeft()
  expect(await reset()).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing is there') })
})

it('ends a daemon that runs, with a broken database', async () => {
  await rm(join(daemon.root, 'db'), { recursive: true })
  await writeFile(join(daemon.root, 'db'), 'broken')
  const { code, stdout } = await reset()
  expect(code).toBe(0)
  expect(stdout).toMatch(/^ended \d+ processes: /m)
  await nothingLeft()
})

it('finds everything when the root folder was deleted below a running daemon', async () => {
  // What is mounted stays, and a pod's memory with it.
  expect((await daemon.exec(['rm', '-rf', daemon.root])).code).toBe(1)
  expect((await reset()).code).toBe(0)
  await nothingLeft()
})

it('refuses folders that are not a daemon’s, one folder alone, and asking nobody', async () => {
  const both = (root: string, run: string) => ['--force', '--root', root, '--run', run]
  const wrong = await daemon.berth(['system', 'reset', ...both(daemon.folder, daemon.run)])
  expect(wrong).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('no root folder') })
  expect((await daemon.berth(['system', 'reset', ...both(daemon.root, daemon.folder)])).stdout).toBe('')
  expect((await daemon.berth(['system', 'reset', '--force', '--root', daemon.root])).code).toBe(64)
  expect((await daemon.berth(['system', 'reset', '--force'])).stderr).toContain('Cannot tell the folders')
  const flags = ['--root', daemon.root, '--run', daemon.run]
  expect((await daemon.berth(['system', 'reset', ...flags])).stderr).toContain('there is no terminal')
  expect(await processes()).toEqual(running)
  expect((await ok('ps', '-q')).split('\n')).toHaveLength(2)
})

const reset = () => daemon.berth(['system', 'reset', '--force', '--root', daemon.root, '--run', daemon.run])

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.berth(args)
  expect(code, `berth ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout.trim()
}

async function nft(commands: string): Promise<void> {
  const { code, stderr } = await daemon.exec(['nft', commands])
  expect(code, stderr).toBe(0)
}

/** As the demo compares, but of this daemon alone: others are at work on the machine. */
async function nothingLeft(): Promise<void> {
  for (const line of running) expect(identity(line.split(' ')[0] ?? ''), line).not.toBe(line)
  const after = await snapshot()
  const own = (line: string) =>
    line.includes(daemon.folder) || line.includes(instance) || line.startsWith('links')
  // The daemon's own bridge, table, cgroups and folders were there before the containers; they are gone too.
  expect(
    compareSnapshots({ ...before, processes: [] }, { ...after, processes: [] }).filter(
      (l) => l.includes('left behind') && own(l),
    ),
  ).toEqual([])
  expect(after.links).toEqual(['lo'])
  expect(after.nftables.join('\n')).not.toContain('berth')
  expect(after.files.filter((path) => path.startsWith(daemon.root) || path.startsWith(daemon.run))).toEqual(
    [],
  )
  expect(after.cgroups.filter((path) => path.includes(instance))).toEqual([])
  const { stdout } = await daemon.exec(['ip', 'route', 'show', 'table', 'all'])
  expect(stdout).not.toContain('10.21')
}

/** Taken in the daemon's network namespace. */
async function snapshot(): Promise<Snapshot> {
  const file = join(import.meta.dirname, '../demo/snapshot.ts')
  const script = `import { takeSnapshot } from ${JSON.stringify(file)}
    const folders = ${JSON.stringify([daemon.root, daemon.run])}
    const { links: _, ...rest } = takeSnapshot(folders, { file: 'nft', env: {} })
    console.log(JSON.stringify(rest))`
  const { code, stdout, stderr } = await daemon.exec([
    process.execPath,
    '--input-type=module-typescript',
    '-e',
    script,
  ])
  expect(code, stderr).toBe(0)
  // sysfs shows the links of the namespace that it was mounted in.
  const links = (await daemon.exec(['ip', '-j', 'link'])).stdout
  return {
    ...JSON.parse(stdout),
    links: (JSON.parse(links) as { ifname: string }[]).map((link) => link.ifname),
  }
}

/** `PID START` of everything that works in the daemon's folders or in its containers' cgroups. */
async function processes(): Promise<readonly string[]> {
  const found: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
    const namespace = await readlink(`/proc/${pid}/ns/net`).catch(() => '')
    const ours = (await read('cgroup')).includes(instance) || (await read('cmdline')).includes(daemon.root)
    const supervisor = (await read('cmdline')).startsWith('berth-') && namespace === (await ownNamespace())
    if (ours || supervisor) found.push(identity(pid) ?? '')
  }
  return found.sort()
}

async function ownNamespace(): Promise<string> {
  return (await readlink(`/proc/${await daemon.daemonPid()}/ns/net`).catch(() => '')) || 'none'
}

function identity(pid: string): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : `${pid} ${fields[19]}`
  } catch {
    return undefined
  }
}

async function createPod(): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {
      containers: [
        {
          name: 'p',
          image: 'busybox',
          command: ['sleep', '1000'],
          volumeMounts: [{ name: 'm', mountPath: '/m' }],
        },
      ],
      volumes: [{ name: 'm', emptyDir: { medium: 'Memory' } }],
    },
  }
  const status = await new Promise<number>((resolve, reject) => {
    const call = request(
      {
        socketPath: join(daemon.run, 'berth.sock'),
        path: '/api/v1/namespaces/default/pods',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      },
      (response) => resolve(response.resume().statusCode ?? 0),
    )
    call.on('error', reject)
    call.end(JSON.stringify(pod))
  })
  expect(status).toBe(201)
}
