import { BerthError } from '../base/error.ts'
import type { KubeObject } from '../object/meta.ts'
import { linesOf, textOf } from './lines.ts'
import { groupVersionPath, ResourceNames } from './resources.ts'
import { statusError } from './status-error.ts'
import type { Transport, TransportResponse } from './transport.ts'
import { followChanges, type WatchEvent } from './watch.ts'

const bodyLimitBytes = 256 * 1024 * 1024
const pageSize = 500

/** A kind and, for most verbs, an object of it. */
export interface KindRef {
  readonly apiVersion: string
  readonly kind: string
  /** Empty or absent: none, or all namespaces for `list` and `watch`. */
  readonly namespace?: string
}

export interface ObjectRef extends KindRef {
  readonly name: string
}

export interface SelectOptions {
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

export interface WriteOptions {
  readonly fieldManager?: string
  readonly dryRun?: boolean
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore'
  readonly subresource?: 'status' | 'scale'
}

export type PatchType = 'json' | 'merge' | 'strategic'

export interface RemoveOptions {
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  readonly gracePeriodSeconds?: number
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly dryRun?: boolean
}

export interface ObjectList<T> {
  readonly items: readonly T[]
  readonly resourceVersion: string
}

/** Objects as the server shows them: `kubectl get`'s columns and cells. */
export interface Table {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority?: number }[]
  readonly rows?: readonly { readonly cells: readonly unknown[] }[]
}

export interface ClientOptions {
  /** Who changes fields, for `managedFields`, when a call does not say it. */
  readonly fieldManager?: string
  /** Called with each warning of the server. */
  readonly onWarning?: (text: string) => void
}

const patchTypes: Readonly<Record<PatchType | 'apply', string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

/**
 * The Kubernetes API, called: this machine's daemon or a cluster, by the transport. Errors are `BerthError`s with the
 * server's message; `UNAVAILABLE` when nobody answers.
 */
export class KubernetesClient {
  readonly #transport: Transport
  readonly #options: ClientOptions
  readonly #names: ResourceNames

  constructor(transport: Transport, options: ClientOptions = {}) {
    this.#transport = transport
    this.#options = options
    this.#names = new ResourceNames(async (path) => {
      try {
        return await this.#json('GET', path, AbortSignal.timeout(30_000))
      } catch (error) {
        if (error instanceof BerthError && error.code === 'NOT_FOUND') return undefined
        throw error
      }
    })
  }

  /** Throws `NOT_FOUND`. */
  async get<T extends KubeObject>(ref: ObjectRef, signal: AbortSignal): Promise<T> {
    return (await this.#json('GET', await this.#path(ref, ref.name), signal)) as T
  }

  /** The object, or undefined where there is none (or no such kind). */
  async find<T extends KubeObject>(ref: ObjectRef, signal: AbortSignal): Promise<T | undefined> {
    try {
      return await this.get<T>(ref, signal)
    } catch (error) {
      if (error instanceof BerthError && error.code === 'NOT_FOUND') return undefined
      throw error
    }
  }

  /** One object, or all that are selected, as the server shows them. Throws `NOT_FOUND`. */
  async table(
    ref: KindRef & { readonly name?: string },
    options: SelectOptions,
    signal: AbortSignal,
  ): Promise<Table> {
    const path = (await this.#path(ref, ref.name)) + queryOf(selectQuery(options))
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const { body } = await this.request({ method: 'GET', path, accept }, signal)
    return parsed(await textOf(body, bodyLimitBytes)) as Table
  }

  /** All objects, page by page; the resourceVersion is that of the first page. */
  async list<T extends KubeObject>(
    ref: KindRef,
    options: SelectOptions,
    signal: AbortSignal,
  ): Promise<ObjectList<T>> {
    const path = await this.#path(ref)
    const items: T[] = []
    let resourceVersion: string | undefined
    let token: string | undefined
    do {
      const query = queryOf({ ...selectQuery(options), limit: String(pageSize), continue: token })
      const page = (await this.#json('GET', path + query, signal)) as {
        items?: T[]
        metadata?: { resourceVersion?: string; continue?: string }
      }
      const typed = { apiVersion: ref.apiVersion, kind: ref.kind }
      for (const item of page.items ?? []) items.push({ ...typed, ...item })
      resourceVersion ??= page.metadata?.resourceVersion
      token = page.metadata?.continue
    } while (token)
    return { items, resourceVersion: resourceVersion ?? '' }
  }

  async create<T extends KubeObject>(object: T, options: WriteOptions, signal: AbortSignal): Promise<T> {
    const path = await this.#path(refOf(object))
    return (await this.#json('POST', path + this.#writeQuery(options), signal, object)) as T
  }

  async update<T extends KubeObject>(object: T, options: WriteOptions, signal: AbortSignal): Promise<T> {
    const path = await this.#path(refOf(object), object.metadata.name, options.subresource)
    return (await this.#json('PUT', path + this.#writeQuery(options), signal, object)) as T
  }

  async patch<T extends KubeObject>(
    ref: ObjectRef,
    patch: { readonly type: PatchType; readonly body: unknown } & WriteOptions,
    signal: AbortSignal,
  ): Promise<T> {
    const path = await this.#path(ref, ref.name, patch.subresource)
    const query = this.#writeQuery(patch)
    return (await this.#json('PATCH', path + query, signal, patch.body, patchTypes[patch.type])) as T
  }

  /** Server-side apply. Throws `CONFLICT` when fields belong to others and `force` is not given. */
  async apply<T extends KubeObject>(
    object: T,
    options: WriteOptions & { readonly force?: boolean },
    signal: AbortSignal,
  ): Promise<T> {
    const path = await this.#path(refOf(object), object.metadata.name, options.subresource)
    const query = this.#writeQuery(options, { force: options.force ? 'true' : undefined })
    return (await this.#json('PATCH', path + query, signal, object, patchTypes.apply)) as T
  }

  /** Throws `NOT_FOUND`. With finalizers or a period of grace the object is still there afterwards. */
  async remove(ref: ObjectRef, options: RemoveOptions, signal: AbortSignal): Promise<void> {
    const { dryRun, ...rest } = options
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy: 'Background',
      ...rest,
      ...(dryRun ? { dryRun: ['All'] } : {}),
    }
    await this.#json('DELETE', await this.#path(ref, ref.name), signal, body)
  }

  /**
   * All objects as ADDED, then SYNCED, then every change, until `signal` aborts, which ends it without an error. A
   * dropped connection is taken up again where it was; when the server's history is too old the objects are listed
   * again and the differences are told. Other errors are thrown.
   */
  watch<T extends KubeObject>(
    ref: KindRef,
    options: SelectOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    return followChanges<T>(
      {
        list: () => this.list<T>(ref, options, signal),
        watch: async (resourceVersion) => {
          const query = queryOf({
            ...selectQuery(options),
            watch: 'true',
            allowWatchBookmarks: 'true',
            resourceVersion,
          })
          const { body } = await this.request(
            { method: 'GET', path: (await this.#path(ref)) + query },
            signal,
          )
          return linesOf(body)
        },
      },
      signal,
    )
  }

  /** A pod's log as it is printed. */
  async *logs(
    ref: { readonly namespace: string; readonly name: string },
    query: Readonly<Record<string, string | undefined>>,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const path = await this.#path(
      { apiVersion: 'v1', kind: 'Pod', namespace: ref.namespace },
      ref.name,
      'log',
    )
    const { body } = await this.request({ method: 'GET', path: path + queryOf(query) }, signal)
    yield* body
  }

  /** Any request; a failure's Status is thrown. */
  async request(
    request: {
      readonly method: string
      readonly path: string
      readonly body?: string | Uint8Array
      readonly contentType?: string
      readonly accept?: string
    },
    signal: AbortSignal,
  ): Promise<TransportResponse> {
    const { method, path, body, contentType = 'application/json', accept = 'application/json' } = request
    const response = await this.#transport.send(
      {
        method,
        path,
        headers: {
          accept,
          'user-agent': 'berth',
          ...(body === undefined ? {} : { 'content-type': contentType }),
        },
        ...(body === undefined ? {} : { body }),
      },
      signal,
    )
    for (const warning of [response.headers.warning ?? []].flat()) this.#warn(warning)
    if (response.status < 400) return response
    throw statusError(response.status, parsed(await textOf(response.body, bodyLimitBytes)))
  }

  async #json(
    method: string,
    path: string,
    signal: AbortSignal,
    body?: unknown,
    contentType?: string,
  ): Promise<unknown> {
    const response = await this.request(
      {
        method,
        path,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(contentType === undefined ? {} : { contentType }),
      },
      signal,
    )
    return parsed(await textOf(response.body, bodyLimitBytes))
  }

  async #path(ref: KindRef, name?: string, subresource?: string): Promise<string> {
    const { plural, namespaced } = await this.#names.of(ref.apiVersion, ref.kind)
    if (namespaced && name !== undefined && !ref.namespace) {
      throw new BerthError('INVALID', `Cannot name ${ref.kind} "${name}": its namespace is missing`)
    }
    const segments = [
      ...(namespaced && ref.namespace ? ['namespaces', ref.namespace] : []),
      plural,
      ...(name === undefined ? [] : [name]),
      ...(subresource === undefined ? [] : [subresource]),
    ]
    return [groupVersionPath(ref.apiVersion), ...segments.map(encodeURIComponent)].join('/')
  }

  #writeQuery(options: WriteOptions, more: Readonly<Record<string, string | undefined>> = {}): string {
    return queryOf({
      fieldManager: options.fieldManager ?? this.#options.fieldManager ?? 'berth',
      dryRun: options.dryRun ? 'All' : undefined,
      fieldValidation: options.fieldValidation,
      ...more,
    })
  }

  /** `299 - "text"`, several with commas. */
  #warn(header: string): void {
    for (const [, text] of header.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) {
      this.#options.onWarning?.((text ?? '').replace(/\\(.)/g, '$1'))
    }
  }
}

function refOf({ apiVersion, kind, metadata }: KubeObject): KindRef {
  return { apiVersion, kind, ...(metadata.namespace ? { namespace: metadata.namespace } : {}) }
}

function selectQuery({ labelSelector, fieldSelector }: SelectOptions) {
  return { labelSelector: labelSelector || undefined, fieldSelector: fieldSelector || undefined }
}

function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, value)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
