import { describe, expect, it } from 'vitest'
import { MemoryCluster } from '../../../test/support/memory-cluster.ts'
import { loadChart } from '../../chart/load.ts'
import { packChart } from '../../chart/pack.ts'
import type { KubernetesClient } from '../../client/kubernetes-client.ts'
import type { WatchEvent } from '../../client/watch.ts'
import { type OperationSpec, operationKind, type ReleaseOperation } from '../operation.ts'
import { ReleaseEngine } from './engine.ts'
import { ReleaseOperations } from './operations.ts'
import type { Progress } from './progress.ts'
import { submitOperation } from './submit.ts'

/** The API as far as operations need it: one kind, in memory, with watch. */
class OperationsApi {
  readonly objects = new Map<string, ReleaseOperation>()
  #changed = Promise.withResolvers<void>()

  readonly client = {
    create: async (object: ReleaseOperation) => this.#put(object),
    patch: async (ref: { name: string }, { body }: { body: Partial<ReleaseOperation> }) => {
      const old = this.objects.get(ref.name)
      if (old) this.#put({ ...old, ...structuredClone(body) })
    },
    remove: async (ref: { name: string }) => void this.objects.delete(ref.name),
    watch: (_kind: unknown, query: { fieldSelector?: string }, signal: AbortSignal) =>
      this.#watch(query, signal),
  } as unknown as KubernetesClient

  #put(object: ReleaseOperation) {
    this.objects.set(object.metadata.name, object)
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
    return object
  }

  async *#watch(
    { fieldSelector }: { fieldSelector?: string },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<ReleaseOperation>> {
    const seen = new Map<string, ReleaseOperation>()
    const gone = Promise.withResolvers<void>()
    signal.addEventListener('abort', () => gone.resolve())
    while (!signal.aborted) {
      const next = this.#changed.promise
      for (const [name, object] of this.objects) {
        if (seen.get(name) === object || (fieldSelector && fieldSelector !== `metadata.name=${name}`))
          continue
        const type = seen.has(name) ? 'MODIFIED' : 'ADDED'
        seen.set(name, object)
        yield { type, object }
      }
      await Promise.race([next, gone.promise])
    }
  }
}

const chart = await loadChart(
  [
    { name: 'Chart.yaml', content: Buffer.from('apiVersion: v2\nname: shop\nversion: 1.0.0\n') },
    {
      name: 'templates/a.yaml',
      content: Buffer.from(
        'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n',
      ),
    },
  ],
  'shop',
)
const packed = (await packChart(chart)).toString('base64')
const log = () => undefined
const clock = { now: () => Date.now() }

function operation(command: OperationSpec['command'], more: Partial<OperationSpec> = {}): ReleaseOperation {
  const options = { wait: true, timeoutMs: 2000, ...more.options }
  return {
    ...operationKind,
    metadata: { name: `${command}-1`, namespace: 'default' },
    spec: { command, release: 'shop', caller: 'ann', chart: packed, ...more, options },
  }
}

function daemon(api: OperationsApi, cluster: MemoryCluster) {
  const controller = new AbortController()
  const engine = new ReleaseEngine({ cluster, clock, random: (size) => new Uint8Array(size) })
  const running = new ReleaseOperations({ client: api.client, engine, clock, log }).run(controller.signal)
  return {
    stop: async () => {
      controller.abort(new Error('the daemon ends'))
      await running.catch(() => undefined)
    },
  }
}

describe('ReleaseOperations', () => {
  it('carries out what is asked, tells progress, and gives errors back', async () => {
    const [api, cluster] = [new OperationsApi(), new MemoryCluster()]
    const running = daemon(api, cluster)
    const signal = AbortSignal.timeout(5000)
    const told: Progress[] = []
    const status = await submitOperation(api.client, operation('install'), {
      signal,
      onProgress: (p) => told.push(p),
    })
    expect(status).toMatchObject({ phase: 'Succeeded', revision: 1 })
    expect(told).toContainEqual({ type: 'applied', object: 'Deployment/web' })
    const again = { ...operation('install'), metadata: { name: 'install-2', namespace: 'default' } }
    await expect(submitOperation(api.client, again, { signal })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('cannot reuse a name'),
    })
    const removed = await submitOperation(api.client, operation('uninstall'), { signal })
    expect(removed).toMatchObject({ phase: 'Succeeded', kept: [] })
    await running.stop()
  })

  it('goes on where the last daemon ended, and without the caller', async () => {
    const [api, cluster] = [new OperationsApi(), new MemoryCluster()]
    cluster.stuck.add('web')
    const first = daemon(api, cluster)
    const caller = new AbortController()
    const following = submitOperation(api.client, operation('install'), { signal: caller.signal })
    await expect.poll(() => api.objects.get('install-1')?.status?.phase).toBe('Running')
    caller.abort()
    await expect(following).rejects.toMatchObject({
      code: 'INTERRUPTED',
      message: 'The install of "shop" goes on in the daemon',
    })
    await expect.poll(() => cluster.log).toContain('apply Deployment/web')
    await first.stop()
    expect(api.objects.get('install-1')?.status?.phase).toBe('Running')
    cluster.stuck.clear()
    const second = daemon(api, cluster)
    await expect
      .poll(() => api.objects.get('install-1')?.status)
      .toMatchObject({ phase: 'Succeeded', revision: 1 })
    await second.stop()
  })
})
