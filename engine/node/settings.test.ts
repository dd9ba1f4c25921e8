import { describe, expect, it } from 'vitest'
import { defaultPod } from '../object/defaults/pod.ts'
import type { ConfigMap, Container, Pod, Secret, Service } from '../object/types.generated.ts'
import { type EnvContext, environmentOf, MissingReference } from './env.ts'
import { hostnameOf, planContainer, qualityOf } from './settings.ts'
import { planVolumes } from './volumes.ts'

const base = (text: string) => Buffer.from(text).toString('base64')
const configMaps: Readonly<Record<string, object>> = {
  c: { data: { a: '1', b: '2' }, binaryData: { raw: base('\u0000x') } },
}
const secrets: Readonly<Record<string, object>> = { s: { data: { token: base('geheim') } } }
const service = {
  metadata: { name: 'my-db' },
  spec: { clusterIP: '10.211.0.7', ports: [{ name: 'sql', port: 5432, protocol: 'TCP' }] },
}

function context(spec: object, metadata: object = {}): EnvContext {
  const pod = defaultPod({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-0',
      namespace: 'shop',
      uid: 'u1',
      labels: { app: 'web', tier: 'a"b' },
      ...metadata,
    },
    spec: { nodeName: 'here', enableServiceLinks: false, containers: [], ...spec },
    status: { podIP: '10.210.0.9' },
  } as Pod)
  return {
    pod,
    node: { address: '192.0.2.1', cpuMilli: 4000, memoryBytes: 8 * 2 ** 30 },
    references: {
      configMap: (name) => configMaps[name] as ConfigMap | undefined,
      secret: (name) => secrets[name] as Secret | undefined,
      services: () => [service as unknown as Service],
    },
  }
}

const env = (container: Partial<Container>, spec: object = {}) => {
  const made = environmentOf({ name: 'a', ...container }, context(spec))
  return made instanceof MissingReference
    ? made.message
    : Object.fromEntries(made.map((line) => line.split(/=(.*)/s)))
}

describe('the environment', () => {
  it('takes values, fields, resources, and parts of objects', () => {
    const container = {
      resources: { limits: { cpu: '1500m' }, requests: { memory: '64Mi' } },
      envFrom: [
        { prefix: 'C_', configMapRef: { name: 'c' } },
        { secretRef: { name: 's' } },
        { configMapRef: { name: 'none', optional: true } },
      ],
      env: [
        { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        { name: 'MILLI', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
        { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Gi' } } },
        { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'token' } } },
        { name: 'URL', value: 'http://$(NAME):$(PORT)/$$(NAME)' },
        { name: 'C_a', value: 'over' },
        { name: 'GONE', valueFrom: { secretKeyRef: { name: 'none', key: 'x', optional: true } } },
      ],
    }
    expect(env(container)).toEqual({
      ...{ C_a: 'over', C_b: '2', token: 'geheim', NAME: 'web-0', APP: 'web', IP: '10.210.0.9' },
      ...{ CPU: '2', MILLI: '1500', MEMORY: '8', KEY: 'geheim', URL: 'http://web-0:$(PORT)/$(NAME)' },
    })
  })

  it('knows the Services of the namespace', () => {
    expect(env({}, { enableServiceLinks: true })).toMatchObject({
      MY_DB_SERVICE_HOST: '10.211.0.7',
      MY_DB_SERVICE_PORT: '5432',
      MY_DB_SERVICE_PORT_SQL: '5432',
      MY_DB_PORT_5432_TCP: 'tcp://10.211.0.7:5432',
    })
  })

  it.each([
    [{ envFrom: [{ secretRef: { name: 'none' } }] }, 'secret "none" not found'],
    [
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'none', key: 'k' } } }] },
      'configmap "none" not found',
    ],
    [
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] },
      "couldn't find key k in Secret shop/s",
    ],
  ])('says what is missing: %j', (container, message) => {
    expect(env(container)).toBe(message)
  })
})

describe('volumes', () => {
  const plans = (...volumes: object[]) => {
    const made = planVolumes(context({ volumes }))
    if (made instanceof MissingReference) return made.message
    return made.map((plan) =>
      plan.kind === 'files'
        ? Object.fromEntries(
            plan.files.map((f) => [f.path, `${f.mode.toString(8)} ${Buffer.from(f.content)}`]),
          )
        : plan,
    )
  }

  it('are files of objects, folders and claims', () => {
    const volumes = [
      { name: 'c', configMap: { name: 'c', items: [{ key: 'a', path: 'x/a' }] } },
      { name: 's', secret: { secretName: 's', defaultMode: 0o400 } },
      { name: 'd', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      {
        name: 'p',
        projected: {
          sources: [
            { configMap: { name: 'c' } },
            { secret: { name: 's', items: [{ key: 'token', path: 'a' }] } },
          ],
        },
      },
      { name: 'e', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'v', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'h', hostPath: { path: '/srv', type: 'Directory' } },
      { name: 'o', secret: { secretName: 'none', optional: true } },
    ]
    expect(plans(...volumes)).toEqual([
      { 'x/a': '644 1' },
      { token: '400 geheim' },
      { labels: '644 app="web"\ntier="a\\"b"' },
      { a: '644 geheim', b: '644 2', raw: '644 \u0000x' },
      { kind: 'empty', name: 'e', memory: true, sizeBytes: 1048576 },
      { kind: 'claim', name: 'v', claim: 'data', readOnly: false },
      { kind: 'host', name: 'h', path: '/srv', type: 'Directory' },
      {},
    ])
  })

  it.each([
    [
      { name: 'x', configMap: { name: 'none' } },
      'MountVolume.SetUp failed for volume "x" : configmap "none" not found',
    ],
    [
      { name: 'x', secret: { secretName: 's', items: [{ key: 'k', path: 'k' }] } },
      'MountVolume.SetUp failed for volume "x" : references non-existent secret key: k',
    ],
    [
      { name: 'x', nfs: { server: 's', path: '/' } },
      'MountVolume.SetUp failed for volume "x" : volumes of kind "nfs" cannot be had on one machine',
    ],
  ])('say what is missing: %j', (volume, message) => {
    expect(plans(volume)).toBe(message)
  })
})

describe('a container', () => {
  const node = {
    nodeName: 'here',
    domain: 'cluster.local',
    dnsAddress: '10.210.0.1',
    hostSearch: ['lan'],
    log: { maxSizeBytes: 1, maxFiles: 1 },
  }
  const plan = (container: object, spec: object = {}, user = '') => {
    const made = planContainer({ name: 'app', image: 'a:1', ...container }, context(spec), {
      sandboxId: 'f00',
      attempt: 2,
      image: { id: 'sha256:1', user },
      node,
    })
    return made instanceof MissingReference ? made.message : made
  }
  const settings = (container: object, spec: object = {}, user = '') => {
    const made = plan(container, spec, user)
    return typeof made === 'string' ? made : made.settings
  }

  it('has its name, labels, words and limits', () => {
    const container = {
      command: ['run', '$(X)'],
      args: ['$(Y)'],
      env: [{ name: 'X', value: 'x' }],
      resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '250m' } },
      volumeMounts: [{ name: 'v', mountPath: '/v', subPathExpr: '$(X)/y' }],
    }
    expect(settings(container)).toMatchObject({
      name: 'k8s_app_web-0_shop_u1_2',
      labels: { 'io.kubernetes.pod.uid': 'u1', 'io.kubernetes.container.name': 'app' },
      entrypoint: ['run', 'x'],
      cmd: ['$(Y)'],
      resources: { memoryBytes: 67108864, cpuQuota: 50000, cpuPeriod: 100000, cpuShares: 256 },
      dns: {
        servers: ['10.210.0.1'],
        search: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'lan'],
        options: ['ndots:5'],
      },
      sandbox: 'f00',
      restart: { name: 'no' },
    })
    const made = plan(container)
    expect(typeof made === 'string' ? made : made.mounts).toEqual([
      { volume: 'v', subPath: 'x/y', target: '/v', readOnly: false, propagation: 'private' },
    ])
  })

  it('runs as who it says, else as the pod says, else as the image says', () => {
    expect(settings({})).not.toHaveProperty('user')
    expect(settings({}, { securityContext: { runAsUser: 7, runAsGroup: 8, fsGroup: 9 } })).toMatchObject({
      user: '7:8',
      groupAdd: ['9'],
    })
    expect(
      settings({ securityContext: { runAsUser: 1 } }, { securityContext: { runAsUser: 7 } }),
    ).toMatchObject({ user: '1' })
    expect(settings({ securityContext: { runAsGroup: 5 } }, {}, '33:44')).toMatchObject({ user: '33:5' })
    const nonRoot = { securityContext: { runAsNonRoot: true } }
    expect(settings(nonRoot)).toContain('container has runAsNonRoot and image will run as root')
    expect(settings(nonRoot, {}, 'www')).toContain('image has non-numeric user (www)')
    expect(settings(nonRoot, {}, '33')).toMatchObject({ noNewPrivileges: false })
    expect(settings({ securityContext: { runAsNonRoot: true, runAsUser: 0 } })).toContain(
      "container's runAsUser breaks non-root policy",
    )
  })

  it('has a quality by what it asks for', () => {
    const quality = (resources: object) => qualityOf(context({ containers: [{ name: 'a', resources }] }).pod)
    expect(quality({})).toBe('BestEffort')
    expect(quality({ requests: { cpu: '1' } })).toBe('Burstable')
    expect(quality({ limits: { cpu: '1', memory: '1Gi' } })).toBe('Guaranteed')
    expect(hostnameOf(context({}, { name: 'x'.repeat(80) }).pod)).toHaveLength(63)
  })
})
