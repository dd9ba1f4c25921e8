import type { KeyToPath, PersistentVolumeClaimSpec, Volume, VolumeProjection } from '../types.generated.ts'
import type { Causes } from './causes.ts'
import { configKey, dnsLabel } from './names.ts'

/** The volumes of a pod: unique names, exactly one source each, paths that stay inside. */
export function checkVolumes(field: string, volumes: readonly Volume[] | undefined, causes: Causes): void {
  const names = new Set<string>()
  for (const [i, volume] of (volumes ?? []).entries()) {
    const path = `${field}[${i}]`
    if (!volume.name) causes.required(`${path}.name`)
    else causes.malformed(`${path}.name`, volume.name, dnsLabel(volume.name))
    if (names.has(volume.name)) causes.duplicate(`${path}.name`, volume.name)
    names.add(volume.name)
    const sources = Object.keys(volume).filter((key) => key !== 'name')
    if (sources.length === 0) causes.required(path, 'must specify a volume type')
    for (const extra of sources.slice(1))
      causes.forbidden(`${path}.${extra}`, 'may not specify more than 1 volume type')
    checkSource(path, volume, causes)
  }
}

function checkSource(path: string, volume: Volume, causes: Causes): void {
  if (volume.configMap) {
    if (!volume.configMap.name) causes.required(`${path}.configMap.name`)
    checkItems(`${path}.configMap`, volume.configMap, causes)
  }
  if (volume.secret) {
    if (!volume.secret.secretName) causes.required(`${path}.secret.secretName`)
    checkItems(`${path}.secret`, volume.secret, causes)
  }
  if (volume.hostPath) {
    if (!volume.hostPath.path) causes.required(`${path}.hostPath.path`)
    else if (volume.hostPath.path.split('/').includes('..')) {
      causes.invalid(`${path}.hostPath.path`, volume.hostPath.path, "must not contain '..'")
    }
    const types = [
      '',
      'DirectoryOrCreate',
      'Directory',
      'FileOrCreate',
      'File',
      'Socket',
      'CharDevice',
      'BlockDevice',
    ]
    if (!types.includes(volume.hostPath.type ?? ''))
      causes.unsupported(`${path}.hostPath.type`, volume.hostPath.type, types)
  }
  if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName) {
    causes.required(`${path}.persistentVolumeClaim.claimName`)
  }
  if (volume.downwardAPI) checkDownward(`${path}.downwardAPI`, volume.downwardAPI.items, causes)
  if (volume.projected) {
    checkMode(`${path}.projected.defaultMode`, volume.projected.defaultMode, causes)
    for (const [i, source] of (volume.projected.sources ?? []).entries()) {
      checkProjection(`${path}.projected.sources[${i}]`, source, causes)
    }
  }
}

function checkProjection(path: string, source: VolumeProjection, causes: Causes): void {
  const kinds = Object.keys(source)
  for (const extra of kinds.slice(1))
    causes.forbidden(`${path}.${extra}`, 'may not specify more than 1 volume type')
  if (kinds.length === 0) causes.required(path, 'must specify a source')
  if (source.configMap) {
    if (!source.configMap.name) causes.required(`${path}.configMap.name`)
    checkItems(`${path}.configMap`, source.configMap, causes)
  }
  if (source.secret) {
    if (!source.secret.name) causes.required(`${path}.secret.name`)
    checkItems(`${path}.secret`, source.secret, causes)
  }
  if (source.downwardAPI) checkDownward(`${path}.downwardAPI`, source.downwardAPI.items, causes)
  if (source.serviceAccountToken)
    checkLocalPath(`${path}.serviceAccountToken.path`, source.serviceAccountToken.path, causes)
}

function checkItems(
  path: string,
  source: { readonly defaultMode?: number; readonly items?: readonly KeyToPath[] },
  causes: Causes,
): void {
  checkMode(`${path}.defaultMode`, source.defaultMode, causes)
  for (const [i, item] of (source.items ?? []).entries()) {
    if (!item.key) causes.required(`${path}.items[${i}].key`)
    else causes.malformed(`${path}.items[${i}].key`, item.key, configKey(item.key))
    checkLocalPath(`${path}.items[${i}].path`, item.path, causes)
    checkMode(`${path}.items[${i}].mode`, item.mode, causes)
  }
}

function checkDownward(
  path: string,
  items:
    | readonly { readonly path: string; readonly fieldRef?: object; readonly resourceFieldRef?: object }[]
    | undefined,
  causes: Causes,
): void {
  for (const [i, item] of (items ?? []).entries()) {
    checkLocalPath(`${path}.items[${i}].path`, item.path, causes)
    if (!item.fieldRef && !item.resourceFieldRef) {
      causes.required(`${path}.items[${i}]`, 'one of fieldRef and resourceFieldRef is required')
    }
  }
}

function checkMode(path: string, mode: number | undefined, causes: Causes): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777)) {
    causes.invalid(path, mode, 'must be a number between 0 and 0777 (octal), both inclusive')
  }
}

/** A path below a volume's root: relative and without `..`. */
export function checkLocalPath(path: string, value: string | undefined, causes: Causes): void {
  if (!value) causes.required(path)
  else if (value.startsWith('/')) causes.invalid(path, value, 'must be a relative path')
  else if (value.split('/').includes('..')) causes.invalid(path, value, "must not contain '..'")
}

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']

/** The spec of a claim, alone or as a StatefulSet's template. */
export function checkClaimSpec(
  path: string,
  spec: PersistentVolumeClaimSpec | undefined,
  causes: Causes,
): void {
  checkAccessModes(`${path}.accessModes`, spec?.accessModes, causes)
  if (spec?.resources?.requests?.storage === undefined) causes.required(`${path}.resources[storage]`)
  else if (/^(-|0$)/.test(spec.resources.requests.storage)) {
    causes.invalid(`${path}.resources[storage]`, spec.resources.requests.storage, 'must be greater than zero')
  }
}

/** Access modes of a claim or a volume: at least one, and known. */
export function checkAccessModes(path: string, modes: readonly string[] | undefined, causes: Causes): void {
  if (!modes || modes.length === 0) causes.required(path, 'at least 1 access mode is required')
  for (const mode of modes ?? []) if (!accessModes.includes(mode)) causes.unsupported(path, mode, accessModes)
}
