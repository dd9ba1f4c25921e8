import { BerthError } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import type { Log } from '../base/host/log.ts'
import { apiVersionOf, type Kind } from '../object/kinds.ts'
import { schemaOf } from '../object/schema.ts'
import type { StoredObject } from '../store/object.ts'
import type { ObjectStore } from '../store/objects.ts'
import { applyPatchType, contentType, patches, readBody } from './body.ts'
import { listPage } from './collection.ts'
import { deleteRequestOf, removeObject } from './deletion.ts'
import { containerOf, isTrue, logOptionsOf, whyNotStarted } from './log.ts'
import { type ApiRequest, type ApiResponse, jsonResponse, listResponse, textResponse } from './message.ts'
import { usualNamespaces } from './namespaces.ts'
import { invalidOption, optionsKind, unsupportedOption } from './options.ts'
import type { PodAccess } from './pods.ts'
import { type Presentation, presentList, presentOne, viewOf } from './present.ts'
import { type Route, routeOf } from './route.ts'
import { scaledTo, scaleOf } from './scale.ts'
import { type Selection, selectionOf } from './selection.ts'
import { serveMeta } from './serve-meta.ts'
import { deleted, failure, methodNotAllowed, statusOf, unknownPath } from './status.ts'
import { watchLines } from './watch.ts'
import type { WriteRequest, Writes } from './writes.ts'

export interface KubernetesApiOptions {
  readonly objects: ObjectStore
  readonly kinds: readonly Kind[]
  readonly clock: Clock
  readonly log: Log
  /** IPv4 subnet of ClusterIPs. */
  readonly serviceSubnet: string
  /** berth's version, for `/version`. */
  readonly version: string
  /** Absent: logs, exec and attach answer 503. */
  readonly pods?: PodAccess
}

/** Answers a request to the Kubernetes API. Never rejects: an error is a Status. */
export type Serve = (request: ApiRequest) => Promise<ApiResponse>

/** The Kubernetes API over the store, without HTTP: what is asked by whom is only in the request. */
export function serveKubernetes(options: KubernetesApiOptions, writes: Writes): Serve {
  const resources = new Resources(options, writes)
  return async (request) => {
    try {
      return (await serveMeta(options, request)) ?? (await resources.serve(request))
    } catch (error) {
      const status = statusOf(error)
      if (status.code === 500)
        options.log('error', 'a request failed', { path: request.path, error: status.message })
      return jsonResponse(status.code, status)
    }
  }
}

type Action = (request: ApiRequest, route: Route) => Promise<ApiResponse>

class Resources {
  readonly #options: KubernetesApiOptions
  readonly #objects: ObjectStore
  readonly #writes: Writes

  /** What a method does to a collection, an object, a subresource. */
  readonly #actions: Readonly<Record<string, Readonly<Record<string, Action>>>> = {
    collection: {
      GET: (request, route) => this.#listOrWatch(request, route),
      POST: (request, route) => this.#create(request, route),
      DELETE: (request, route) => this.#deleteAll(request, route),
    },
    object: {
      GET: (request, route) => this.#get(request, route),
      PUT: (request, route) => this.#update(request, route),
      PATCH: (request, route) => this.#patch(request, route),
      DELETE: (request, route) => this.#delete(request, route),
    },
    status: {
      GET: (request, route) => this.#get(request, route),
      PUT: (request, route) => this.#update(request, route),
      PATCH: (request, route) => this.#patch(request, route),
    },
    scale: {
      GET: async (_, route) => jsonResponse(200, scaleOf(await this.#found(route))),
      PUT: (request, route) => this.#scale(request, route),
      PATCH: (request, route) => this.#scale(request, route),
    },
    log: { GET: (request, route) => this.#logs(request, route) },
  }

  constructor(options: KubernetesApiOptions, writes: Writes) {
    this.#options = options
    this.#objects = options.objects
    this.#writes = writes
  }

  async serve(request: ApiRequest): Promise<ApiResponse> {
    const route = routeOf(request.path)
    if (!route) return jsonResponse(404, unknownPath)
    const actions = this.#actions[partOf(route)]
    if (!actions) return jsonResponse(404, unknownPath)
    const action = actions[request.method]
    return action ? action(request, route) : jsonResponse(405, methodNotAllowed)
  }

  async #found({ kind, namespace, name }: Route): Promise<StoredObject> {
    const groupKind = groupKindText(kind)
    const object = this.#objects.get({ groupKind, namespace, name })
    await this.#objects.settled()
    if (object) return object
    throw new BerthError('NOT_FOUND', `${groupKind} "${name}" does not exist`, {
      details: { groupKind, namespace, name },
    })
  }

  #presentation(request: ApiRequest, kind: Kind): Presentation {
    return {
      kind,
      view: viewOf(request.headers.accept),
      includeObject: request.query.get('includeObject') ?? 'Metadata',
      now: this.#options.clock.now(),
    }
  }

  #one(request: ApiRequest, route: Route, object: StoredObject, more: Answer = {}): ApiResponse {
    const value = presentOne(object, this.#presentation(request, route.kind))
    const warnings = more.warnings?.map((text) => `299 - ${JSON.stringify(text)}`) ?? []
    return jsonResponse(more.status ?? 200, value, warnings.length > 0 ? { warning: warnings } : {})
  }

  async #get(request: ApiRequest, route: Route): Promise<ApiResponse> {
    return this.#one(request, route, await this.#found(route))
  }

  async #listOrWatch(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const { kind, namespace } = route
    const { query } = request
    const selection = selectionOf(kind, query)
    if (isTrue(query.get('watch'))) return this.#watch(request, route, selection)
    const { items, metadata } = listPage(this.#objects, {
      groupKind: groupKindText(kind),
      namespace,
      selection,
      limit: wholeNumber(query, 'limit') ?? 0,
      token: query.get('continue'),
    })
    await this.#objects.settled()
    return listResponse(presentList(items, metadata, this.#presentation(request, kind)))
  }

  #watch(request: ApiRequest, route: Route, selection: Selection): ApiResponse {
    const { kind, namespace } = route
    const { query, signal } = request
    const version = wholeNumber(query, 'resourceVersion')
    const lines = watchLines(this.#objects, {
      groupKind: groupKindText(kind),
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      namespace,
      selection,
      from: version || undefined,
      sendInitial: isTrue(query.get('sendInitialEvents')),
      bookmarks: isTrue(query.get('allowWatchBookmarks')),
      timeoutSeconds: wholeNumber(query, 'timeoutSeconds'),
      signal,
      present: (object, isFirst) => presentOne(object, this.#presentation(request, kind), isFirst),
    })
    return { status: 200, headers: { 'content-type': 'application/json' }, body: lines }
  }

  async #create(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const warnings: string[] = []
    const body = await readBody(request)
    const object = await this.#writes.create(body, writeRequest(request, route, warnings))
    return this.#one(request, route, object, { status: 201, warnings })
  }

  async #update(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const warnings: string[] = []
    const body = await readBody(request)
    const object = await this.#writes.update(route.name, body, writeRequest(request, route, warnings))
    return this.#one(request, route, object, { warnings })
  }

  async #patch(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const warnings: string[] = []
    const body = await readBody(request)
    const write = writeRequest(request, route, warnings)
    const type = contentType(request)
    if (type === applyPatchType) {
      if (!request.query.get('fieldManager')) {
        throw invalidOption('PatchOptions', {
          reason: 'FieldValueRequired',
          field: 'fieldManager',
          message: 'Required value: is required for apply patch',
        })
      }
      const force = isTrue(request.query.get('force'))
      const { object, created } = await this.#writes.apply(route.name, body, { ...write, force })
      return this.#one(request, route, object, { status: created ? 201 : 200, warnings })
    }
    const patch = patches[type]
    if (!patch) return unsupportedMediaType([...Object.keys(patches), applyPatchType])
    const schema = schemaOf(apiVersionOf(route.kind), route.kind.kind) ?? {}
    const object = await this.#writes.patch(route.name, (current) => patch(current, body, schema), write)
    return this.#one(request, route, object, { warnings })
  }

  async #scale(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const body = await readBody(request)
    const write = writeRequest(request, route, [])
    const type = contentType(request)
    const patch =
      request.method === 'PATCH' ? (patches[type] ?? patches['application/merge-patch+json']) : undefined
    const object = await this.#writes.patch(
      route.name,
      (current) => scaledTo(current, patch ? patch(scaleOf(current), body, {}) : body),
      write,
    )
    return jsonResponse(200, scaleOf(object))
  }

  async #delete(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const asked = deleteRequestOf(await readBody(request), request.query)
    const object = await this.#found(route)
    refuseForever(object)
    const { object: left, removed } = await removeObject(this.#objects, object, asked)
    const { name, uid } = object.metadata
    const isTold = removed && !toldWhole.includes(groupKindText(route.kind))
    return jsonResponse(200, isTold ? deleted(route.kind, name, uid) : left)
  }

  async #deleteAll(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const asked = deleteRequestOf(await readBody(request), request.query)
    const { kind, namespace } = route
    const selection = selectionOf(kind, request.query)
    const chosen = this.#objects.list(groupKindText(kind), namespace).filter(selection)
    await Promise.all(
      chosen.map(async (object) => {
        const { preconditions: _, ...rest } = asked
        await removeObject(this.#objects, object, rest)
      }),
    )
    const metadata = { resourceVersion: String(this.#objects.version) }
    return listResponse(presentList(chosen, metadata, this.#presentation(request, kind)))
  }

  async #logs(request: ApiRequest, route: Route): Promise<ApiResponse> {
    const object = await this.#found(route)
    const pod = containerOf(object, request.query.get('container'))
    const { pods } = this.#options
    if (!pods) throw new BerthError('UNAVAILABLE', 'No node runs pods here: there are no logs')
    const options = logOptionsOf(request.query)
    try {
      return textResponse(200, pods.logs(pod, options, request.signal))
    } catch (error) {
      throw (options.previous ? undefined : whyNotStarted(object, pod.container)) ?? error
    }
  }
}

function refuseForever({ apiVersion, kind, metadata: { name } }: StoredObject): void {
  if (apiVersion !== 'v1' || kind !== 'Namespace' || !usualNamespaces.includes(name)) return
  throw new BerthError('FORBIDDEN', `namespaces "${name}" is forbidden: this namespace may not be deleted`, {
    details: { groupKind: kind, name },
  })
}

/** Kinds whose deletion is answered with the object as it was; others with a Status. */
const toldWhole = ['Pod', 'Service', 'PersistentVolumeClaim', 'PersistentVolume', 'ServiceAccount']

interface Answer {
  readonly status?: number
  readonly warnings?: readonly string[]
}

function partOf({ kind, name, subresource }: Route): string {
  if (name === '') return 'collection'
  if (subresource === '') return 'object'
  if (subresource === 'log') return kind.kind === 'Pod' ? 'log' : ''
  return (kind.subresources as readonly string[]).includes(subresource) ? subresource : ''
}

/** `Pod`, `Deployment.apps`: the store's name of a kind. */
function groupKindText({ group, kind }: Kind): string {
  return group === '' ? kind : `${kind}.${group}`
}

function wholeNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null || text === '') return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new BerthError('INVALID', `${name} must be a whole number, not ${JSON.stringify(text)}`)
  }
  return value
}

function writeRequest(
  { method, query, headers }: ApiRequest,
  route: Route,
  warnings: string[],
): WriteRequest {
  const validation = query.get('fieldValidation') || 'Warn'
  if (validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
    throw unsupportedOption(optionsKind(method), 'fieldValidation', {
      value: validation,
      supported: ['', 'Ignore', 'Strict', 'Warn'],
    })
  }
  const dryRun = query.getAll('dryRun')
  if (dryRun.some((value) => value !== 'All')) {
    throw unsupportedOption(optionsKind(method), 'dryRun', { value: dryRun, supported: ['All'] })
  }
  const { kind, namespace, subresource } = route
  const program = headers['user-agent']?.split('/')[0]
  return {
    kind,
    namespace,
    manager: query.get('fieldManager') || program || 'unknown',
    dryRun: dryRun.length > 0,
    fieldValidation: validation,
    subresource: subresource === 'status' || subresource === 'scale' ? subresource : undefined,
    warn: (text) => {
      warnings.push(text)
    },
  }
}

function unsupportedMediaType(accepted: readonly string[]): ApiResponse {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return jsonResponse(415, failure({ code: 415, reason: 'UnsupportedMediaType', message }))
}
