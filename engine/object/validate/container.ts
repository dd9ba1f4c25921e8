import { compareQuantities, readQuantity } from '../quantity.ts'
import type {
  Container,
  EnvVar,
  LifecycleHandler,
  Probe,
  ResourceRequirements,
  Volume,
} from '../types.generated.ts'
import type { Causes } from './causes.ts'
import {
  configKey,
  dnsLabel,
  envName,
  portName,
  portNumber,
  portNumberOrName,
  qualifiedName,
} from './names.ts'
import { checkLocalPath } from './volume.ts'

/** The rules that hold for init containers and others alike. */
export function checkContainer(
  path: string,
  container: Container,
  volumes: readonly Volume[],
  causes: Causes,
): void {
  if (!container.name) causes.required(`${path}.name`)
  else causes.malformed(`${path}.name`, container.name, dnsLabel(container.name))
  if (!container.image) causes.required(`${path}.image`)
  causes.oneOf(`${path}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'])
  causes.oneOf(`${path}.terminationMessagePolicy`, container.terminationMessagePolicy, [
    'File',
    'FallbackToLogsOnError',
  ])
  checkPorts(path, container, causes)
  for (const [i, variable] of (container.env ?? []).entries()) checkEnv(`${path}.env[${i}]`, variable, causes)
  for (const [i, from] of (container.envFrom ?? []).entries()) {
    const sources = [from.configMapRef, from.secretRef].filter((source) => source !== undefined)
    if (sources.length === 0)
      causes.invalid(`${path}.envFrom[${i}]`, '', 'must specify one of: `configMapRef` or `secretRef`')
    if (sources.length > 1)
      causes.invalid(`${path}.envFrom[${i}]`, '', 'may not have more than one field specified at a time')
    if (sources.length === 1 && !sources[0]?.name) {
      causes.required(`${path}.envFrom[${i}].${from.configMapRef ? 'configMapRef' : 'secretRef'}.name`)
    }
  }
  checkMounts(path, container, volumes, causes)
  checkResources(`${path}.resources`, container.resources ?? {}, causes)
  const security = container.securityContext
  if (security?.privileged && security.allowPrivilegeEscalation === false) {
    causes.invalid(
      `${path}.securityContext`,
      security,
      'cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
    )
  }
  for (const key of ['runAsUser', 'runAsGroup'] as const) {
    const id = security?.[key]
    if (id !== undefined && (id < 0 || id > 2147483647)) {
      causes.invalid(`${path}.securityContext.${key}`, id, 'must be between 0 and 2147483647, inclusive')
    }
  }
}

/** Probes and hooks of a container that stays: ordinary ones and sidecars. */
export function checkProbes(path: string, container: Container, causes: Causes): void {
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const probe = container[kind]
    if (!probe) continue
    checkProbe(`${path}.${kind}`, probe, causes)
    if (kind !== 'readinessProbe' && probe.successThreshold !== 1) {
      causes.invalid(`${path}.${kind}.successThreshold`, probe.successThreshold, 'must be 1')
    }
  }
  for (const kind of ['postStart', 'preStop'] as const) {
    const hook = container.lifecycle?.[kind]
    if (hook) checkHandler(`${path}.lifecycle.${kind}`, hook, causes)
  }
}

function checkPorts(path: string, container: Container, causes: Causes): void {
  const names = new Set<string>()
  for (const [i, port] of (container.ports ?? []).entries()) {
    const at = `${path}.ports[${i}]`
    if (port.name) {
      causes.malformed(`${at}.name`, port.name, portName(port.name))
      if (names.has(port.name)) causes.duplicate(`${at}.name`, port.name)
      names.add(port.name)
    }
    if (!port.containerPort) causes.required(`${at}.containerPort`)
    else causes.malformed(`${at}.containerPort`, port.containerPort, portNumber(port.containerPort))
    if (port.hostPort) causes.malformed(`${at}.hostPort`, port.hostPort, portNumber(port.hostPort))
    causes.oneOf(`${at}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'])
  }
}

function checkEnv(path: string, variable: EnvVar, causes: Causes): void {
  if (!variable.name) causes.required(`${path}.name`)
  else causes.malformed(`${path}.name`, variable.name, envName(variable.name))
  const from = variable.valueFrom
  if (!from) return
  const sources = Object.keys(from)
  if (sources.length === 0) {
    causes.invalid(
      `${path}.valueFrom`,
      '',
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
    )
  } else if (variable.value) {
    causes.invalid(`${path}.valueFrom`, '', 'may not be specified when `value` is not empty')
  }
  if (sources.length > 1)
    causes.invalid(`${path}.valueFrom`, '', 'may not have more than one field specified at a time')
  if (from.fieldRef && !isEnvField(from.fieldRef.fieldPath)) {
    if (!from.fieldRef.fieldPath) causes.required(`${path}.valueFrom.fieldRef.fieldPath`)
    else causes.unsupported(`${path}.valueFrom.fieldRef.fieldPath`, from.fieldRef.fieldPath, envFields)
  }
  if (from.resourceFieldRef && !isResourceField(from.resourceFieldRef.resource)) {
    causes.unsupported(
      `${path}.valueFrom.resourceFieldRef.resource`,
      from.resourceFieldRef.resource,
      resourceFields,
    )
  }
  for (const kind of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const reference = from[kind]
    if (!reference) continue
    if (!reference.name) causes.required(`${path}.valueFrom.${kind}.name`)
    if (!reference.key) causes.required(`${path}.valueFrom.${kind}.key`)
    else causes.malformed(`${path}.valueFrom.${kind}.key`, reference.key, configKey(reference.key))
  }
}

const envFields = [
  ...['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName'],
  ...['status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'],
]
const resourceFields = [
  ...['limits.cpu', 'limits.ephemeral-storage', 'limits.memory'],
  ...['requests.cpu', 'requests.ephemeral-storage', 'requests.memory'],
]

function isEnvField(path: string): boolean {
  return envFields.includes(path) || /^metadata\.(labels|annotations)\['[^']+'\]$/.test(path)
}

function isResourceField(resource: string): boolean {
  return resourceFields.includes(resource) || /^(limits|requests)\.hugepages-/.test(resource)
}

function checkMounts(path: string, container: Container, volumes: readonly Volume[], causes: Causes): void {
  const points = new Set<string>()
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}.volumeMounts[${i}]`
    if (!mount.name) causes.required(`${at}.name`)
    else if (!volumes.some((volume) => volume.name === mount.name)) causes.notFound(`${at}.name`, mount.name)
    if (!mount.mountPath) causes.required(`${at}.mountPath`)
    else if (points.has(mount.mountPath)) causes.invalid(`${at}.mountPath`, mount.mountPath, 'must be unique')
    points.add(mount.mountPath)
    if (mount.subPath) checkLocalPath(`${at}.subPath`, mount.subPath, causes)
    if (mount.subPathExpr) {
      if (mount.subPath)
        causes.invalid(
          `${at}.subPathExpr`,
          mount.subPathExpr,
          'subPathExpr and subPath are mutually exclusive',
        )
      checkLocalPath(`${at}.subPathExpr`, mount.subPathExpr, causes)
    }
  }
}

function checkResources(path: string, resources: ResourceRequirements, causes: Causes): void {
  for (const side of ['limits', 'requests'] as const) {
    for (const [name, amount] of Object.entries(resources[side] ?? {})) {
      const at = `${path}.${side}[${name}]`
      if (amount.startsWith('-')) causes.invalid(at, amount, 'must be greater than or equal to 0')
      const standard = ['cpu', 'memory', 'ephemeral-storage'].includes(name) || name.startsWith('hugepages-')
      if (!standard && !name.includes('/')) {
        causes.invalid(at, name, 'must be a standard resource type or fully qualified')
        causes.invalid(at, name, 'must be a standard resource for containers')
      } else causes.malformed(at, name, qualifiedName(name))
    }
  }
  for (const [name, request] of Object.entries(resources.requests ?? {})) {
    const limit = resources.limits?.[name]
    if (limit !== undefined && compareQuantities(readQuantity(request), readQuantity(limit)) > 0) {
      causes.invalid(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`)
    }
  }
}

function checkProbe(path: string, probe: Probe, causes: Causes): void {
  checkHandler(path, probe, causes)
  const counts = [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const
  for (const key of counts) causes.notNegative(`${path}.${key}`, probe[key])
  if (probe.terminationGracePeriodSeconds !== undefined && probe.terminationGracePeriodSeconds <= 0) {
    causes.invalid(
      `${path}.terminationGracePeriodSeconds`,
      probe.terminationGracePeriodSeconds,
      'must be greater than 0',
    )
  }
}

function checkHandler(path: string, handler: Probe & LifecycleHandler, causes: Causes): void {
  const given = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((kind) => handler[kind])
  if (given.length === 0) causes.required(path, 'must specify a handler type')
  for (const extra of given.slice(1))
    causes.forbidden(`${path}.${extra}`, 'may not specify more than 1 handler type')
  if (handler.exec && (handler.exec.command ?? []).length === 0) causes.required(`${path}.exec.command`)
  if (handler.httpGet) {
    if (!handler.httpGet.path) causes.required(`${path}.httpGet.path`)
    causes.malformed(`${path}.httpGet.port`, handler.httpGet.port, portNumberOrName(handler.httpGet.port))
    causes.oneOf(`${path}.httpGet.scheme`, handler.httpGet.scheme, ['HTTP', 'HTTPS'])
  }
  if (handler.tcpSocket) {
    causes.malformed(
      `${path}.tcpSocket.port`,
      handler.tcpSocket.port,
      portNumberOrName(handler.tcpSocket.port),
    )
  }
  if (handler.grpc) causes.malformed(`${path}.grpc.port`, handler.grpc.port, portNumber(handler.grpc.port))
}
