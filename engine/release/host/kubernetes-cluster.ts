import { isBerthError } from '../../base/error.ts'
import type { ObjectRef as ClientRef, KubernetesClient } from '../../client/kubernetes-client.ts'
import { textOf } from '../../client/lines.ts'
import { groupVersionPath } from '../../client/resources.ts'
import { kindOf } from '../../object/kinds.ts'
import type { ApplyOptions, Cascade, Cluster, ClusterObject, ListQuery, ObjectRef } from '../cluster.ts'

const policies = { background: 'Background', foreground: 'Foreground', orphan: 'Orphan' } as const

/** Who changes fields: Helm's own name, so that either tool carries on where the other stopped. */
const fieldManager = 'helm'
const discoveryLimitBytes = 4 << 20

/** A cluster for the release engine: this machine's API or any other, through one client. */
export class KubernetesCluster implements Cluster {
  readonly #client: KubernetesClient
  readonly #scopes = new Map<string, Promise<ReadonlyMap<string, boolean>>>()

  constructor(client: KubernetesClient) {
    this.#client = client
  }

  async namespaced(apiVersion: string, kind: string, signal: AbortSignal): Promise<boolean | undefined> {
    const own = kindOf(apiVersion, kind)
    if (own) return own.namespaced
    let scopes = this.#scopes.get(apiVersion)
    if (!scopes) {
      scopes = this.#discover(apiVersion, signal)
      this.#scopes.set(apiVersion, scopes)
      scopes.catch(() => this.#scopes.delete(apiVersion))
    }
    const found = (await scopes).get(kind)
    // A kind may be defined at any time: what was not there is asked for again.
    if (found === undefined) this.#scopes.delete(apiVersion)
    return found
  }

  get(ref: ObjectRef, signal: AbortSignal): Promise<ClusterObject | undefined> {
    return this.#client.find<ClusterObject & ClientObject>(ref, signal)
  }

  async list({ labelSelector, ...kind }: ListQuery, signal: AbortSignal): Promise<readonly ClusterObject[]> {
    const found = await this.#client.list<ClusterObject & ClientObject>(
      kind,
      labelSelector === undefined ? {} : { labelSelector },
      signal,
    )
    return found.items
  }

  create(object: ClusterObject, signal: AbortSignal): Promise<ClusterObject> {
    return this.#client.create(object as ClusterObject & ClientObject, { fieldManager }, signal)
  }

  apply(
    object: ClusterObject,
    { force, dryRun = false }: ApplyOptions,
    signal: AbortSignal,
  ): Promise<ClusterObject> {
    return this.#client.apply(object as ClusterObject & ClientObject, { fieldManager, force, dryRun }, signal)
  }

  async remove(ref: ObjectRef, { cascade }: { cascade: Cascade }, signal: AbortSignal): Promise<void> {
    await this.#client
      .remove(ref as ClientRef, { propagationPolicy: policies[cascade] }, signal)
      .catch((error: unknown) => {
        if (!isBerthError(error, 'NOT_FOUND')) throw error
      })
  }

  async #discover(apiVersion: string, signal: AbortSignal): Promise<ReadonlyMap<string, boolean>> {
    try {
      const { body } = await this.#client.request(
        { method: 'GET', path: groupVersionPath(apiVersion) },
        signal,
      )
      const list = JSON.parse(await textOf(body, discoveryLimitBytes)) as {
        resources?: readonly { name: string; kind: string; namespaced: boolean }[]
      }
      const resources = (list.resources ?? []).filter(({ name }) => !name.includes('/'))
      return new Map(resources.map(({ kind, namespaced }) => [kind, namespaced]))
    } catch (error) {
      if (isBerthError(error, 'NOT_FOUND')) return new Map()
      throw error
    }
  }
}

type ClientObject = Parameters<KubernetesClient['create']>[0]
