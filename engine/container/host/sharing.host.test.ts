import { existsSync } from 'node:fs'
import { readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../../../test/support/time.ts'
import { cgroupFolders } from '../../runtime/oci/cgroups.ts'
import { type Bench, driver, foreign, openBench, remains, shell } from './containers.testkit.ts'

const signal = new AbortController().signal
let bench: Bench
const { started, remove, run } = driver(() => bench)

beforeAll(async () => {
  bench = await openBench()
})
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]()
})

const read = (path: string) => readFile(path, 'utf8')

/** Fetches a file from a server that may not listen yet. */
const fetched = (address: string) =>
  `for i in 1 2 3 4 5 6 7 8 9; do wget -q -O - http://${address}/top 2>/dev/null && break; sleep 0.2; done`

describe('networks', () => {
  it('has an address, hosts and a resolver; another shares it', async () => {
    const first = await started(shell('httpd -p 80 -h /; sleep 60', { name: 'first', networkMode: 'bridge' }))
    const { networks, id } = bench.containers.inspect('first')
    const address = networks.bridge?.address ?? ''
    expect(address).toMatch(/^10\.210\./)
    const hosts = await run(
      shell('cat /etc/hosts /etc/resolv.conf', { networkMode: `container:${id.slice(0, 10)}` }),
    )
    expect(hosts.output).toContain(`${address}\t${id.slice(0, 12)}`)
    expect(hosts.output).toContain('nameserver 10.210.0.1')
    const shared = await run(shell(fetched('127.0.0.1'), { networkMode: 'container:first' }))
    expect(shared.output).toBe('second layer\n')
    const other = await run(shell(fetched(address), { networkMode: 'bridge' }))
    expect(other.output).toBe('second layer\n')
    await remove(first.id)
  })

  it('joins and leaves networks while it runs', async () => {
    await bench.networks.create('back')
    const { id, pid } = await started(shell('sleep 60', { name: 'mover', networkMode: 'bridge' }))
    await bench.containers.connect('mover', { name: 'back', aliases: ['alias'] })
    const both = bench.containers.inspect(id)
    expect(Object.keys(both.networks)).toEqual(['bridge', 'back'])
    expect(both.networks.back).toMatchObject({
      interfaceName: 'eth1',
      aliases: ['mover', 'alias', id.slice(0, 12)],
    })
    expect(await read(`/proc/${pid}/net/dev`)).toContain('eth1:')
    expect(await read(`/proc/${pid}/root/etc/hosts`)).toContain(both.networks.back?.address)
    await expect(bench.containers.connect('mover', { name: 'back', aliases: [] })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
    await bench.containers.disconnect('mover', 'bridge')
    await bench.containers.restart(id, { timeoutSeconds: 0 }, signal)
    expect(Object.keys(bench.containers.inspect(id).networks)).toEqual(['back'])
    await remove(id)
    await bench.networks.remove('back')
  })

  it('publishes a port', async () => {
    const ports = [{ hostIp: '', hostPort: 0, containerPort: 80, protocol: 'tcp' }] as const
    const { id } = await started(shell('sleep 60', { networkMode: 'bridge', ports }))
    const [bound] = bench.containers.inspect(id).ports
    expect(bound?.hostPort).toBeGreaterThan(0)
    await remove(id)
    const shared = shell('true', { networkMode: 'host', ports })
    await expect(bench.containers.create(shared, signal)).rejects.toThrow(/Conflicting options/)
  })

  it('lives in a pod’s sandbox', async () => {
    const sandbox = await bench.sandboxes.create({
      id: 'd'.repeat(64),
      hostname: 'pod',
      own: ['net', 'ipc', 'uts'],
      networks: [{ name: 'bridge', aliases: [] }],
      ports: [],
      sysctls: {},
    })
    const inPod = { sandbox: sandbox.id, cgroupParent: 'pod1', networkMode: 'bridge' }
    const server = await started(shell('httpd -p 80 -h /; sleep 60', inPod))
    const client = await run(
      shell(`hostname; cat /etc/hostname; ${fetched('127.0.0.1')}; cat /etc/hosts`, {
        ...inPod,
        hostname: 'pod',
      }),
    )
    expect(client.output).toMatch(/^pod\npod\nsecond layer\n/)
    expect(client.output).toContain(`${sandbox.opened?.networks.bridge?.address}\tpod\n`)
    for (const folder of cgroupFolders(bench.engine.cgroups, `pod1/${server.id}`)) {
      expect(await read(join(folder, 'cgroup.procs'))).toContain(String(server.pid))
    }
    await remove(server.id)
    await bench.sandboxes.remove(sandbox.id)
    expect(await remains(bench)).toEqual([])
  })

  it('has only a loopback without one, and the host’s with it', async () => {
    const none = await run(shell('ip -o link | wc -l; ip -o addr'))
    expect(none.output).toMatch(/^1\n1: lo .*127\.0\.0\.1/)
    const host = await started(shell('sleep 60', { networkMode: 'host' }))
    expect(await readlink(`/proc/${host.pid}/ns/net`)).toBe(await readlink('/proc/self/ns/net'))
    await remove(host.id)
  })
})

describe('removal', () => {
  it('leaves nothing', async () => {
    const { id } = await started(
      shell('sleep 60', {
        networkMode: 'bridge',
        mounts: [{ kind: 'volume', target: '/data', readOnly: false }],
      }),
    )
    await expect(bench.containers.remove(id, { force: false, volumes: true })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    await remove(id)
    await bench.networks.settled()
    expect(await remains(bench)).toEqual([])
  })
})

describe('on the unified hierarchy alone', () => {
  it('has its device policy, its own cgroup as root, and leaves nothing', async () => {
    const unified = bench.engine.cgroups.hierarchies.filter(({ name }) => name === '')
    if (unified.length === 0) return
    await using second = await openBench({
      wrap: (engine) => ({ ...engine, cgroups: { ...engine.cgroups, version: 2, hierarchies: unified } }),
    })
    const { containers } = second
    const { id } = await containers.create(
      shell(`echo x > /dev/null && echo null; ${foreign}; cat /proc/self/cgroup | grep ^0; sleep 60`),
      signal,
    )
    await containers.start(id, signal)
    await expect
      .poll(() => driver(() => second).collect(id), { timeout: scaledMs(10_000) })
      .toBe('null\nrefused\n0::/\n')
    const [folder = ''] = cgroupFolders(second.engine.cgroups, id)
    expect(await read(join(folder, 'cgroup.procs'))).toContain(String(containers.inspect(id).state.pid))
    await containers.remove(id, { force: true, volumes: true })
    expect(await remains(second)).toEqual([])
    await containers[Symbol.asyncDispose]()
    expect(existsSync(join(folder, '..'))).toBe(false)
  })
})
