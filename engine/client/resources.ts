import { BerthError } from '../base/error.ts'
import { kindOf } from '../object/kinds.ts'

/** How a kind is reached by URL. */
export interface ResourceName {
  readonly plural: string
  readonly namespaced: boolean
}

/** Asks the API server for one path; undefined for 404. */
export type Ask = (path: string) => Promise<unknown>

/**
 * Finds the plural name of a kind: berth's own kinds without asking, others by discovery, which is remembered. A kind
 * that was not there is asked for again: it may have been defined since.
 */
export class ResourceNames {
  readonly #ask: Ask
  readonly #known = new Map<string, Promise<ReadonlyMap<string, ResourceName>>>()

  constructor(ask: Ask) {
    this.#ask = ask
  }

  /** Throws `NOT_FOUND` for a kind that the server does not have. */
  async of(apiVersion: string, kind: string): Promise<ResourceName> {
    const own = kindOf(apiVersion, kind)
    if (own) return own
    const known = await this.#known.get(apiVersion)
    const found = known?.get(kind) ?? (await this.#discover(apiVersion)).get(kind)
    if (found) return found
    throw new BerthError('NOT_FOUND', `no matches for kind "${kind}" in version "${apiVersion}"`, {
      hint: 'install what defines the kind first',
      details: { apiVersion, kind },
    })
  }

  #discover(apiVersion: string): Promise<ReadonlyMap<string, ResourceName>> {
    const asked = this.#read(apiVersion)
    this.#known.set(apiVersion, asked)
    asked.catch(() => this.#known.delete(apiVersion))
    return asked
  }

  async #read(apiVersion: string): Promise<ReadonlyMap<string, ResourceName>> {
    const list = (await this.#ask(groupVersionPath(apiVersion))) as
      | { resources?: { name: string; kind: string; namespaced: boolean }[] }
      | undefined
    const resources = (list?.resources ?? []).filter(({ name }) => !name.includes('/'))
    return new Map(resources.map(({ name, kind, namespaced }) => [kind, { plural: name, namespaced }]))
  }
}

/** `/api/v1`, `/apis/apps/v1`. */
export function groupVersionPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
}
