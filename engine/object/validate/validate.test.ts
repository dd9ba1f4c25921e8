import { describe, expect, it } from 'vitest'
import { applyDefaults } from '../defaults/defaults.ts'
import type { KubeObject } from '../meta.ts'
import { prepareCreate, prepareUpdate } from '../prepare.ts'
import { decode } from '../schema.ts'
import { invalidError } from './causes.ts'
import { validateCreate, validateUpdate } from './validate.ts'

const metadata = { name: 'web', namespace: 'default', uid: 'u1' }
const container = { name: 'app', image: 'nginx:1' }
const deployment = (spec: object = {}, pod: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata,
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [container], ...pod } },
    ...spec,
  },
})
const inContainer = (fields: object, pod: object = {}) =>
  deployment({}, { containers: [{ ...container, ...fields }], ...pod })
const service = (spec: object, name = 'web') => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { ...metadata, name },
  spec,
})
const template = (labels: object, pod: object = {}) => ({
  metadata: { labels },
  spec: { containers: [container], ...pod },
})

function admit(input: object): KubeObject {
  return prepareCreate(applyDefaults(decode(input).object))
}

function problems(input: object): string[] {
  return validateCreate(admit(input)).map(({ field, message }) => `${field}: ${message}`)
}

describe('validateCreate', () => {
  it.each<[string, object]>([
    ['a deployment', deployment()],
    [
      'all kinds of volumes',
      deployment(
        {},
        {
          volumes: [
            { name: 'a' },
            { name: 'b', configMap: { name: 'x', items: [{ key: 'k', path: 'a/b' }] } },
            {
              name: 'c',
              projected: { sources: [{ secret: { name: 's' } }, { serviceAccountToken: { path: 't' } }] },
            },
          ],
        },
      ),
    ],
    [
      'a sidecar with probes',
      deployment(
        {},
        {
          initContainers: [
            { name: 's', image: 'x', restartPolicy: 'Always', readinessProbe: { tcpSocket: { port: 1 } } },
          ],
        },
      ),
    ],
    [
      'a job',
      {
        apiVersion: 'batch/v1',
        kind: 'Job',
        metadata,
        spec: { template: template({}, { restartPolicy: 'Never' }) },
      },
    ],
    ['a headless service', service({ clusterIP: 'None', selector: { a: 'b' } })],
    ['a secret', { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { a: 'b' } }],
    ['a namespace', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }],
    [
      'a stateful set whose container mounts its claim',
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata,
        spec: {
          selector: { matchLabels: { a: 'b' } },
          serviceName: 'web',
          template: template(
            { a: 'b' },
            { containers: [{ ...container, volumeMounts: [{ name: 'data', mountPath: '/d' }] }] },
          ),
          volumeClaimTemplates: [
            {
              metadata: { name: 'data' },
              spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
            },
          ],
        },
      },
    ],
  ])('accepts %s', (_, object) => {
    expect(problems(object)).toEqual([])
  })

  it.each<[object, string[]]>([
    [deployment({ replicas: -1 }), ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    [
      deployment({ selector: { matchLabels: { app: 'db' } } }),
      [
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
      ],
    ],
    [
      deployment({ selector: undefined }),
      [
        'spec.selector: Required value',
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
      ],
    ],
    [
      deployment({ strategy: { type: 'Blue' } }),
      ['spec.strategy: Unsupported value: "Blue": supported values: "Recreate", "RollingUpdate"'],
    ],
    [
      deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } } }),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
    ],
    [
      deployment({}, { containers: [{ name: 'A' }, { name: 'a', image: 'x' }, { name: 'a', image: 'x' }] }),
      [
        "spec.template.spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        'spec.template.spec.containers[0].image: Required value',
        'spec.template.spec.containers[2].name: Duplicate value: "a"',
      ],
    ],
    [
      inContainer({ volumeMounts: [{ name: 'x', mountPath: '/x' }] }),
      ['spec.template.spec.containers[0].volumeMounts[0].name: Not found: "x"'],
    ],
    [
      inContainer({ resources: { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } } }),
      [
        'spec.template.spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 1Gi',
      ],
    ],
    [
      inContainer({
        livenessProbe: { exec: { command: ['a'] }, tcpSocket: { port: 80 }, successThreshold: 2 },
      }),
      [
        'spec.template.spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
        'spec.template.spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
      ],
    ],
    [
      inContainer({
        env: [{ name: 'A', value: 'x', valueFrom: { fieldRef: { fieldPath: 'status.phase' } } }],
      }),
      [
        'spec.template.spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        expect.stringContaining('Unsupported value: "status.phase": supported values: "metadata.name"'),
      ] as string[],
    ],
    [
      deployment({}, { restartPolicy: 'Never' }),
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      deployment({}, { volumes: [{ name: 'a', emptyDir: {}, hostPath: { path: '/x' } }] }),
      ['spec.template.spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    [service({}), ['spec.ports: Required value']],
    [
      service({ ports: [{ port: 0 }, { port: 80 }] }),
      [
        'spec.ports[0].name: Required value',
        'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
        'spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive',
        'spec.ports[1].name: Required value',
      ],
    ],
    [
      service({ ports: [{ port: 80 }] }, '1web'),
      [expect.stringContaining('metadata.name: Invalid value: "1web": a DNS-1035 label')] as string[],
    ],
    [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default' } },
      ['metadata.name: Required value: name or generateName is required'],
    ],
    [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'a b': '' } },
      [expect.stringContaining('data[a b]: Invalid value: "a b": a valid config key')] as string[],
    ],
    [
      { apiVersion: 'batch/v1', kind: 'Job', metadata, spec: { template: template({}) } },
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      { apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/tls', data: {} },
      ['data[tls.crt]: Required value', 'data[tls.key]: Required value'],
    ],
  ])('refuses %#', (object, want) => {
    expect(problems(object)).toEqual(want)
  })

  it('puts all causes into one error', () => {
    const object = admit(deployment({ replicas: -1, minReadySeconds: -1 }))
    expect(invalidError(object, validateCreate(object)).message).toBe(
      'Deployment.apps "web" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0]',
    )
  })
})

describe('validateUpdate', () => {
  const update = (before: object, after: object) => {
    const previous = admit(before)
    const next = prepareUpdate(applyDefaults(decode(after).object), previous)
    return validateUpdate(next, previous).map(({ field, message }) => `${field}: ${message}`)
  }

  it('keeps selectors', () => {
    const after = deployment({
      selector: { matchLabels: { app: 'web', x: 'y' } },
      template: template({ app: 'web', x: 'y' }),
    })
    expect(update(deployment(), after)).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"web","x":"y"}}: field is immutable',
    ])
  })

  it('lets a pod get its node and its image changed, and nothing else', () => {
    const pod = (spec: object) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: { containers: [container], ...spec },
    })
    expect(
      update(pod({}), pod({ nodeName: 'here', containers: [{ ...container, image: 'nginx:2' }] })),
    ).toEqual([])
    expect(update(pod({ nodeName: 'here' }), pod({ nodeName: 'there' }))).toEqual([
      expect.stringContaining('spec: Forbidden: pod updates may not change fields other than'),
    ])
    expect(update(pod({}), pod({ hostNetwork: true }))).toHaveLength(1)
  })

  it('keeps what is marked immutable', () => {
    const map = (data: object, immutable?: boolean) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data,
      ...(immutable ? { immutable } : {}),
    })
    expect(update(map({ a: 'b' }, true), map({ a: 'c' }))).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
      'data: Forbidden: field is immutable when `immutable` is set',
    ])
    expect(update(map({ a: 'b' }), map({ a: 'c' }, true))).toEqual([])
  })

  it('counts generations by the spec, and leaves the status to its subresource', () => {
    const first = admit({ ...deployment(), status: { replicas: 7 } })
    expect(first.metadata.generation).toBe(1)
    expect(first.status).toBeUndefined()
    const scaled = prepareUpdate(
      { ...first, spec: { ...(first.spec as object), replicas: 2 }, status: { replicas: 9 } },
      first,
    )
    expect([scaled.metadata.generation, scaled.status]).toEqual([2, undefined])
    const labelled = prepareUpdate(
      { ...scaled, metadata: { ...scaled.metadata, labels: { a: 'b' } } },
      scaled,
    )
    expect(labelled.metadata.generation).toBe(2)
    const reported = prepareUpdate({ ...labelled, spec: {}, status: { replicas: 2 } }, labelled, 'status')
    expect([reported.spec, reported.status]).toEqual([labelled.spec, { replicas: 2 }])
  })
})
