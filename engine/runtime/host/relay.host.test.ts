import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FlatWriter } from '../encode.ts'
import { launcherUnderTest } from './launcher.testkit.ts'
import { encodeFrame } from './protocol.ts'
import { Relay } from './relay.ts'

const launcher = launcherUnderTest()

describe('relay', () => {
  let folder = ''
  let relay: Relay
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-relay-'))
    relay = await Relay.open({ launcher, log: () => {} })
  })
  afterAll(async () => {
    await relay[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })
  const inside = (kind: string, path: string, ...command: string[]) =>
    execFileSync('nsenter', [`--${kind}=${path}`, ...command], { encoding: 'utf8' }).trim()

  it('pins namespaces with hostname, sysctls and lo up, and lets go of them', async () => {
    const [net, uts, ipc] = ['net', 'uts', 'ipc'].map((kind) => join(folder, 'ns', `a-${kind}`)) as [
      string,
      string,
      string,
    ]
    await relay.pinNamespaces(
      { net, uts, ipc },
      { hostname: 'web-0', sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0', 'kernel.shmmni': '99' } },
    )
    expect(inside('uts', uts, 'hostname')).toBe('web-0')
    expect(inside('net', net, 'ip', '-br', 'link', 'show', 'lo')).toContain('LOOPBACK,UP')
    expect(inside('net', net, 'cat', '/proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('0')
    expect(inside('ipc', ipc, 'cat', '/proc/sys/kernel/shmmni')).toBe('99')
    await expect(relay.pinNamespaces({ net })).rejects.toMatchObject({ details: { errno: 'EEXIST' } })
    for (const path of [net, uts, ipc, net]) await relay.unpin(path)
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(folder)
    expect(existsSync(net)).toBe(false)
  })

  it('never names or sets this machine itself', async () => {
    const before = readFileSync('/proc/sys/kernel/hostname', 'utf8')
    const ipc = join(folder, 'ns/h-ipc')
    const refused = { code: 'INVALID', message: expect.stringContaining('without a namespace of its own') }
    await expect(relay.pinNamespaces({ ipc }, { hostname: 'other' })).rejects.toMatchObject(refused)
    const sysctls = { 'net.ipv4.ip_unprivileged_port_start': '0' }
    await expect(relay.pinNamespaces({ ipc }, { sysctls })).rejects.toMatchObject(refused)
    expect(readFileSync('/proc/sys/kernel/hostname', 'utf8')).toBe(before)
    expect(existsSync(ipc)).toBe(false)
  })

  it('leaves no pin behind when one of them fails', async () => {
    const net = join(folder, 'ns/b-net')
    await expect(relay.pinNamespaces({ net, uts: folder })).rejects.toMatchObject({ code: 'KERNEL' })
    expect(existsSync(net)).toBe(false)
    await expect(relay.pinNamespaces({ net }, { sysctls: { 'net.none': '1' } })).rejects.toThrow(
      /sysctl net\.none failed with ENOENT/,
    )
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(folder)
  })

  it('asks netlink in a named namespace and names the error', async () => {
    const net = join(folder, 'ns/c-net')
    await relay.pinNamespaces({ net })
    const [link] = await relay.netlink(0, getLink(1), { netns: net })
    expect(Buffer.from(link ?? []).includes('lo\0')).toBe(true)
    const error = relay.netlink(0, getLink(4242), { netns: net, action: 'find link 4242' })
    await expect(error).rejects.toMatchObject({ code: 'KERNEL', details: { errno: 'ENODEV' } })
    const names = await relay.netlink(0, getLink(0, 0x300), { netns: net })
    expect(names.length).toBeGreaterThan(0)
    await expect(relay.netlink(0, getLink(1), { netns: '/nowhere' })).rejects.toThrow(
      /open \/nowhere.*ENOENT/,
    )
    await relay.unpin(net)
  })

  it('answers many requests that are under way at once', async () => {
    const answers = await Promise.all(Array.from({ length: 500 }, () => relay.netlink(0, getLink(1))))
    expect(answers.every((messages) => messages.length === 1)).toBe(true)
  })

  it('mounts an overlay of relative layers, a tmpfs, and unmounts twice', async () => {
    await relay.mount({ target: folder, type: 'tmpfs', source: 'tmpfs', options: 'mode=700' })
    execFileSync('sh', ['-c', 'mkdir 0 1 up work merged && echo low > 0/x && echo high > 1/x'], {
      cwd: folder,
    })
    await relay.mountOverlay({
      folder,
      lower: ['1', '0'],
      upper: 'up',
      work: 'work',
      target: join(folder, 'merged'),
    })
    expect(readFileSync(join(folder, 'merged/x'), 'utf8')).toBe('high\n')
    await relay.unmount(join(folder, 'merged'))
    await relay.unmount(join(folder, 'merged'))
    await relay.unmount(folder, { lazy: true })
    expect(statSync(folder).isDirectory()).toBe(true)
    const long = Array.from({ length: 100 }, (_, n) => `${n}`.padStart(64, '0'))
    await expect(relay.mountOverlay({ folder, lower: long, target: folder })).rejects.toThrow(/4095/)
  })

  it('does nothing more for a parent that was killed', async () => {
    const file = join(folder, 'kept')
    writeFileSync(file, '')
    const parent = spawn('sh', ['-c', `exec 3<&0; ${launcher} relay <&3 & echo $!; wait`])
    const [line] = await once(parent.stdout, 'data')
    const pid = Number(line)
    await expect.poll(() => titleOf(pid)).toContain(`berth-relay of ${parent.pid}`)
    process.kill(pid, 'SIGSTOP')
    const fields = new FlatWriter()
    fields.u32(1)
    fields.text(file)
    const unpin = 4
    parent.stdin.end(encodeFrame(unpin, fields.finish()))
    await once(parent.stdin, 'finish')
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    process.kill(pid, 'SIGCONT')
    await expect.poll(() => titleOf(pid)).toBe('')
    expect(existsSync(file)).toBe(true)
  })

  it('starts again after its process died, and ends with its parent', async () => {
    const pids = children()
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await relay.netlink(0, getLink(1))).toHaveLength(1)
    expect(children().length).toBeGreaterThan(0)
    await using second = await Relay.open({ launcher, log: () => {} })
    await second.netlink(0, getLink(1))
  })
})

/** The relays of this process, by their titles. */
function children(): number[] {
  const title = `berth-relay of ${process.pid}`
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => titleOf(pid).replace(/\0+$/, '') === title)
}

/** Empty when it ended while it was looked for. */
function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

/** RTM_GETLINK by index, or with flags a dump. */
function getLink(index: number, flags = 0): Uint8Array {
  const message = Buffer.alloc(32)
  message.writeUInt32LE(32, 0)
  message.writeUInt16LE(18, 4)
  message.writeUInt16LE(1 | flags, 6)
  message.writeInt32LE(index, 20)
  return message
}
