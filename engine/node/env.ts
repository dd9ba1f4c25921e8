import { fieldValue, type NodeFacts, resourceValue } from '../object/field-ref.ts'
import type { ConfigMap, Container, EnvVar, Pod, Secret, Service } from '../object/types.generated.ts'

/** The objects of a pod's namespace that its containers may refer to. */
export interface References {
  configMap(name: string): ConfigMap | undefined
  secret(name: string): Secret | undefined
  /** For the variables of service links. */
  services(): readonly Service[]
}

export interface EnvContext {
  readonly pod: Pod
  readonly node: NodeFacts
  readonly references: References
}

/** A reference that leads nowhere: the container waits with `CreateContainerConfigError` until it does. */
export class MissingReference {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

/**
 * The environment of a container, as `NAME=value`: service links, then `envFrom`, then `env`, later ones winning;
 * `$(NAME)` in a value means a variable before it.
 */
export function environmentOf(
  container: Container,
  context: EnvContext,
): readonly string[] | MissingReference {
  const values = new Map<string, string>(
    context.pod.spec.enableServiceLinks === false ? [] : serviceLinks(context),
  )
  for (const from of container.envFrom ?? []) {
    const source = from.configMapRef ?? from.secretRef
    const map = from.configMapRef
      ? context.references.configMap(source?.name ?? '')?.data
      : secretText(context.references.secret(source?.name ?? ''))
    if (!map && !source?.optional) {
      return new MissingReference(`${from.configMapRef ? 'configmap' : 'secret'} "${source?.name}" not found`)
    }
    for (const [key, value] of Object.entries(map ?? {})) values.set(`${from.prefix ?? ''}${key}`, value)
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, container, context, values)
    if (value instanceof MissingReference) return value
    if (value !== undefined) values.set(variable.name, value)
  }
  return [...values].map(([name, value]) => `${name}=${value}`)
}

/** A text with `$(NAME)` replaced; `$$(NAME)` stays as `$(NAME)`, an unknown name stays as it is written. */
export function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^()]*)\)/g, (whole, name: string | undefined) => {
    if (whole === '$$') return '$'
    return name === undefined ? whole : (values.get(name) ?? whole)
  })
}

/** Variables as a map, for `expand` in commands and arguments. */
export function variablesOf(environment: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    environment.map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1)] as const
    }),
  )
}

function variableValue(
  variable: EnvVar,
  container: Container,
  { pod, node, references }: EnvContext,
  before: ReadonlyMap<string, string>,
): string | MissingReference | undefined {
  const from = variable.valueFrom
  if (!from) return expand(variable.value ?? '', before)
  if (from.fieldRef) return fieldValue(from.fieldRef.fieldPath, pod, node)
  if (from.resourceFieldRef) {
    const other = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
      (c) => c.name === from.resourceFieldRef?.containerName,
    )
    return resourceValue(from.resourceFieldRef, other ?? container, node)
  }
  const reference = from.configMapKeyRef ?? from.secretKeyRef
  if (!reference)
    return new MissingReference(`environment variable ${variable.name} has a source that berth does not know`)
  const [kind, short] = from.configMapKeyRef ? ['ConfigMap', 'configmap'] : ['Secret', 'secret']
  const name = reference.name ?? ''
  const map = from.configMapKeyRef ? references.configMap(name)?.data : secretText(references.secret(name))
  const there = from.configMapKeyRef ? references.configMap(name) : references.secret(name)
  const value = map?.[reference.key]
  if (value !== undefined || reference.optional) return value
  if (!there) return new MissingReference(`${short} "${name}" not found`)
  return new MissingReference(
    `couldn't find key ${reference.key} in ${kind} ${pod.metadata.namespace}/${name}`,
  )
}

function secretText(secret: Secret | undefined): Readonly<Record<string, string>> | undefined {
  if (!secret) return undefined
  const entries = Object.entries(secret.data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString('utf8'),
  ])
  return Object.fromEntries(entries)
}

/** `WEB_SERVICE_HOST`, `WEB_PORT` and so on for the namespace's Services with an address, as docker's links named them. */
function serviceLinks({ references }: EnvContext): [string, string][] {
  return references.services().flatMap(({ metadata, spec }): [string, string][] => {
    const address = spec.clusterIP
    const [first] = spec.ports ?? []
    if (!address || address === 'None' || !first) return []
    const prefix = (metadata.name ?? '').toUpperCase().replaceAll('-', '_')
    const url = (port: { readonly port: number; readonly protocol?: string }) =>
      `${(port.protocol ?? 'TCP').toLowerCase()}://${address}:${port.port}`
    return [
      [`${prefix}_SERVICE_HOST`, address],
      [`${prefix}_SERVICE_PORT`, String(first.port)],
      ...(spec.ports ?? []).flatMap((port): [string, string][] =>
        port.name
          ? [[`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port)]]
          : [],
      ),
      [`${prefix}_PORT`, url(first)],
      ...(spec.ports ?? []).flatMap((port): [string, string][] => {
        const protocol = port.protocol ?? 'TCP'
        const base = `${prefix}_PORT_${port.port}_${protocol}`
        return [
          [base, url(port)],
          [`${base}_PROTO`, protocol.toLowerCase()],
          [`${base}_PORT`, String(port.port)],
          [`${base}_ADDR`, address],
        ]
      }),
    ]
  })
}
