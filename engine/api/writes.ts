import { BerthError } from '../base/error.ts'
import type { Clock } from '../base/host/clock.ts'
import { newUid } from '../base/host/id.ts'
import { applied, updated } from '../object/apply/apply.ts'
import { applyDefaults } from '../object/defaults/defaults.ts'
import { apiVersionOf, type Kind } from '../object/kinds.ts'
import type { KubeObject } from '../object/meta.ts'
import { prepareCreate, prepareUpdate } from '../object/prepare.ts'
import { decode } from '../object/schema.ts'
import { allocateService, type ServicePool, usualNodePorts } from '../object/service-addresses.ts'
import type { Service } from '../object/types.generated.ts'
import { invalidError } from '../object/validate/causes.ts'
import { validateCreate, validateUpdate } from '../object/validate/validate.ts'
import {
  type DraftObject,
  jsonEqual,
  keyOf,
  type ObjectKey,
  type StoredObject,
  timestamp,
} from '../store/object.ts'
import type { ObjectStore } from '../store/objects.ts'

export interface WritesOptions {
  readonly objects: ObjectStore
  readonly clock: Clock
  /** IPv4 subnet of ClusterIPs, as `10.211.0.0/16`. */
  readonly serviceSubnet: string
  readonly nodePorts?: readonly [number, number]
}

export interface WriteRequest {
  readonly kind: Kind
  readonly namespace: string
  /** Who writes, for `managedFields`. */
  readonly manager: string
  readonly dryRun?: boolean
  readonly subresource?: 'status' | 'scale' | undefined
  /** What to do with fields that the kind does not have; `Warn` by default. */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore'
  /** Called with each warning for the client. */
  readonly warn?: (text: string) => void
}

type Draft = KubeObject & DraftObject

/**
 * The one way of an object into the store: decode, default, prepare, validate, record the manager, write. All of it
 * up to the write is synchronous: what was checked is what is written, and a patch never meets a conflict of its own.
 */
export class Writes {
  readonly #objects: ObjectStore
  readonly #clock: Clock
  readonly #pool: Omit<ServicePool, 'taken'>

  constructor({ objects, clock, serviceSubnet, nodePorts }: WritesOptions) {
    this.#objects = objects
    this.#clock = clock
    this.#pool = { subnet: serviceSubnet, nodePorts: nodePorts ?? usualNodePorts }
  }

  /** Makes an object. */
  async create(body: unknown, request: WriteRequest): Promise<StoredObject> {
    const decoded = this.#decoded(body, request)
    const { managedFields: _, ...metadata } = decoded.metadata
    return this.#make({ ...decoded, metadata }, request)
  }

  /** Replaces an object, or its status or scale. */
  async update(name: string, body: unknown, request: WriteRequest): Promise<StoredObject> {
    const key = this.#key(name, request)
    return this.#replace(key, () => this.#decoded(body, request), request)
  }

  /** Changes an object by a function of what is there now; a patch. */
  async patch(
    name: string,
    change: (current: StoredObject) => unknown,
    request: WriteRequest,
  ): Promise<StoredObject> {
    const key = this.#key(name, request)
    return this.#replace(key, (current) => this.#decoded(change(current), request), request)
  }

  /** Server-side apply; makes what is not there. `created` tells which. */
  async apply(
    name: string,
    config: unknown,
    request: WriteRequest & { readonly force: boolean },
  ): Promise<{ object: StoredObject; created: boolean }> {
    const key = this.#key(name, request)
    const { kind } = request
    const strict = { ...request, fieldValidation: 'Strict' as const, applying: name }
    const decoded = this.#decoded(config, strict)
    const given = decoded.metadata.name
    if (given !== undefined && given !== name) throw otherName(name, given)
    const wanted = {
      ...(request.subresource === 'status' ? onlyStatus(decoded) : decoded),
      metadata: { ...decoded.metadata, name },
    } as Draft
    const options = {
      manager: request.manager,
      force: request.force,
      subresource: request.subresource ?? '',
      now: timestamp(this.#clock.now()),
    }
    const live = this.#objects.get(key)
    if (live) {
      if (wanted.metadata.uid && wanted.metadata.uid !== live.metadata.uid) {
        throw new BerthError('CONFLICT', 'another object', {
          details: { ...key, precondition: 'UID', have: live.metadata.uid, given: wanted.metadata.uid },
        })
      }
      const next = applied(live as unknown as Draft, wanted, options)
      return { object: await this.#put(live, next, request), created: false }
    }
    if (request.subresource) throw missing(key)
    if (wanted.metadata.uid) {
      throw new BerthError(
        'CONFLICT',
        `Cannot apply ${kind.kind} "${name}": its uid is given and it is not there`,
        {
          details: { ...key, precondition: 'UID', have: '', given: wanted.metadata.uid },
        },
      )
    }
    const made = applied(undefined, wanted, options)
    return { object: await this.#make(made, request), created: true }
  }

  #key(name: string, { kind, namespace }: WriteRequest): ObjectKey {
    const groupKind = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`
    return { groupKind, namespace, name }
  }

  /** Reads a body as an object of the kind, with the namespace of the path. */
  #decoded(body: unknown, request: WriteRequest & { applying?: string }): Draft {
    const { kind, namespace } = request
    const apiVersion = apiVersionOf(kind)
    const record = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
    const typed = { ...record, apiVersion: record.apiVersion ?? apiVersion, kind: record.kind ?? kind.kind }
    if (typed.apiVersion !== apiVersion || typed.kind !== kind.kind) {
      throw new BerthError(
        'INVALID',
        `the object provided is unrecognized (must be of type ${kind.kind}): it is ${JSON.stringify(typed.kind)} of ${JSON.stringify(typed.apiVersion)}`,
      )
    }
    const { object, unknown } = decode<Draft>(typed)
    this.#tellUnknown(unknown, object, request)
    const given = object.metadata.namespace
    if (kind.namespaced && given && given !== namespace) {
      throw new BerthError(
        'INVALID',
        `the namespace of the provided object does not match the namespace sent on the request`,
      )
    }
    return kind.namespaced ? { ...object, metadata: { ...object.metadata, namespace } } : object
  }

  #tellUnknown(
    unknown: readonly string[],
    object: Draft,
    request: WriteRequest & { applying?: string },
  ): void {
    const { kind, namespace, fieldValidation = 'Warn', applying } = request
    if (unknown.length === 0) return
    if (applying !== undefined) {
      const type = `${namespace === '' ? '' : `${namespace}/`}${applying}; ${apiVersionOf(kind)}, Kind=${kind.kind}`
      const list = unknown.map((path) => `.${path}: field not declared in schema`)
      throw new BerthError(
        'INVALID',
        `failed to create typed patch object (${type}): ${list.length === 1 ? list[0] : `errors:\n${list.map((l) => `  ${l}`).join('\n')}`}`,
      )
    }
    const texts = unknown.map((path) => `unknown field ${JSON.stringify(path)}`)
    if (fieldValidation === 'Strict') {
      throw new BerthError(
        'INVALID',
        `${object.kind} in version "${kind.version}" cannot be handled as a ${object.kind}: strict decoding error: ${texts.join(', ')}`,
      )
    }
    if (fieldValidation === 'Warn') for (const text of texts) request.warn?.(text)
  }

  async #make(draft: Draft, request: WriteRequest): Promise<StoredObject> {
    const uid = newUid()
    const { resourceVersion, creationTimestamp, deletionTimestamp, selfLink, generation, ...metadata } =
      draft.metadata
    if (resourceVersion) {
      throw new BerthError('INVALID', 'resourceVersion should not be set on objects to be created')
    }
    const draftWithUid = { ...draft, metadata: { ...metadata, uid } } as Draft
    const named = metadata.generateName ? (this.#objects.named(draftWithUid) as Draft) : draftWithUid
    const defaulted = applyDefaults(named)
    // What is derived and allocated from here on belongs to nobody, but a Secret's stringData is data before it is owned.
    const owned = defaulted.kind === 'Secret' ? prepareCreate(defaulted) : defaulted
    const managed = this.#managed(undefined, owned, request)
    const object = this.#allocated(prepareCreate(managed))
    const causes = validateCreate(object)
    if (causes.length > 0) throw invalidError(object, causes)
    return this.#objects.create(object, { uid, dryRun: request.dryRun ?? false })
  }

  async #replace(
    key: ObjectKey,
    next: (current: StoredObject) => Draft,
    request: WriteRequest,
  ): Promise<StoredObject> {
    const current = this.#objects.get(key)
    if (!current) throw missing(key)
    const draft = next(current)
    if (draft.metadata.name !== undefined && draft.metadata.name !== key.name) {
      throw otherName(key.name, draft.metadata.name)
    }
    return this.#put(current, draft, request)
  }

  async #put(current: StoredObject, draft: Draft, request: WriteRequest): Promise<StoredObject> {
    const key = keyOf(current)
    const { resourceVersion, uid } = draft.metadata
    if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) {
      throw new BerthError('CONFLICT', `it was changed meanwhile`, { details: { ...key } })
    }
    if (uid && uid !== current.metadata.uid) {
      throw new BerthError('CONFLICT', 'another object', {
        details: { ...key, precondition: 'UID', have: current.metadata.uid, given: uid },
      })
    }
    const live = current as unknown as Draft
    const whole = { ...draft, metadata: { ...draft.metadata, ...storeMetadata(current) } } as Draft
    const prepared = prepareUpdate(applyDefaults(whole), live, request.subresource)
    const object = this.#allocated(this.#managed(live, prepared, request), live)
    // What is as it was is not held against a change of something else, whatever rules came since.
    const causes = validateUpdate(object, live).filter(
      ({ field }) => !field.startsWith('spec') || !jsonEqual(object.spec, live.spec),
    )
    if (causes.length > 0) throw invalidError(object, causes)
    return this.#objects.update(object, { dryRun: request.dryRun ?? false })
  }

  /** Records the writer; after an apply the managers are in the object already and defaults belong to nobody. */
  #managed(live: Draft | undefined, object: Draft, request: WriteRequest): Draft {
    if ('force' in request) return object
    const { manager, subresource = '' } = request
    return updated(live, object, { manager, subresource, now: timestamp(this.#clock.now()) })
  }

  #allocated(object: Draft, previous?: Draft): Draft {
    if (object.kind !== 'Service' || object.apiVersion !== 'v1') return object
    const { name, namespace } = object.metadata
    const taken = this.#objects
      .list('Service')
      .filter((o) => o.metadata.name !== name || o.metadata.namespace !== namespace)
    const pool = { ...this.#pool, taken: taken as unknown as Service[] }
    const service = object as unknown as Service
    return allocateService(service, pool, previous as unknown as Service | undefined) as unknown as Draft
  }
}

/** Metadata that a write never changes, from what is there. */
function storeMetadata({ metadata }: StoredObject): Record<string, unknown> {
  const { name, namespace, uid, creationTimestamp, generation } = metadata
  const { deletionTimestamp, deletionGracePeriodSeconds, generateName } = metadata
  const all = { name, namespace, uid, creationTimestamp, generation, generateName }
  const deletion = { deletionTimestamp, deletionGracePeriodSeconds }
  return Object.fromEntries(
    Object.entries({ ...all, ...deletion }).filter(([, value]) => value !== undefined),
  )
}

function onlyStatus({ apiVersion, kind, metadata, status }: Draft): KubeObject {
  const { name, namespace, uid, resourceVersion } = metadata
  return JSON.parse(
    JSON.stringify({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion }, status }),
  )
}

function missing(key: ObjectKey): BerthError {
  return new BerthError('NOT_FOUND', `${key.groupKind} "${key.name}" does not exist`, { details: { ...key } })
}

function otherName(name: string, given: string): BerthError {
  return new BerthError(
    'INVALID',
    `the name of the object (${given}) does not match the name on the URL (${name})`,
  )
}
