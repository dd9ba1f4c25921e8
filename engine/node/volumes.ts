import { fieldValue, resourceValue } from '../object/field-ref.ts'
import { readQuantity, wholeValue } from '../object/quantity.ts'
import type { Container, KeyToPath, Volume, VolumeMount } from '../object/types.generated.ts'
import { type EnvContext, expand, MissingReference } from './env.ts'

/** A file of a volume that is made from objects. */
export interface VolumeFile {
  /** Relative to the volume. */
  readonly path: string
  readonly mode: number
  readonly content: Uint8Array
}

/** A token that the executor asks the issuer for. */
export interface TokenFile {
  readonly path: string
  readonly mode: number
  readonly audience?: string
  readonly expirationSeconds: number
}

/** What a pod's volume is on this machine. */
export type VolumePlan =
  | {
      readonly kind: 'files'
      readonly name: string
      readonly files: readonly VolumeFile[]
      readonly tokens: readonly TokenFile[]
    }
  | { readonly kind: 'empty'; readonly name: string; readonly memory: boolean; readonly sizeBytes?: number }
  | { readonly kind: 'host'; readonly name: string; readonly path: string; readonly type: string }
  | { readonly kind: 'claim'; readonly name: string; readonly claim: string; readonly readOnly: boolean }

/** The plans of all volumes of a pod, or what is missing for the first that lacks something. */
export function planVolumes(context: EnvContext): readonly VolumePlan[] | MissingReference {
  const plans: VolumePlan[] = []
  for (const volume of context.pod.spec.volumes ?? []) {
    const plan = planVolume(volume, context)
    if (plan instanceof MissingReference) {
      return new MissingReference(`MountVolume.SetUp failed for volume "${volume.name}" : ${plan.message}`)
    }
    plans.push(plan)
  }
  return plans
}

function planVolume(volume: Volume, context: EnvContext): VolumePlan | MissingReference {
  const { name } = volume
  if (volume.emptyDir) {
    const { medium, sizeLimit } = volume.emptyDir
    const size = sizeLimit ? { sizeBytes: wholeValue(readQuantity(sizeLimit)) } : {}
    return { kind: 'empty', name, memory: medium === 'Memory', ...size }
  }
  if (volume.hostPath)
    return { kind: 'host', name, path: volume.hostPath.path, type: volume.hostPath.type ?? '' }
  if (volume.persistentVolumeClaim) {
    const { claimName, readOnly = false } = volume.persistentVolumeClaim
    return { kind: 'claim', name, claim: claimName, readOnly }
  }
  const mode = 0o644
  if (volume.configMap)
    return joined(name, [fromConfigMap(volume.configMap, volume.configMap.defaultMode ?? mode, context)])
  if (volume.secret) {
    const { secretName, ...source } = volume.secret
    const named = { ...source, ...(secretName === undefined ? {} : { name: secretName }) }
    return joined(name, [fromSecret(named, volume.secret.defaultMode ?? mode, context)])
  }
  if (volume.downwardAPI) {
    return joined(name, [
      downward(volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode ?? mode, context),
    ])
  }
  if (volume.projected) {
    const usual = volume.projected.defaultMode ?? mode
    return joined(
      name,
      (volume.projected.sources ?? []).map((source): Content | MissingReference => {
        if (source.configMap) return fromConfigMap(source.configMap, usual, context)
        if (source.secret) return fromSecret(source.secret, usual, context)
        if (source.downwardAPI) return downward(source.downwardAPI.items ?? [], usual, context)
        if (!source.serviceAccountToken)
          return new MissingReference('its source is of a kind that berth does not know')
        const { path, audience, expirationSeconds = 3600 } = source.serviceAccountToken
        return {
          files: [],
          tokens: [{ path, mode: usual, expirationSeconds, ...(audience ? { audience } : {}) }],
        }
      }),
    )
  }
  const kind = Object.keys(volume).find((key) => key !== 'name')
  return new MissingReference(`volumes of kind "${kind}" cannot be had on one machine`)
}

interface Content {
  readonly files: readonly VolumeFile[]
  readonly tokens: readonly TokenFile[]
}

function joined(name: string, parts: readonly (Content | MissingReference)[]): VolumePlan | MissingReference {
  const missing = parts.find((part) => part instanceof MissingReference)
  if (missing instanceof MissingReference) return missing
  const contents = parts as readonly Content[]
  // Of two files at one path the later source's stays.
  const files = new Map(contents.flatMap((part) => part.files).map((file) => [file.path, file]))
  return { kind: 'files', name, files: [...files.values()], tokens: contents.flatMap((part) => part.tokens) }
}

interface Source {
  readonly name?: string
  readonly items?: readonly KeyToPath[]
  readonly optional?: boolean
}

function fromConfigMap(source: Source, mode: number, { references }: EnvContext): Content | MissingReference {
  const map = references.configMap(source.name ?? '')
  const data = map && {
    ...mapValues(map.data, (text) => Buffer.from(text, 'utf8')),
    ...mapValues(map.binaryData, (text) => Buffer.from(text, 'base64')),
  }
  return pick('configmap', source, mode, data)
}

function fromSecret(source: Source, mode: number, { references }: EnvContext): Content | MissingReference {
  const secret = references.secret(source.name ?? '')
  return pick('secret', source, mode, secret && mapValues(secret.data, (text) => Buffer.from(text, 'base64')))
}

function pick(
  kind: string,
  { name, items, optional }: Source,
  mode: number,
  data: Readonly<Record<string, Uint8Array>> | undefined,
): Content | MissingReference {
  if (!data) return optional ? { files: [], tokens: [] } : new MissingReference(`${kind} "${name}" not found`)
  if (!items) {
    const files = Object.entries(data).map(([path, content]) => ({ path, mode, content }))
    return { files, tokens: [] }
  }
  const absent = items.find((item) => data[item.key] === undefined)
  if (absent && !optional) return new MissingReference(`references non-existent ${kind} key: ${absent.key}`)
  const files = items.flatMap((item) => {
    const content = data[item.key]
    return content === undefined ? [] : [{ path: item.path, mode: item.mode ?? mode, content }]
  })
  return { files, tokens: [] }
}

function downward(
  items: NonNullable<NonNullable<Volume['downwardAPI']>['items']>,
  mode: number,
  { pod, node }: EnvContext,
): Content {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  const files = items.map((item) => {
    const container = containers.find((one) => one.name === item.resourceFieldRef?.containerName)
    const text = item.fieldRef
      ? fieldValue(item.fieldRef.fieldPath, pod, node)
      : item.resourceFieldRef && container && resourceValue(item.resourceFieldRef, container, node)
    return { path: item.path, mode: item.mode ?? mode, content: Buffer.from(text ?? '', 'utf8') }
  })
  return { files, tokens: [] }
}

/** A mount of a container: which volume, which part of it, where. */
export interface MountPlan {
  readonly volume: string
  readonly subPath: string
  readonly target: string
  readonly readOnly: boolean
  readonly propagation: 'private' | 'rslave' | 'rshared'
}

const propagations: Readonly<Record<string, MountPlan['propagation']>> = {
  None: 'private',
  HostToContainer: 'rslave',
  Bidirectional: 'rshared',
}

/** The mounts of a container, with `$(NAME)` in `subPathExpr` replaced. */
export function planMounts(
  container: Container,
  variables: ReadonlyMap<string, string>,
): readonly MountPlan[] {
  return (container.volumeMounts ?? []).map((mount: VolumeMount) => ({
    volume: mount.name,
    subPath: mount.subPathExpr ? expand(mount.subPathExpr, variables) : (mount.subPath ?? ''),
    target: mount.mountPath,
    readOnly: mount.readOnly ?? false,
    propagation: propagations[mount.mountPropagation ?? 'None'] ?? 'private',
  }))
}

function mapValues<A, B>(
  map: Readonly<Record<string, A>> | undefined,
  change: (value: A) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, change(value)]))
}
