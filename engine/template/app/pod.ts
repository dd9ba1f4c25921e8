import { createHash } from 'node:crypto'
import { parseDuration } from '../../base/duration.ts'
import type { App, Job, Probe, Service } from './app.generated.ts'
import { appAnnotations, nameOf, selectorOf } from './names.ts'

/** What the expansion of one App needs to know beside the App. */
export interface AppContext {
  readonly release: string
  readonly namespace: string
  /** `NAME-VERSION` of the chart, for the label `helm.sh/chart`. */
  readonly chart: string
  readonly app: string
  readonly spec: App['spec']
  /** Texts of `spec.config`, by name. */
  readonly configTexts: ReadonlyMap<string, string>
}

export interface Port {
  readonly port: number
  readonly target: number
  readonly publish: number | undefined
  readonly protocol: 'TCP' | 'UDP'
}

/** A service's ports with everything filled in. */
export function portsOf(service: Service): Port[] {
  return (service.ports ?? []).map((given) => {
    const port = typeof given === 'object' ? given : { port: given }
    const publish = 'publish' in port ? port.publish : undefined
    return {
      port: Number(port.port),
      target: Number(('target' in port ? port.target : undefined) ?? port.port),
      publish: publish === undefined || publish === null || publish === '' ? undefined : Number(publish),
      protocol: 'protocol' in port && port.protocol === 'udp' ? 'UDP' : 'TCP',
    }
  })
}

/** `tcp-80`: a port's name, unique in its service. */
export function portName({ port, protocol }: Port): string {
  return `${protocol.toLowerCase()}-${port}`
}

/** The pod template of a service. */
export function servicePod(context: AppContext, name: string, service: Service) {
  const files = Object.entries(context.spec.config ?? {}).filter(
    ([, file]) => file.in === undefined || file.in.includes(name),
  )
  const targets = [
    ...new Map(portsOf(service).map((port) => [`${port.target}/${port.protocol}`, port])).values(),
  ]
  const annotations = {
    ...needsAnnotation(context, service.needs),
    ...(files.length === 0
      ? {}
      : {
          [appAnnotations.config]: configDigest(
            context,
            files.map(([file]) => file),
          ),
        }),
  }
  return {
    metadata: {
      labels: selectorOf(context, name),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    spec: {
      ...(service.grace === undefined ? {} : { terminationGracePeriodSeconds: seconds(service.grace) }),
      ...(service.user === undefined
        ? {}
        : { securityContext: { runAsUser: Number(service.user), fsGroup: Number(service.user) } }),
      containers: [
        {
          ...container(context, name, service),
          ...(targets.length === 0
            ? {}
            : {
                ports: targets.map((port) => ({
                  name: portName({ ...port, port: port.target }),
                  containerPort: port.target,
                  protocol: port.protocol,
                })),
              }),
          ...(service.ready ? { readinessProbe: probe(service, service.ready, '2s') } : {}),
          ...(service.live ? { livenessProbe: probe(service, service.live, '10s') } : {}),
          ...mounts(service, files),
        },
      ],
      ...(files.length === 0
        ? {}
        : { volumes: [{ name: 'config', configMap: { name: nameOf(context.release, 'config') } }] }),
    },
  }
}

/** The pod template of a job. */
export function jobPod(context: AppContext, name: string, job: Job) {
  const annotations = needsAnnotation(context, job.needs)
  return {
    metadata: {
      labels: selectorOf(context, name),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    spec: {
      restartPolicy: 'Never',
      ...(job.user === undefined ? {} : { securityContext: { runAsUser: Number(job.user) } }),
      containers: [container(context, name, job)],
    },
  }
}

function container(context: AppContext, name: string, part: Service | Job) {
  const env = Object.entries(part.env ?? {})
  const { cpu, memory } = part.limits ?? {}
  const limits = {
    ...(cpu === undefined ? {} : { cpu: String(cpu) }),
    ...(memory === undefined ? {} : { memory: String(memory) }),
  }
  return {
    name,
    image: part.image,
    ...(part.command ? { command: part.command.map(String) } : {}),
    ...(part.args ? { args: part.args.map(String) } : {}),
    ...(env.length === 0
      ? {}
      : {
          env: env.map(([key, value]) =>
            typeof value === 'object'
              ? { name: key, valueFrom: { secretKeyRef: secretReference(context, value) } }
              : { name: key, value: String(value) },
          ),
        }),
    ...(Object.keys(limits).length === 0 ? {} : { resources: { limits } }),
  }
}

/** A secret of the App lies in `RELEASE-NAME` under its own name; with a key it is any Secret of the namespace. */
function secretReference(context: AppContext, value: { secret: string; key?: string }) {
  return value.key === undefined
    ? { name: nameOf(context.release, value.secret), key: value.secret }
    : { name: value.secret, key: value.key }
}

function needsAnnotation(context: AppContext, needs: readonly string[] | undefined): Record<string, string> {
  if (!needs?.length) return {}
  return { [appAnnotations.needs]: needs.map((need) => nameOf(context.release, need)).join(',') }
}

function mounts(service: Service, files: readonly (readonly [string, { mount: string }])[]) {
  const volumeMounts = [
    ...Object.entries(service.volumes ?? {}).map(([volume, mountPath]) => ({ name: volume, mountPath })),
    ...files.map(([file, { mount }]) => ({
      name: 'config',
      mountPath: mount,
      subPath: file,
      readOnly: true,
    })),
  ]
  return volumeMounts.length === 0 ? {} : { volumeMounts }
}

function probe(service: Service, given: Probe, every: string) {
  const first = portsOf(service)[0]
  const action =
    given.http !== undefined
      ? { httpGet: { path: given.http, port: Number(given.port ?? first?.target), scheme: 'HTTP' } }
      : given.tcp !== undefined
        ? { tcpSocket: { port: Number(given.tcp) } }
        : { exec: { command: (given.command ?? []).map(String) } }
  return {
    ...action,
    ...(given.delay === undefined ? {} : { initialDelaySeconds: seconds(given.delay) }),
    periodSeconds: Math.max(1, seconds(given.every ?? every)),
    timeoutSeconds: Math.max(1, seconds(given.timeout ?? '2s')),
    failureThreshold: Math.max(1, Number(given.failures ?? 3)),
  }
}

function seconds(duration: string): number {
  return Math.ceil(parseDuration(duration) / 1000)
}

function configDigest(context: AppContext, files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files.toSorted()) hash.update(`${file}\0${context.configTexts.get(file) ?? ''}\0`)
  return hash.digest('hex').slice(0, 16)
}
