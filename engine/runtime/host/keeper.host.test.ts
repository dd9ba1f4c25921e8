import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { readExit, readState } from './exit.ts'
import { Keeper, type KeeperSettings, type KeeperSocket, keeperCommand } from './keeper.ts'
import { alive, Bench, eventually, launcherUnderTest } from './launcher.testkit.ts'
import { Supervisor } from './supervisor.ts'

/** Serves its inherited API socket, tells its PID there, exits with the code it is sent, and writes what it is told. */
const fakeDaemon = `
  const { appendFileSync } = require('node:fs')
  const fds = new Map(process.env.BERTH_FDS.split(',').map((pair) => pair.split(':')))
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(name, () => {
    appendFileSync(process.argv[1], name + '\\n')
    if (name !== 'SIGHUP') process.exit(0)
  })
  require('node:net').createServer((socket) => {
    socket.on('data', (text) => process.exit(Number(text)))
    socket.write(JSON.stringify({ pid: process.pid, fds: process.env.BERTH_FDS, keeper: process.env.BERTH_KEEPER, own: process.env.OWN }))
  }).listen({ fd: Number(fds.get('api')) })`

let bench: Bench
let folder: string
let keepers: ChildProcess[] = []
beforeAll(async () => {
  bench = await Bench.open()
})
beforeEach(async () => {
  folder = join(bench.folder, `k${Math.random()}`)
  await mkdir(folder)
})
afterEach(async () => {
  for (const keeper of keepers) {
    if (keeper.exitCode !== null || keeper.signalCode !== null) continue
    keeper.kill('SIGKILL')
    await once(keeper, 'exit')
  }
  keepers = []
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

const soon = () => AbortSignal.timeout(scaledMs(10_000))
const settings = (
  change: Partial<KeeperSettings> = {},
  more: readonly KeeperSocket[] = [],
): KeeperSettings => ({
  lock: join(folder, 'lock'),
  control: join(folder, 'keeper.sock'),
  sockets: [{ name: 'api', kind: 'unix', path: join(folder, 'api.sock'), mode: 0o660, group: 4 }, ...more],
  argv: [process.execPath, '-e', fakeDaemon, join(folder, 'signals')],
  env: { OWN: 'x' },
  ...change,
})

function start(of: KeeperSettings): { keeper: ChildProcess; errors: () => string; exit: Promise<number> } {
  const { file, args, input } = keeperCommand(of, launcherUnderTest())
  const keeper = spawn(file, args, { stdio: ['pipe', 'inherit', 'pipe'], env: process.env })
  let errors = ''
  keeper.stderr?.on('data', (text) => {
    errors += text
  })
  keeper.stdin?.on('error', () => {})
  keeper.stdin?.end(input)
  keepers.push(keeper)
  const exit = once(keeper, 'close').then(([code]) => code as number)
  return { keeper, errors: () => errors, exit }
}

/** One request to the daemon: what it says of itself. `code`: makes it exit. Waits in the kernel's queue while it is away. */
async function ask(code?: number): Promise<{ pid: number; fds: string; keeper: string; own: string }> {
  const socket = createConnection(join(folder, 'api.sock'))
  const [text] = await once(socket, 'data')
  if (code !== undefined) {
    socket.write(String(code))
    await once(socket, 'close')
  }
  socket.destroy()
  return JSON.parse(String(text))
}

describe('a keeper', () => {
  it('opens sockets, gives them to the daemon and starts it again when it is killed', async () => {
    const tcp = { name: 'dns-tcp', kind: 'tcp', address: '127.0.0.1', port: 0 } as const
    const udp = { name: 'dns-udp', kind: 'udp', address: '10.255.255.254', port: 5353 } as const
    start(settings({}, [tcp, udp]))
    await eventually(() => stat(join(folder, 'api.sock')))
    const first = await ask()
    expect(first).toMatchObject({
      fds: 'api:3,dns-tcp:4,dns-udp:5,lock:6',
      keeper: join(folder, 'keeper.sock'),
      own: 'x',
    })
    const status = await stat(join(folder, 'api.sock'))
    expect([status.mode & 0o777, status.gid]).toEqual([0o660, 4])
    const inode = status.ino
    process.kill(first.pid, 'SIGKILL')
    const second = await ask()
    expect(second.pid).not.toBe(first.pid)
    expect((await stat(join(folder, 'api.sock'))).ino).toBe(inode)
    await ask(3)
    expect((await ask()).pid).not.toBe(second.pid)
  })

  it('passes signals on once and ends with the daemon', async () => {
    const { keeper, exit } = start(settings())
    await eventually(() => stat(join(folder, 'api.sock')))
    await ask()
    keeper.kill('SIGHUP')
    await eventually(async () => expect(await readFile(join(folder, 'signals'), 'utf8')).toBe('SIGHUP\n'))
    keeper.kill('SIGTERM')
    expect(await exit).toBe(0)
    expect(await readFile(join(folder, 'signals'), 'utf8')).toBe('SIGHUP\nSIGTERM\n')
    expect((await readdir(folder)).sort()).toEqual(['lock', 'signals'])
  })

  it('ends with 78 when the daemon does, or when there is none', async () => {
    const { exit } = start(settings())
    await eventually(() => stat(join(folder, 'api.sock')))
    await ask(78)
    expect(await exit).toBe(78)
    const absent = start(settings({ argv: ['/nothing'] }))
    expect(await absent.exit).toBe(78)
    expect(absent.errors()).toMatch(/Cannot execute the daemon's "\/nothing": No such file/)
  })

  it('waits longer and longer for a daemon that ends at once, and still ends when told', async () => {
    const log = join(folder, 'starts')
    const { keeper, exit } = start(settings({ argv: ['/bin/sh', '-c', `echo x >> ${log}; exit 5`] }))
    await sleep(1000)
    const starts = (await readFile(log, 'utf8')).length / 2
    /* 0, 100, 300, 700 ms. */
    expect(starts).toBeGreaterThanOrEqual(3)
    expect(starts).toBeLessThanOrEqual(6)
    keeper.kill('SIGTERM')
    expect(await exit).toBe(0)
  })

  it('is alone on a root folder, and names who is there', async () => {
    const first = start(settings())
    await eventually(() => stat(join(folder, 'api.sock')))
    await ask()
    const second = start(settings())
    expect(await second.exit).toBe(1)
    expect(second.errors()).toBe(
      `Error: Another daemon (process ${first.keeper.pid}) holds "${join(folder, 'lock')}"\n`,
    )
    await ask()
  })

  it('names an address that is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const { exit, errors } = start(
      settings({}, [{ name: 'registry', kind: 'tcp', address: '127.0.0.1', port }]),
    )
    expect(await exit).toBe(1)
    // The words are glibc's, or musl's.
    expect(errors().replace('already ', '')).toBe(
      `Error: Cannot listen on "tcp 127.0.0.1:${port}": Address in use\n`,
    )
    server.close()
  })

  it('refuses settings that it cannot read', async () => {
    const { input } = keeperCommand(settings(), launcherUnderTest())
    for (const bytes of [input.subarray(0, 20), input.subarray(0, -3), Buffer.alloc(100, 0xff)]) {
      const keeper = spawn(launcherUnderTest(), ['keeper'], { stdio: ['pipe', 'ignore', 'ignore'] })
      keeper.stdin.end(bytes)
      expect((await once(keeper, 'exit'))[0]).toBe(78)
    }
    await writeFile(join(folder, 'settings'), input)
    const byFile = spawn(launcherUnderTest(), ['keeper', join(folder, 'settings')], { stdio: 'ignore' })
    keepers.push(byFile)
    await eventually(ask)
  })
})

describe('a killed keeper', () => {
  it('takes the daemon with it, leaves containers, and the next one takes its place', async () => {
    const first = start(settings())
    await eventually(() => stat(join(folder, 'keeper.sock')))
    const daemon = await ask()
    const keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    const container = await keeper.launch(await bench.plan({ argv: ['sleep', '60'] }), soon())
    bench.supervisors.push(container)
    await container.start()
    first.keeper.kill('SIGKILL')
    await keeper.closed
    await first.exit
    await eventually(async () => expect(await alive(daemon.pid)).toBe(false))
    expect(await alive(container.pid)).toBe(true)
    start(settings())
    await eventually(ask)
    await using again = await Supervisor.connect(join(container.stateFolder, 's'), soon())
    await again.signal(9)
    expect((await container.exited).code).toBe(137)
    expect((await readExit(container.stateFolder))?.code).toBe(137)
  })
})

describe('a supervisor of a keeper', () => {
  it('has nothing of the keeper’s, shares its sealed copy, and is nobody’s zombie', async () => {
    const { keeper: process_ } = start(
      settings({}, [{ name: 'web', kind: 'tcp', address: '127.0.0.1', port: 0 }]),
    )
    await eventually(() => stat(join(folder, 'keeper.sock')))
    await using keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    const container = await keeper.launch(await bench.plan({ argv: ['true'] }), soon())
    const pid = (await readState(container.stateFolder))?.supervisorPid ?? 0
    const links = await Promise.all(
      (await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`)),
    )
    expect(links.filter((link) => link.startsWith('/'))).toEqual(['/dev/null', '/dev/null', '/dev/null'])
    expect(links.filter((link) => link.startsWith('socket:'))).toHaveLength(3)
    const filesOf = async (of: number) =>
      (await readFile(`/proc/${of}/limits`, 'utf8')).match(/^Max open files.*$/m)?.[0]
    expect(await filesOf(pid)).toBe(await filesOf(container.pid))
    const inode = async (of: number) => (await stat(`/proc/${of}/exe`)).ino
    expect(await readlink(`/proc/${pid}/exe`)).toMatch(/^\/memfd:/)
    expect(await inode(pid)).toBe(await inode(process_.pid ?? 0))
    await container.start()
    await container.exited
    await container[Symbol.asyncDispose]()
    await eventually(() => expect(existsSync(`/proc/${pid}`)).toBe(false))
  })

  it.skipIf(process.env.BERTH_SANITIZED)('takes little memory (not measured with sanitizers)', async () => {
    start(settings())
    await eventually(() => stat(join(folder, 'keeper.sock')))
    await using keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    for (let i = 0; i < 5; i++) {
      const container = await keeper.launch(await bench.plan({ argv: ['sleep', '60'] }), soon())
      bench.supervisors.push(container)
      await container.start()
      const pid = (await readState(container.stateFolder))?.supervisorPid ?? 0
      const pss = (await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')).match(/^Pss: +(\d+)/m)?.[1]
      expect(Number(pss)).toBeLessThanOrEqual(1024)
    }
  })
})

describe('late sockets', () => {
  /** Asks its keeper as the daemon does, and answers on them and on inherited ones with its PID. */
  const listener = (address: string, busy: number) => `
    import { appendFileSync } from 'node:fs'
    import { createServer } from 'node:net'
    import { Keeper, inheritedDescriptors } from ${JSON.stringify(join(import.meta.dirname, 'keeper.ts'))}
    const server = createServer((socket) => socket.end(String(process.pid)))
    const fd = inheritedDescriptors(process.env).get('late')
    const tell = (text) => appendFileSync(process.argv[1], text + '\\n')
    if (fd !== undefined) server.listen({ fd }, () => tell(server.address().port))
    else {
      const keeper = await Keeper.open(process.env.BERTH_KEEPER, AbortSignal.timeout(5000))
      const ask = (port) => keeper.listen({ name: 'late', address: '${address}', port }, AbortSignal.timeout(5000))
      await ask(${busy}).catch((error) => tell(error.message))
      const { port, handle } = await ask(0)
      const again = await ask(port)
      again.handle.close()
      server.listen(handle, () => tell(port))
    }`
  const listening = (address: string, busy: number): KeeperSettings => {
    const script = ['--input-type=module', '-e', listener(address, busy), join(folder, 'ports')]
    return settings({ argv: [process.execPath, ...script], env: { PATH: '/bin' } })
  }
  const said = async (lines: number) => {
    const text = await readFile(join(folder, 'ports'), 'utf8')
    expect(text.trim().split('\n')).toHaveLength(lines)
    return text.trim().split('\n')
  }
  const pidAt = async (port: number) => {
    const [text] = await once(createConnection(port, '127.0.0.1'), 'data')
    return Number(text)
  }

  it('reach the daemon that runs, and outlive it', async () => {
    const busy = createServer().listen(0, '127.0.0.1')
    await once(busy, 'listening')
    const { port: taken } = busy.address() as { port: number }
    start(listening('127.0.0.1', taken))
    await eventually(() => said(2))
    busy.close()
    const [refused, port] = await said(2)
    expect(refused).toBe(`Cannot listen on 127.0.0.1:${taken}: it is in use`)
    const first = await pidAt(Number(port))
    process.kill(first, 'SIGKILL')
    // Waits in the socket's queue while there is no daemon.
    const second = await pidAt(Number(port))
    expect(second).not.toBe(first)
    expect((await said(3))[2]).toBe(port)
  })

  it('are refused with a wrong name or address, and the keeper goes on', async () => {
    start(settings())
    await eventually(() => stat(join(folder, 'keeper.sock')))
    await using keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    const ask = (name: string, address: string) => keeper.listen({ name, address, port: 0 }, soon())
    for (const name of ['', 'a"b', 'x'.repeat(100), 'api'])
      await expect(ask(name, '127.0.0.1')).rejects.toMatchObject({ details: { errno: 'EINVAL' } })
    await expect(ask('late', 'nowhere')).rejects.toMatchObject({ details: { errno: 'EINVAL' } })
    await keeper.release('nothing')
  })
})

describe('held ports', () => {
  const canListen = async (port: number, address = '127.0.0.1') => {
    const server = createServer().listen(port, address)
    const [event] = await Promise.race([once(server, 'listening').then(() => ['yes']), once(server, 'error')])
    server.close()
    return event === 'yes'
  }

  it('are nobody else’s, over a restart of the daemon, until they are given back', async () => {
    start(settings())
    await eventually(() => stat(join(folder, 'keeper.sock')))
    await using keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    const hold = { key: 'pod/80', protocol: 'tcp', address: '0.0.0.0', port: 0 } as const
    const port = await keeper.bind(hold)
    expect(await keeper.bind({ ...hold, port })).toBe(port)
    await expect(keeper.bind({ ...hold, key: 'other', port })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: `Cannot hold port ${port}/tcp of 0.0.0.0: it is in use`,
    })
    expect(await canListen(port)).toBe(false)
    await expect(once(createConnection(port, '127.0.0.1'), 'connect')).rejects.toThrow(/ECONNREFUSED/)
    process.kill((await ask()).pid, 'SIGKILL')
    await ask()
    expect(await canListen(port)).toBe(false)
    await keeper.release('pod/80')
    await keeper.release('pod/80')
    expect(await canListen(port)).toBe(true)
    const udp = await keeper.bind({ key: 'u', protocol: 'udp', address: '::1', port: 0 })
    await expect(keeper.bind({ key: 'v', protocol: 'udp', address: '::1', port: udp })).rejects.toThrow(
      /in use/,
    )
    await expect(keeper.bind({ key: 'w', protocol: 'udp', address: 'no', port: 1 })).rejects.toThrow(/EINVAL/)
  })

  it('are taken although connections of a former owner still wait for their end', async () => {
    start(settings())
    await eventually(() => stat(join(folder, 'keeper.sock')))
    await using keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = createConnection(port, '127.0.0.1').resume()
    await once(client, 'close')
    await new Promise((resolve) => server.close(resolve))
    expect(await keeper.bind({ key: 'p', protocol: 'tcp', address: '127.0.0.1', port })).toBe(port)
    expect(await canListen(port)).toBe(false)
  })

  it('bad requests end their connection only', async () => {
    start(settings())
    await eventually(() => stat(join(folder, 'keeper.sock')))
    for (const bytes of [
      Buffer.alloc(3),
      Buffer.alloc(5),
      Buffer.alloc(600, 0xff),
      Buffer.from([5, 0, 0, 0, 33, 1, 0, 0, 0]),
    ]) {
      const socket = createConnection(join(folder, 'keeper.sock'))
      socket.on('error', () => {})
      socket.resume().write(bytes)
      await new Promise((resolve) => socket.once('close', resolve))
    }
    await using keeper = await Keeper.open(join(folder, 'keeper.sock'), soon())
    await keeper.release('nothing')
  })
})
