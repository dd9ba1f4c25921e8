import { BerthError } from '../base/error.ts'
import type { ManifestDocument, ManifestObject } from './manifest.ts'

/**
 * Holds that objects have a kind, an apiVersion and a name, and that no two are the same. `helm template` prints what
 * breaks this; nothing can be applied then. A document without anything in it (only comments) passes.
 */
export function checkObjects(documents: readonly ManifestDocument[], namespace: string): void {
  const seen = new Map<string, ManifestDocument>()
  for (const document of documents) {
    const object = document.value as Partial<ManifestObject> | null | undefined
    if (object === null || object === undefined) continue
    const fail = (message: string) => {
      throw new BerthError('INVALID', `Cannot use "${document.source}": ${message}`, {
        where: document.position([]),
      })
    }
    if (typeof object.kind !== 'string' || object.kind === '') fail('an object has no kind')
    if (typeof object.apiVersion !== 'string' || object.apiVersion === '')
      fail(`${object.kind} has no apiVersion`)
    const name = object.metadata?.name
    if (typeof name !== 'string' || name === '') fail(`${object.kind} has no metadata.name`)
    const group = object.apiVersion?.includes('/') ? object.apiVersion.split('/')[0] : ''
    const key = `${group}/${object.kind}/${object.metadata?.namespace ?? namespace}/${name}`
    const other = seen.get(key)
    if (other) fail(`${object.kind} "${name}" is there twice, also from "${other.source}"`)
    seen.set(key, document)
  }
}
