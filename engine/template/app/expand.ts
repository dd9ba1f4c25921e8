import { createHash } from 'node:crypto'
import { parseDuration } from '../../base/duration.ts'
import { BerthError } from '../../base/error.ts'
import type { ManifestObject } from '../manifest.ts'
import type { YamlPath } from '../yaml.ts'
import type { App, Service, Volume } from './app.generated.ts'
import { appAnnotations, labelsOf, nameOf, selectorOf } from './names.ts'
import { type AppContext, jobPod, portName, portsOf, servicePod } from './pod.ts'

/** What is known outside of the App: pure inputs, so that the same inputs give the same objects. */
export interface AppSurroundings {
  readonly release: string
  readonly namespace: string
  /** `NAME-VERSION` of the chart. */
  readonly chart: string
  /** A file of the chart. */
  file(name: string): string | undefined
  /** The value of a generated secret that exists: of the live Secret, else of the release's last record. */
  existingSecret(secretName: string, key: string): string | undefined
  /** Random bytes, for secrets that do not exist yet. */
  random(size: number): Uint8Array
}

/** An object that an App expands to, and the field of the App that asks for it. */
export interface ExpandedObject {
  readonly object: ManifestObject
  readonly from: YamlPath
}

/**
 * Expands an App to standard objects: for each service a Deployment, or with volumes a StatefulSet, its Service and
 * with `publish` a second Service of type LoadBalancer; Jobs, Secrets, a ConfigMap, shared claims. Pure.
 */
export function expandApp(app: App, around: AppSurroundings): ExpandedObject[] {
  const { spec } = app
  const configTexts = configOf(app, around)
  const context: AppContext = {
    release: around.release,
    namespace: around.namespace,
    chart: around.chart,
    app: app.metadata.name,
    spec,
    configTexts,
  }
  const shared = sharedVolumes(spec.services)
  return [
    ...Object.keys(spec.secrets ?? {}).map((name) => secret(context, name, around)),
    ...(configTexts.size === 0 ? [] : [configMap(context)]),
    ...shared.map((volume) => sharedClaim(context, volume)),
    ...Object.entries(spec.services).flatMap(([name, service]) =>
      serviceObjects(context, name, { service, shared }),
    ),
    ...Object.keys(spec.jobs ?? {}).map((name) => jobObject(context, name)),
  ].map(({ object, from }) => ({ from, object: withMetadata(object, app) }))
}

function withMetadata(object: ManifestObject, { metadata }: App): ManifestObject {
  if (!metadata.labels && !metadata.annotations) return object
  return {
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...metadata.labels, ...object.metadata.labels },
      ...(metadata.annotations || object.metadata.annotations
        ? { annotations: { ...metadata.annotations, ...object.metadata.annotations } }
        : {}),
    },
  }
}

function configOf({ spec, metadata }: App, around: AppSurroundings): Map<string, string> {
  return new Map(
    Object.entries(spec.config ?? {}).map(([name, { text, file }]) => {
      const content = text ?? around.file(file ?? '')
      if (content === undefined)
        throw new BerthError(
          'INVALID',
          `Cannot expand App "${metadata.name}": the chart has no file "${file}"`,
          {
            where: { file: 'Chart', path: `spec.config.${name}.file` },
          },
        )
      return [name, content]
    }),
  )
}

function serviceObjects(
  context: AppContext,
  name: string,
  { service, shared }: { service: Service; shared: readonly string[] },
): ExpandedObject[] {
  const from = ['spec', 'services', name]
  const metadata = {
    name: nameOf(context.release, name),
    namespace: context.namespace,
    labels: labelsOf(context, name),
  }
  const selector = selectorOf(context, name)
  const ports = portsOf(service)
  const port = (number: number, one: (typeof ports)[number]) => ({
    name: portName(one),
    port: number,
    targetPort: one.target,
    protocol: one.protocol,
  })
  const published = ports.filter((one) => one.publish !== undefined)
  return [
    { object: workload(context, name, { service, shared }), from },
    ...(ports.length === 0
      ? []
      : [
          {
            object: {
              apiVersion: 'v1',
              kind: 'Service',
              metadata,
              spec: { type: 'ClusterIP', selector, ports: ports.map((one) => port(one.port, one)) },
            },
            from: [...from, 'ports'],
          },
        ]),
    ...(published.length === 0
      ? []
      : [
          {
            object: {
              apiVersion: 'v1',
              kind: 'Service',
              metadata: { ...metadata, name: `${metadata.name}-public` },
              spec: {
                type: 'LoadBalancer',
                selector,
                ports: published.map((one) => port(one.publish ?? one.port, one)),
              },
            },
            from: [...from, 'ports', ports.findIndex((one) => one.publish !== undefined), 'publish'],
          },
        ]),
  ]
}

function workload(
  context: AppContext,
  name: string,
  { service, shared }: { service: Service; shared: readonly string[] },
): ManifestObject {
  const metadata = {
    name: nameOf(context.release, name),
    namespace: context.namespace,
    labels: labelsOf(context, name),
  }
  const template = servicePod(context, name, service)
  const replicas = Number(service.replicas ?? 1)
  const selector = { matchLabels: selectorOf(context, name) }
  const volumes = Object.keys(service.volumes ?? {})
  if (volumes.length === 0)
    return {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas,
        selector,
        // A new pod is ready before an old one goes, so that no request finds nobody.
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template,
      },
    }
  const own = volumes.filter((volume) => !shared.includes(volume))
  const kept = own.some((volume) => context.spec.volumes?.[volume]?.keep !== false)
  const podVolumes = [
    ...(template.spec.volumes ?? []),
    ...volumes
      .filter((volume) => shared.includes(volume))
      .map((volume) => ({
        name: volume,
        persistentVolumeClaim: { claimName: nameOf(context.release, volume) },
      })),
  ]
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata,
    spec: {
      replicas,
      selector,
      serviceName: metadata.name,
      ...(own.length === 0
        ? {}
        : {
            persistentVolumeClaimRetentionPolicy: {
              whenDeleted: kept ? 'Retain' : 'Delete',
              whenScaled: 'Retain',
            },
            volumeClaimTemplates: own.map((volume) => ({
              apiVersion: 'v1',
              kind: 'PersistentVolumeClaim',
              metadata: { name: volume, labels: selectorOf(context, name) },
              spec: claimSpec(context.spec.volumes?.[volume]),
            })),
          }),
      template: {
        ...template,
        spec: { ...template.spec, ...(podVolumes.length === 0 ? {} : { volumes: podVolumes }) },
      },
    },
  }
}

/** Volumes that more than one service mounts: they get one claim of their own instead of one for each pod. */
function sharedVolumes(services: App['spec']['services']): string[] {
  const users = Object.values(services).flatMap((service) => Object.keys(service.volumes ?? {}))
  return [...new Set(users.filter((volume, i) => users.indexOf(volume) !== i))]
}

function sharedClaim(context: AppContext, volume: string): ExpandedObject {
  const settings = context.spec.volumes?.[volume]
  return {
    from: ['spec', 'volumes', volume],
    object: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name: nameOf(context.release, volume),
        namespace: context.namespace,
        labels: labelsOf(context),
        ...(settings?.keep === false ? {} : { annotations: { 'helm.sh/resource-policy': 'keep' } }),
      },
      spec: claimSpec(settings),
    },
  }
}

function claimSpec(volume: Volume | undefined) {
  return {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: String(volume?.size ?? '1Gi') } },
    ...(volume?.class === undefined ? {} : { storageClassName: volume.class }),
  }
}

function configMap(context: AppContext): ExpandedObject {
  return {
    from: ['spec', 'config'],
    object: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: nameOf(context.release, 'config'),
        namespace: context.namespace,
        labels: labelsOf(context),
      },
      data: Object.fromEntries(context.configTexts),
    },
  }
}

function secret(context: AppContext, name: string, around: AppSurroundings): ExpandedObject {
  const settings = context.spec.secrets?.[name]
  const secretName = nameOf(context.release, name)
  const length = Number(settings?.generate ?? 0)
  const value = settings?.value ?? around.existingSecret(secretName, name) ?? draw(length, around.random)
  return {
    from: ['spec', 'secrets', name],
    object: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: secretName,
        namespace: context.namespace,
        labels: labelsOf(context),
        ...(settings?.value === undefined
          ? { annotations: { [appAnnotations.generated]: String(length) } }
          : {}),
      },
      type: 'Opaque',
      data: { [name]: Buffer.from(value).toString('base64') },
    },
  }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** `length` letters and digits, each equally likely: bytes from 248 (4 × 62) on are drawn again. */
function draw(length: number, random: (size: number) => Uint8Array): string {
  let text = ''
  while (text.length < length) {
    for (const byte of random(length - text.length)) if (byte < 248) text += alphabet[byte % alphabet.length]
  }
  return text
}

function jobObject(context: AppContext, name: string): ExpandedObject {
  const job = context.spec.jobs?.[name] ?? { image: '' }
  const template = jobPod(context, name, job)
  const hash = createHash('sha256').update(JSON.stringify(template)).digest('hex').slice(0, 8)
  const order = {
    ...(job.before === undefined ? {} : { [appAnnotations.before]: nameOf(context.release, job.before) }),
    ...(job.after === undefined ? {} : { [appAnnotations.after]: nameOf(context.release, job.after) }),
  }
  return {
    from: ['spec', 'jobs', name],
    object: {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: {
        name: `${nameOf(context.release, name)}-${hash}`,
        namespace: context.namespace,
        labels: labelsOf(context, name),
        ...(Object.keys(order).length === 0 ? {} : { annotations: order }),
      },
      spec: {
        backoffLimit: Number(job.retries ?? 6),
        ...(job.timeout === undefined
          ? {}
          : { activeDeadlineSeconds: Math.ceil(parseDuration(job.timeout) / 1000) }),
        template,
      },
    },
  }
}
