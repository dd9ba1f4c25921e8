/** The Kubernetes API alone, over a store of its own: nothing runs pods; commands in them run on this machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { runControllers } from '../../engine/api/control/run.ts'
import { createKubernetesApi } from '../../engine/api/http.ts'
import { ensureNamespaces } from '../../engine/api/namespaces.ts'
import type { PodAccess } from '../../engine/api/pods.ts'
import { systemClock } from '../../engine/base/host/clock.ts'
import { garbageController } from '../../engine/control/garbage.ts'
import { namespaceController } from '../../engine/control/namespace.ts'
import { kinds } from '../../engine/object/kinds.ts'
import { Store } from '../../engine/store/store.ts'

/** Serves on loopback until it is disposed. */
export async function serveApiAlone(folder: string): Promise<AsyncDisposable & { readonly url: string }> {
  await using stack = new AsyncDisposableStack()
  const log = () => undefined
  const onFatal = (error: Error) => {
    throw error
  }
  const store = stack.use(await Store.open({ folder: join(folder, 'db'), log, onFatal }))
  const api = createKubernetesApi({
    objects: store.objects,
    kinds,
    clock: systemClock,
    log,
    serviceSubnet: '10.211.0.0/16',
    version: '0.0.0',
    pods,
  })
  await ensureNamespaces(store.objects, api.writes)
  const end = new AbortController()
  const controlling = runControllers(
    {
      objects: store.objects,
      writes: api.writes,
      controllers: [garbageController, namespaceController],
      clock: systemClock,
      log,
    },
    end.signal,
  )
  stack.defer(async () => {
    end.abort()
    await controlling
  })
  const server = createServer(api.handle).on('upgrade', api.upgrade)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(stack.move(), { url })
}

/** Stands in for a node: commands run here, on this machine. */
const pods: PodAccess = {
  async *logs(pod, { tailLines }) {
    yield Buffer.from(`${tailLines} lines of ${pod.namespace}/${pod.name}/${pod.container}\n`)
  },
  async exec(_pod, { command, stdin }) {
    const [program = '', ...rest] = command
    const child = spawn(program, rest, { stdio: 'pipe' })
    if (!stdin) child.stdin.end()
    return {
      ...{ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr },
      resize: async () => undefined,
      exited: once(child, 'exit').then(([code]) => ({ code: Number(code) })),
      close: () => child.kill(),
    }
  },
  attach: (pod, options, signal) => pods.exec(pod, { ...options, command: ['cat'] }, signal),
}
