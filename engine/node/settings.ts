import type { ContainerSettings, ResourceSettings } from '../container/container.ts'
import { milliValue, readQuantity, wholeValue } from '../object/quantity.ts'
import type { Container, Pod, SecurityContext } from '../object/types.generated.ts'
import { type EnvContext, environmentOf, expand, MissingReference, variablesOf } from './env.ts'
import type { ObservedImage } from './observed.ts'
import { type MountPlan, planMounts } from './volumes.ts'

/** What the node decides for all pods alike. */
export interface NodeSettings {
  readonly nodeName: string
  /** The cluster's domain, as `cluster.local`. */
  readonly domain: string
  /** The name server of pods. */
  readonly dnsAddress: string
  /** Search domains of the host, which pods have too. */
  readonly hostSearch: readonly string[]
  readonly log: { readonly maxSizeBytes: number; readonly maxFiles: number }
}

export interface RunRequest {
  readonly sandboxId: string
  readonly attempt: number
  readonly image: ObservedImage
  readonly node: NodeSettings
}

/** A container's settings but for the places on the host, which the executor knows. */
export interface PlannedContainer {
  readonly settings: Omit<ContainerSettings, 'mounts'>
  readonly mounts: readonly MountPlan[]
  /** Where the container may leave its last words. */
  readonly terminationMessagePath: string
}

/** What a container of a pod is for the container engine, or what is missing for that. */
export function planContainer(
  container: Container,
  context: EnvContext,
  { sandboxId, attempt, image, node }: RunRequest,
): PlannedContainer | MissingReference {
  const { pod } = context
  const env = environmentOf(container, context)
  if (env instanceof MissingReference) return env
  const user = userOf(container, pod, image)
  if (user instanceof MissingReference) return user
  const variables = variablesOf(env)
  const security: SecurityContext = container.securityContext ?? {}
  const dns = dnsOf(pod, node)
  const { name = '', namespace = '', uid = '' } = pod.metadata
  const settings: PlannedContainer['settings'] = {
    name: `k8s_${container.name}_${name}_${namespace}_${uid}_${attempt}`,
    image: container.image ?? '',
    imageId: image.id,
    labels: {
      'io.kubernetes.pod.name': name,
      'io.kubernetes.pod.namespace': namespace,
      'io.kubernetes.pod.uid': uid,
      'io.kubernetes.container.name': container.name,
      'io.kubernetes.container.restartCount': String(attempt),
    },
    ...(container.command ? { entrypoint: container.command.map((word) => expand(word, variables)) } : {}),
    ...(container.args ? { cmd: container.args.map((word) => expand(word, variables)) } : {}),
    env,
    ...(container.workingDir ? { workingDir: container.workingDir } : {}),
    ...(user === '' ? {} : { user }),
    groupAdd: groupsOf(pod),
    hostname: hostnameOf(pod),
    terminal: container.tty ?? false,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    networkMode: pod.spec.hostNetwork ? 'host' : 'bridge',
    networks: [],
    ports: [],
    ...(dns ? { dns } : {}),
    extraHosts: (pod.spec.hostAliases ?? []).flatMap((alias) =>
      (alias.hostnames ?? []).map((host) => `${host}:${alias.ip}`),
    ),
    resources: resourcesOf(container),
    capabilities: { add: security.capabilities?.add ?? [], drop: security.capabilities?.drop ?? [] },
    privileged: security.privileged ?? false,
    noNewPrivileges: security.allowPrivilegeEscalation === false,
    readOnlyRootfs: security.readOnlyRootFilesystem ?? false,
    seccomp:
      (security.seccompProfile ?? pod.spec.securityContext?.seccompProfile)?.type === 'Unconfined'
        ? 'unconfined'
        : 'default',
    ...(security.procMount === 'Unmasked' ? { maskedPaths: [], readonlyPaths: [] } : {}),
    pidMode: pod.spec.hostPID ? 'host' : pod.spec.shareProcessNamespace ? 'sandbox' : 'private',
    ipcMode: pod.spec.hostIPC ? 'host' : 'private',
    utsMode: pod.spec.hostNetwork ? 'host' : 'private',
    oomScoreAdj: oomScore(pod, container, context.node.memoryBytes),
    // The pod planner restarts; the container engine must not.
    restart: { name: 'no', maximumRetryCount: 0 },
    autoRemove: false,
    log: node.log,
    sandbox: sandboxId,
    cgroupParent: uid,
  }
  return {
    settings,
    mounts: planMounts(container, variables),
    terminationMessagePath: container.terminationMessagePath ?? '/dev/termination-log',
  }
}

/** The host name that all containers of a pod see. */
export function hostnameOf(pod: Pod): string {
  return pod.spec.hostname || (pod.metadata.name ?? '').slice(0, 63).replace(/[-.]+$/, '')
}

/** `UID[:GID]` for the container, from its own and the pod's security context; empty leaves it to the image. */
function userOf(container: Container, pod: Pod, image: ObservedImage): string | MissingReference {
  const pick = <K extends 'runAsUser' | 'runAsGroup' | 'runAsNonRoot'>(key: K) =>
    container.securityContext?.[key] ?? pod.spec.securityContext?.[key]
  const [user, group] = [pick('runAsUser'), pick('runAsGroup')] as [number | undefined, number | undefined]
  const effective = user === undefined ? (image.user.split(':')[0] ?? '') : String(user)
  if (pick('runAsNonRoot')) {
    const where = `(pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${container.name})`
    if (effective === '' || effective === '0' || effective === 'root') {
      const how =
        user === 0
          ? "container's runAsUser breaks non-root policy"
          : 'container has runAsNonRoot and image will run as root'
      return new MissingReference(`${how} ${where}`)
    }
    if (!/^\d+$/.test(effective)) {
      return new MissingReference(
        `container has runAsNonRoot and image has non-numeric user (${effective}), cannot verify user is non-root ${where}`,
      )
    }
  }
  if (user === undefined && group === undefined) return ''
  const base = effective === '' ? '0' : effective
  return group === undefined ? base : `${base}:${group}`
}

function groupsOf(pod: Pod): readonly string[] {
  const { supplementalGroups = [], fsGroup } = pod.spec.securityContext ?? {}
  return [...new Set([...supplementalGroups, ...(fsGroup === undefined ? [] : [fsGroup])])].map(String)
}

/** Name server and search list; undefined leaves the host's. */
function dnsOf(pod: Pod, node: NodeSettings): ContainerSettings['dns'] {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork } = pod.spec
  const cluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork)
  if (!cluster && dnsPolicy !== 'None' && !dnsConfig) return undefined
  const namespace = pod.metadata.namespace ?? ''
  const search = cluster
    ? [`${namespace}.svc.${node.domain}`, `svc.${node.domain}`, node.domain, ...node.hostSearch]
    : []
  const own = (dnsConfig?.options ?? []).map(({ name, value }) =>
    value === undefined ? (name ?? '') : `${name}:${value}`,
  )
  const given = new Set(own.map((option) => option.split(':')[0]))
  return {
    servers: [...(cluster ? [node.dnsAddress] : []), ...(dnsConfig?.nameservers ?? [])],
    search: [...new Set([...search, ...(dnsConfig?.searches ?? [])])],
    options: [...(cluster && !given.has('ndots') ? ['ndots:5'] : []), ...own],
  }
}

/** 100 ms of a period as Kubernetes has it: a limit of 500m is 50 ms in each. */
const periodUs = 100_000

function resourcesOf(container: Container): ResourceSettings {
  const { limits = {}, requests = {} } = container.resources ?? {}
  const cpu = limits.cpu === undefined ? undefined : milliValue(readQuantity(limits.cpu))
  const share = requests.cpu ?? limits.cpu
  const shares =
    share === undefined ? 2 : Math.max(2, Math.floor((milliValue(readQuantity(share)) * 1024) / 1000))
  return {
    ...(limits.memory === undefined
      ? {}
      : {
          memoryBytes: wholeValue(readQuantity(limits.memory)),
          memorySwapBytes: wholeValue(readQuantity(limits.memory)),
        }),
    // The kernel takes no quota under a millisecond.
    ...(cpu ? { cpuPeriod: periodUs, cpuQuota: Math.max(1000, (cpu * periodUs) / 1000) } : {}),
    cpuShares: shares,
  }
}

/** Who is killed first when memory runs out: what promised nothing, last what got all that it asked for. */
export function qualityOf(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((c) => c.resources ?? {})
  const named = all.some(({ limits = {}, requests = {} }) =>
    ['cpu', 'memory'].some((name) => limits[name] ?? requests[name]),
  )
  if (!named) return 'BestEffort'
  const whole = all.every(({ limits = {}, requests = {} }) =>
    ['cpu', 'memory'].every(
      (name) => limits[name] !== undefined && (requests[name] ?? limits[name]) === limits[name],
    ),
  )
  return whole ? 'Guaranteed' : 'Burstable'
}

/** As kubelet has it: the more of the machine's memory a container asked for, the later it is killed. */
function oomScore(pod: Pod, container: Container, memoryBytes: number): number {
  const quality = qualityOf(pod)
  if (quality === 'Guaranteed') return -997
  if (quality === 'BestEffort') return 1000
  const asked = wholeValue(readQuantity(container.resources?.requests?.memory ?? '0'))
  return Math.min(999, Math.max(3, Math.floor(1000 - (1000 * asked) / memoryBytes)))
}
