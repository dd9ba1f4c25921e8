import { isDeepStrictEqual } from 'node:util'
import type { Container, Pod, PodSpec, PodTemplateSpec, Volume } from '../types.generated.ts'
import type { Causes } from './causes.ts'
import { checkContainer, checkProbes } from './container.ts'
import { checkAnnotations, checkLabels } from './meta.ts'
import { dnsLabel, dnsSubdomain } from './names.ts'
import { checkVolumes } from './volume.ts'

/** A workload's pod template. */
export function checkTemplate(
  path: string,
  template: PodTemplateSpec,
  more: { readonly volumes?: readonly Volume[] },
  causes: Causes,
): void {
  checkLabels(`${path}.labels`, template.metadata?.labels, causes)
  checkAnnotations(`${path}.annotations`, template.metadata?.annotations, causes)
  if (template.spec) checkPodSpec(`${path}.spec`, template.spec, more.volumes ?? [], causes)
  else causes.required(`${path}.spec`)
  if ((template.spec?.ephemeralContainers ?? []).length > 0) {
    causes.forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template')
  }
}

/** A pod's spec. `more` are volumes that something adds later, as a StatefulSet's claims. */
export function checkPodSpec(path: string, spec: PodSpec, more: readonly Volume[], causes: Causes): void {
  const volumes = [...(spec.volumes ?? []), ...more]
  checkVolumes(`${path}.volumes`, spec.volumes, causes)
  checkContainers(path, spec, volumes, causes)
  causes.oneOf(`${path}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never'])
  causes.oneOf(`${path}.dnsPolicy`, spec.dnsPolicy, [
    'ClusterFirstWithHostNet',
    'ClusterFirst',
    'Default',
    'None',
  ])
  if (spec.dnsPolicy === 'None' && (spec.dnsConfig?.nameservers ?? []).length === 0) {
    causes.required(
      `${path}.dnsConfig.nameservers`,
      'must provide at least one DNS nameserver when `dnsPolicy` is None',
    )
  }
  checkLabels(`${path}.nodeSelector`, spec.nodeSelector, causes)
  if (spec.serviceAccountName) {
    causes.malformed(
      `${path}.serviceAccountName`,
      spec.serviceAccountName,
      dnsSubdomain(spec.serviceAccountName),
    )
  }
  if (spec.nodeName) causes.malformed(`${path}.nodeName`, spec.nodeName, dnsSubdomain(spec.nodeName))
  for (const key of ['hostname', 'subdomain'] as const) {
    const value = spec[key]
    if (value) causes.malformed(`${path}.${key}`, value, dnsLabel(value))
  }
  causes.notNegative(`${path}.terminationGracePeriodSeconds`, spec.terminationGracePeriodSeconds)
  const deadline = spec.activeDeadlineSeconds
  if (deadline !== undefined && (deadline < 1 || deadline > 2147483647)) {
    causes.invalid(`${path}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive')
  }
  if (spec.shareProcessNamespace && spec.hostPID) {
    causes.invalid(
      `${path}.shareProcessNamespace`,
      true,
      'ShareProcessNamespace and HostPID cannot both be enabled',
    )
  }
}

function checkContainers(path: string, spec: PodSpec, volumes: readonly Volume[], causes: Causes): void {
  const names = new Set<string>()
  if (spec.containers.length === 0) causes.required(`${path}.containers`)
  for (const [i, container] of spec.containers.entries()) {
    const at = `${path}.containers[${i}]`
    checkContainer(at, container, volumes, causes)
    checkName(at, container, names, causes)
    checkProbes(at, container, causes)
    if (container.restartPolicy !== undefined) {
      causes.forbidden(`${at}.restartPolicy`, 'may not be set for non-init containers')
    }
  }
  for (const [i, container] of (spec.initContainers ?? []).entries()) {
    const at = `${path}.initContainers[${i}]`
    checkContainer(at, container, volumes, causes)
    checkName(at, container, names, causes)
    if (container.restartPolicy !== undefined && container.restartPolicy !== 'Always') {
      causes.unsupported(`${at}.restartPolicy`, container.restartPolicy, ['Always'])
    }
    if (container.restartPolicy === 'Always') checkProbes(at, container, causes)
    else {
      for (const key of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
        if (container[key])
          causes.forbidden(`${at}.${key}`, 'may not be set for init containers without restartPolicy=Always')
      }
    }
  }
  checkHostPorts(path, spec, causes)
}

function checkName(path: string, container: Container, names: Set<string>, causes: Causes): void {
  if (names.has(container.name)) causes.duplicate(`${path}.name`, container.name)
  names.add(container.name)
}

function checkHostPorts(path: string, spec: PodSpec, causes: Causes): void {
  const taken = new Set<string>()
  for (const [i, container] of spec.containers.entries()) {
    for (const [j, port] of (container.ports ?? []).entries()) {
      const at = `${path}.containers[${i}].ports[${j}]`
      if (spec.hostNetwork && port.hostPort !== undefined && port.hostPort !== port.containerPort) {
        causes.invalid(
          `${at}.containerPort`,
          port.containerPort,
          'must match `hostPort` when `hostNetwork` is true',
        )
      }
      if (!port.hostPort) continue
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`
      if (taken.has(key)) causes.duplicate(`${at}.hostPort`, key)
      taken.add(key)
    }
  }
}

/** What may change of a pod that exists: images, deadline, tolerations; once, its node. */
export function checkPodUpdate(next: Pod, previous: Pod, causes: Causes): void {
  if (!isDeepStrictEqual(changeable(next, previous), changeable(previous, previous))) {
    causes.forbidden(
      'spec',
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative),`spec.tolerations` (only additions to existing tolerations)',
    )
  }
}

function changeable(pod: Pod, previous: Pod): unknown {
  const images = (containers: readonly Container[] | undefined) =>
    containers?.map((c) => ({ ...c, image: '' }))
  const { activeDeadlineSeconds, tolerations, schedulingGates, ...spec } = pod.spec
  return {
    ...spec,
    containers: images(spec.containers),
    initContainers: images(spec.initContainers),
    ephemeralContainers: undefined,
    // Binding gives a pod its node, once.
    nodeName: previous.spec.nodeName ? spec.nodeName : undefined,
  }
}
