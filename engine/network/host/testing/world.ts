import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { launcherFile } from '../../../runtime/host/launcher.ts'
import { Relay } from '../../../runtime/host/relay.ts'
import { type Collection, MemoryCollection } from '../../../store/collection.ts'
import type { Lease, NetworkRecord } from '../../types.ts'
import type { Kernel } from '../kernel.ts'
import { Networks } from '../networks.ts'

export const launcher = launcherFile()

/**
 * For host tests: a "host" that is a network namespace of its own, with a neighbour machine (another one) as its
 * default route, and pods that are namespaces with a small server inside.
 *
 *   outside 192.0.2.2 ── 192.0.2.1 host 10.210.0.1 ── pods
 */
export class World implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-net-'))
  readonly records = new MemoryCollection<NetworkRecord>()
  readonly leases = new MemoryCollection<Lease>()
  readonly log: string[] = []
  relay!: Relay
  networks!: Networks
  #outer!: Relay
  readonly #processes: ChildProcess[] = []
  readonly #pins = new Set<string>()

  static async open(): Promise<World> {
    const world = new World()
    world.#outer = await Relay.open({ launcher, log: () => {} })
    await world.pin('host')
    await world.pin('outside')
    world.relay = await world.openRelay()
    const [host, outside] = [world.path('host'), world.path('outside')]
    world.ip('host', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside)
    world.run('host', 'ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'up0')
    world.run('host', 'ip', 'link', 'set', 'up0', 'up')
    world.run('outside', 'ip', 'addr', 'add', '192.0.2.2/24', 'dev', 'eth0')
    world.run('outside', 'ip', 'link', 'set', 'eth0', 'up')
    world.run('host', 'ip', 'route', 'add', 'default', 'via', '192.0.2.2')
    /* Every new namespace has 1 here; berth must not need it. */
    await world.#outer.sysctl('net.bridge.bridge-nf-call-iptables', '0', { netns: host })
    world.networks = await world.openNetworks()
    return world
  }

  openRelay(program = launcher): Promise<Relay> {
    const log = (_: string, message: string) => this.log.push(message)
    return Relay.open({ launcher: program, log, netns: this.path('host') })
  }

  async openNetworks(
    options: { kernel?: Kernel; records?: Collection<NetworkRecord>; leases?: Collection<Lease> } = {},
  ): Promise<Networks> {
    const networks = await Networks.open({
      relay: options.kernel ?? this.relay,
      records: options.records ?? this.records,
      leases: options.leases ?? this.leases,
      instance: 'ab12cd',
      subnet: '10.210.0.0/16',
      serviceSubnet: '10.211.0.0/16',
      domain: 'cluster.local',
      log: (_, message) => this.log.push(message),
    })
    await networks.ensureDefault()
    return networks
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  async pin(name: string): Promise<string> {
    await this.#outer.pinNamespaces({ net: this.path(name) })
    this.#pins.add(name)
    return this.path(name)
  }

  async unpin(name: string): Promise<void> {
    this.#pins.delete(name)
    await this.#outer.unpin(this.path(name))
  }

  /** A pod on a network: a namespace with `eth0`; gives its address. */
  async pod(name: string, network = 'bridge', interfaceName = 'eth0'): Promise<string> {
    const netns = this.#pins.has(name) ? this.path(name) : await this.pin(name)
    const endpoint = await this.networks.attach(network, {
      sandboxId: name,
      netns,
      interfaceName,
      hostname: name,
      aliases: [`${name}-alias`],
    })
    return endpoint.address
  }

  /** Runs a program in a namespace; its output. */
  run(name: string, ...command: string[]): string {
    return execFileSync('nsenter', [`--net=${this.path(name)}`, ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** The same without blocking. */
  async output(name: string, ...command: string[]): Promise<string> {
    const { stdout } = await execute('nsenter', [`--net=${this.path(name)}`, ...command])
    return stdout.trim()
  }

  ip(name: string, ...command: string[]): string {
    return this.run(name, 'ip', ...command)
  }

  json(name: string, ...command: string[]): unknown {
    return JSON.parse(this.run(name, ...command))
  }

  /** A server that answers with its name and the client's address, and a UDP echo on the same port. */
  async serve(name: string, port: number, address = '0.0.0.0'): Promise<void> {
    const script = `
      const answer = (socket) => ${JSON.stringify(name)} + ' ' + socket.remoteAddress.replace('::ffff:', '')
      const server = require('node:net').createServer((socket) => {
        socket.on('error', () => {})
        socket.on('data', (text) => socket.write(answer(socket) + (String(text).includes('end') ? '\\n' : '\\n')))
      })
      const udp = require('node:dgram').createSocket('udp4')
      udp.on('message', (message, from) => udp.send(${JSON.stringify(name)} + ' ' + from.address, from.port, from.address))
      udp.bind(${port}, '${address}')
      server.listen(${port}, '${address}', () => console.log('ready'))`
    await this.start(name, script)
  }

  /** A Node program in a namespace, up to its first output. */
  start(name: string, script: string): Promise<ChildProcess> {
    return this.#start(name, ['-e', script])
  }

  startFile(name: string, file: string, ...parameters: string[]): Promise<ChildProcess> {
    return this.#start(name, [file, ...parameters])
  }

  async #start(name: string, parameters: readonly string[]): Promise<ChildProcess> {
    const child = spawn('nsenter', [`--net=${this.path(name)}`, process.execPath, ...parameters], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#processes.push(child)
    await once(child.stdout, 'data')
    return child
  }

  /** One connection from a namespace: what the server says, or the error's code. */
  async ask(name: string, address: string, port: number, timeoutMs = 1500): Promise<string> {
    const script = `
      const socket = require('node:net').connect(${port}, '${address}', () => socket.write('hello'))
      const end = (text) => { console.log(text); process.exit(0) }
      socket.on('data', (data) => end(String(data).trim())).on('error', (error) => end(error.code))
      setTimeout(() => end('timeout'), ${timeoutMs})`
    return this.output(name, process.execPath, '-e', script)
  }

  async askUdp(name: string, address: string, port: number): Promise<string> {
    const script = `
      const socket = require('node:dgram').createSocket('udp4')
      const end = (text) => { console.log(text); process.exit(0) }
      socket.connect(${port}, '${address}', () => socket.send('hello'))
      socket.on('message', (data) => end(String(data))).on('error', (error) => end(error.code))
      setTimeout(() => end('timeout'), 1000)`
    return this.output(name, process.execPath, '-e', script)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) child.kill('SIGKILL')
    await this.networks?.close()
    await this.relay?.[Symbol.asyncDispose]()
    for (const name of this.#pins) await this.#outer.unpin(this.path(name))
    await this.#outer[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const execute = promisify(execFile)
