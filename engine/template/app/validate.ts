import { suggest } from '../../base/suggest.ts'
import { throwViolations, type Violation, validatorOf, violations } from '../schema.ts'
import type { YamlDocument, YamlPath } from '../yaml.ts'
import { type App, appSchema, type Job, type Service } from './app.generated.ts'

/** An App as `App` types it, checked. Throws `INVALID` naming the first wrong field with file and line. */
export function parseApp(document: YamlDocument, file: string): App {
  const wrong = violations(validatorOf(appSchema), document.value)
  const source = { file, document }
  throwViolations(wrong, 'App', source)
  const app = document.value as App
  throwViolations([...references(app), ...cycles(app), ...combinations(app)], `App "${app.metadata.name}"`, {
    ...source,
    prefix: `App/${app.metadata.name}`,
  })
  return app
}

/** Names that point to something the App does not have. */
function references({ spec }: App): Violation[] {
  const found: Violation[] = []
  const check = (path: YamlPath, name: string, known: object | undefined, what: string) => {
    const names = Object.keys(known ?? {})
    if (names.includes(name)) return
    const near = suggest(name, names)
    found.push({
      path,
      message: `there is no ${what} "${name}"`,
      hint: near
        ? `did you mean "${near}"?`
        : names.length > 0
          ? `known: ${names.join(', ')}`
          : `declare it under spec.${what === 'config' ? what : `${what}s`}`,
    })
  }
  const parts: [YamlPath, Partial<Service> & Partial<Job>][] = [
    ...Object.entries(spec.services).map(([name, part]): [YamlPath, Service] => [
      ['spec', 'services', name],
      part,
    ]),
    ...Object.entries(spec.jobs ?? {}).map(([name, part]): [YamlPath, Job] => [['spec', 'jobs', name], part]),
  ]
  for (const [base, part] of parts) {
    part.needs?.forEach((need, i) => {
      check([...base, 'needs', i], need, spec.services, 'service')
    })
    for (const [key, value] of Object.entries(part.env ?? {})) {
      if (typeof value === 'object' && value.key === undefined)
        check([...base, 'env', key, 'secret'], value.secret, spec.secrets, 'secret')
    }
    for (const link of ['before', 'after'] as const) {
      const target = part[link]
      if (target !== undefined) check([...base, link], target, spec.services, 'service')
    }
    for (const volume of Object.keys(part.volumes ?? {}))
      check([...base, 'volumes', volume], volume, spec.volumes, 'volume')
  }
  for (const [name, { in: services }] of Object.entries(spec.config ?? {}))
    services?.forEach((service, i) => {
      check(['spec', 'config', name, 'in', i], service, spec.services, 'service')
    })
  return found
}

/** Services that wait for each other would never start. */
function cycles({ spec }: App): Violation[] {
  const done = new Set<string>()
  const visit = (name: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return undefined
    for (const need of spec.services[name]?.needs ?? []) {
      const circle = visit(need, [...trail, name])
      if (circle) return circle
    }
    done.add(name)
    return undefined
  }
  for (const name of Object.keys(spec.services)) {
    const circle = visit(name, [])
    if (circle)
      return [
        {
          path: ['spec', 'services', circle[0] ?? name, 'needs'],
          message: `services need each other in a circle: ${circle.join(' → ')}`,
        },
      ]
  }
  return []
}

/** Fields that only make sense together, or only one of several. */
function combinations({ spec }: App): Violation[] {
  const found: Violation[] = []
  for (const [name, service] of Object.entries(spec.services)) {
    for (const kind of ['ready', 'live'] as const) {
      const probe = service[kind]
      if (!probe) continue
      const path = ['spec', 'services', name, kind]
      const ways = (['http', 'tcp', 'command'] as const).filter((way) => probe[way] !== undefined)
      if (ways.length !== 1)
        found.push({
          path,
          message: `"${name}.${kind}" should have one of http, tcp, command, has ${ways.join(' and ') || 'none'}`,
        })
      if (probe.http !== undefined && probe.port === undefined && !service.ports?.length)
        found.push({
          path: [...path, 'http'],
          message: `"${name}.${kind}" needs a port: the service has none`,
        })
    }
    const ports = (service.ports ?? []).map(
      (port) => `${typeof port === 'object' ? `${port.port}/${port.protocol ?? 'tcp'}` : `${port}/tcp`}`,
    )
    ports.forEach((port, i) => {
      if (ports.indexOf(port) !== i)
        found.push({ path: ['spec', 'services', name, 'ports', i], message: `port ${port} is there twice` })
    })
  }
  for (const [name, secret] of Object.entries(spec.secrets ?? {}))
    if ((secret.generate === undefined) === (secret.value === undefined))
      found.push({
        path: ['spec', 'secrets', name],
        message: `secret "${name}" should have one of generate, value`,
      })
  for (const [name, file] of Object.entries(spec.config ?? {}))
    if ((file.text === undefined) === (file.file === undefined))
      found.push({
        path: ['spec', 'config', name],
        message: `config "${name}" should have one of text, file`,
      })
  for (const [name, job] of Object.entries(spec.jobs ?? {}))
    if (job.before !== undefined && job.after !== undefined)
      found.push({
        path: ['spec', 'jobs', name, 'after'],
        message: `job "${name}" should have one of before, after`,
      })
  return found
}
