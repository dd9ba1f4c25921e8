import type { Exchange } from './exchange.ts'

export interface Route {
  readonly method: string
  /** Below the version: `/containers/:id/json`; `:name*` takes slashes too. */
  readonly pattern: string
  readonly answer: (exchange: Exchange) => void | Promise<void>
}

export interface Found {
  readonly route: Route
  readonly parameters: readonly string[]
}

interface Compiled {
  readonly route: Route
  readonly expression: RegExp
}

/** Finds the route of a request; the first that fits wins. `wrongMethod`: the path is there with another method. */
export class Router {
  readonly #routes: readonly Compiled[]

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({
      route,
      expression: new RegExp(`^${route.pattern.replace(/:\w+\*/g, '(.+)').replace(/:\w+/g, '([^/]+)')}$`),
    }))
  }

  find(method: string, path: string): Found | undefined {
    for (const { route, expression } of this.#routes) {
      if (route.method !== method && !(method === 'HEAD' && route.method === 'GET')) continue
      const match = expression.exec(path)
      if (match) return { route, parameters: match.slice(1).map(decodeURIComponent) }
    }
    return undefined
  }
}

/** The API version and the rest of `/v1.41/containers/json`; version undefined when the path has none. */
export function splitVersion(path: string): { version: readonly [number, number] | undefined; rest: string } {
  const match = /^\/v(\d+)\.(\d+)(\/.*)$/.exec(path)
  if (!match) return { version: undefined, rest: path }
  return { version: [Number(match[1]), Number(match[2])], rest: match[3] ?? '/' }
}
