import { argv, exit, kill, pid } from 'node:process'
import type { ContainerSettings } from '../container.ts'
import { openBench, shell } from './containers.testkit.ts'
import type { Engine } from './engine.ts'

/**
 * A daemon that is killed: `node crash.testkit.ts FOLDER STEP [pod]` creates, starts, stops and removes a container (in
 * a pod's sandbox that shares processes) and kills itself before or after its STEP-th effect; without one it goes
 * through and prints how many there are.
 */
const [, , top = '', limit = '0', mode = ''] = argv
const signal = new AbortController().signal
let steps = 0
let counting = false

function step(): void {
  if (counting && ++steps === Number(limit)) kill(pid, 'SIGKILL')
}

/** Counts each of these methods before and after. */
function counted<T extends object>(target: T, names: readonly string[]): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name)
      if (typeof value !== 'function') return value
      const method = value.bind(object)
      if (!names.includes(String(name))) return method
      return async (...args: unknown[]) => {
        step()
        const result = await method(...args)
        step()
        return result
      }
    },
  })
}

function wrap(engine: Engine): Engine {
  return {
    ...engine,
    records: counted(engine.records, ['write']),
    images: counted(engine.images, ['rootfs']),
    volumes: counted(engine.volumes, ['ensure', 'remove']),
    networks: counted(engine.networks, ['attach', 'detach', 'publish']),
    namespaces: counted(engine.namespaces, ['pinNamespaces', 'unpin']),
    overlays: counted(engine.overlays, ['mount', 'mountOverlay', 'unmount']),
    launcher: {
      connect: engine.launcher.connect,
      readExit: engine.launcher.readExit,
      launch: async (plan, until) => {
        step()
        const supervisor = await engine.launcher.launch(plan, until)
        step()
        return counted(supervisor, ['start', 'signal'])
      },
    },
  }
}

const bench = await openBench({ top, wrap })
counting = true
async function cycle(settings: ContainerSettings): Promise<void> {
  const { id } = await bench.containers.create(settings, signal)
  await bench.containers.start(id, signal)
  await bench.containers.stop(id, { timeoutSeconds: 0 }, signal)
  await bench.containers.remove(id, { force: true, volumes: true })
}
if (mode === 'pod') {
  const { id } = await bench.sandboxes.create({
    id: 'd'.repeat(64),
    hostname: 'pod',
    own: ['net', 'ipc', 'uts', 'pid'],
    networks: [{ name: 'bridge', aliases: [] }],
    ports: [],
    sysctls: {},
    sharedMemory: true,
    cgroupParent: 'pod1',
  })
  const inPod = { sandbox: id, cgroupParent: 'pod1', networkMode: 'bridge', pidMode: 'sandbox' }
  await cycle(shell('sleep 60', inPod))
  await bench.sandboxes.remove(id)
} else {
  const ports = [{ hostIp: '', hostPort: 18080, containerPort: 80, protocol: 'tcp' }] as const
  const mounts = [{ kind: 'volume', target: '/data', readOnly: false }] as const
  await cycle(shell('echo hello; sleep 60', { name: 'victim', networkMode: 'bridge', ports, mounts }))
}
console.log(steps)
await bench.stop()
exit(0)
