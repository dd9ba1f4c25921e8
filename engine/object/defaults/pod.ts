import type * as t from '../types.generated.ts'
import { fill, on } from './fill.ts'

/** What kube-apiserver fills into the pod template of a workload. */
export function defaultTemplate(template: t.PodTemplateSpec): t.PodTemplateSpec {
  return {
    ...template,
    metadata: template.metadata ?? {},
    spec: defaultPodSpec(template.spec ?? { containers: [] }),
  }
}

/** What kube-apiserver fills into any pod spec. */
function defaultPodSpec(spec: t.PodSpec): t.PodSpec {
  const filled = fill(spec, {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
    schedulerName: 'default-scheduler',
    // Two names of one field: the older one is kept equal for older clients.
    ...(spec.serviceAccountName ? { serviceAccount: spec.serviceAccountName } : {}),
    ...(spec.serviceAccount ? { serviceAccountName: spec.serviceAccount } : {}),
  })
  const withContainers = { ...filled, containers: (filled.containers ?? []).map(defaultContainer) }
  const withInit = on(withContainers, 'initContainers', (all) => all.map(defaultContainer))
  return on(withInit, 'volumes', (all) => all.map(defaultVolume))
}

/** What kube-apiserver and its admission plugins fill into a Pod beyond its spec's defaults. */
export function defaultPod(pod: t.Pod): t.Pod {
  const spec = fill(defaultPodSpec(pod.spec), {
    enableServiceLinks: true,
    serviceAccountName: 'default',
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
  })
  const perContainer = (container: t.Container) =>
    requestsFromLimits(spec.hostNetwork ? hostPorts(container) : container)
  const withRequests = {
    ...spec,
    serviceAccount: spec.serviceAccountName ?? '',
    containers: spec.containers.map(perContainer),
  }
  return { ...pod, spec: on(withRequests, 'initContainers', (all) => all.map(perContainer)) }
}

function defaultContainer(container: t.Container): t.Container {
  let out = fill(container, {
    imagePullPolicy: isLatest(container.image ?? '') ? 'Always' : 'IfNotPresent',
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    resources: {},
  })
  out = on(out, 'ports', (ports) => ports.map((port) => fill(port, { protocol: 'TCP' })))
  out = on(out, 'livenessProbe', defaultProbe)
  out = on(out, 'readinessProbe', defaultProbe)
  out = on(out, 'startupProbe', defaultProbe)
  out = on(out, 'lifecycle', (hooks) => on(on(hooks, 'postStart', defaultHook), 'preStop', defaultHook))
  return on(out, 'env', (env) =>
    env.map((variable) =>
      on(variable, 'valueFrom', (from) =>
        on(on(from, 'fieldRef', defaultField), 'resourceFieldRef', defaultResource),
      ),
    ),
  )
}

/** Without tag and digest an image is `latest`, which is pulled at each start. */
function isLatest(image: string): boolean {
  const last = image.split('/').at(-1) ?? ''
  return !last.includes('@') && (!last.includes(':') || last.endsWith(':latest'))
}

function defaultProbe(probe: t.Probe): t.Probe {
  const out = {
    ...probe,
    timeoutSeconds: probe.timeoutSeconds || 1,
    periodSeconds: probe.periodSeconds || 10,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
  }
  return on(on(out, 'httpGet', defaultHttpGet), 'grpc', (grpc) => ({ ...grpc, service: grpc.service ?? '' }))
}

function defaultHook(hook: t.LifecycleHandler): t.LifecycleHandler {
  return on(hook, 'httpGet', defaultHttpGet)
}

function defaultHttpGet(action: t.HTTPGetAction): t.HTTPGetAction {
  return fill(action, { path: '/', scheme: 'HTTP' })
}

function defaultField(field: t.ObjectFieldSelector): t.ObjectFieldSelector {
  return fill(field, { apiVersion: 'v1' })
}

function defaultResource(field: t.ResourceFieldSelector): t.ResourceFieldSelector {
  return fill(field, { divisor: '0' })
}

function defaultVolume(volume: t.Volume): t.Volume {
  let out = Object.keys(volume).every((key) => key === 'name') ? { ...volume, emptyDir: {} } : volume
  const mode = { defaultMode: 0o644 }
  out = on(out, 'secret', (source) => fill(source, mode))
  out = on(out, 'configMap', (source) => fill(source, mode))
  out = on(out, 'downwardAPI', (source) => on(fill(source, mode), 'items', defaultItems))
  out = on(out, 'hostPath', (source) => ({ ...source, type: source.type ?? '' }))
  return on(out, 'projected', (source) =>
    on(fill(source, mode), 'sources', (sources) => sources.map(defaultProjection)),
  )
}

function defaultProjection(source: t.VolumeProjection): t.VolumeProjection {
  const withToken = on(source, 'serviceAccountToken', (token) => fill(token, { expirationSeconds: 3600 }))
  return on(withToken, 'downwardAPI', (api) => on(api, 'items', defaultItems))
}

function defaultItems(items: readonly t.DownwardAPIVolumeFile[]): readonly t.DownwardAPIVolumeFile[] {
  return items.map((item) => on(on(item, 'fieldRef', defaultField), 'resourceFieldRef', defaultResource))
}

function requestsFromLimits(container: t.Container): t.Container {
  return on(container, 'resources', (resources) =>
    resources.limits ? { ...resources, requests: { ...resources.limits, ...resources.requests } } : resources,
  )
}

function hostPorts(container: t.Container): t.Container {
  return on(container, 'ports', (ports) =>
    ports.map((port) => ({ ...port, hostPort: port.hostPort || port.containerPort })),
  )
}
