import { describe, expect, it } from 'vitest'
import type { KubeObject } from '../meta.ts'
import { decode } from '../schema.ts'
import { applyDefaults } from './defaults.ts'

const defaulted = (input: object) => applyDefaults(decode(input).object)
const pod = (spec: object): KubeObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec })

describe('applyDefaults', () => {
  it.each<[string, object, object]>([
    [
      'a pod',
      pod({
        containers: [
          { name: 'a', image: 'nginx', ports: [{ containerPort: 80 }], resources: { limits: { cpu: '1' } } },
        ],
      }),
      {
        restartPolicy: 'Always',
        dnsPolicy: 'ClusterFirst',
        terminationGracePeriodSeconds: 30,
        securityContext: {},
        enableServiceLinks: true,
        serviceAccountName: 'default',
        containers: [
          {
            imagePullPolicy: 'Always',
            terminationMessagePath: '/dev/termination-log',
            ports: [{ containerPort: 80, protocol: 'TCP' }],
            resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
          },
        ],
      },
    ],
    [
      'probes',
      pod({
        containers: [{ name: 'a', image: 'a:1', livenessProbe: { httpGet: { port: 80 }, periodSeconds: 5 } }],
      }),
      {
        containers: [
          {
            imagePullPolicy: 'IfNotPresent',
            livenessProbe: {
              httpGet: { path: '/', port: 80, scheme: 'HTTP' },
              periodSeconds: 5,
              timeoutSeconds: 1,
              successThreshold: 1,
              failureThreshold: 3,
            },
          },
        ],
      },
    ],
    [
      'volumes',
      pod({
        containers: [],
        volumes: [
          { name: 'a' },
          { name: 'b', secret: { secretName: 's' } },
          { name: 'c', configMap: { name: 'c', defaultMode: 256 } },
        ],
      }),
      {
        volumes: [
          { name: 'a', emptyDir: {} },
          { secret: { defaultMode: 420 } },
          { configMap: { defaultMode: 256 } },
        ],
      },
    ],
    [
      'host networking',
      pod({ hostNetwork: true, containers: [{ name: 'a', image: 'x:1', ports: [{ containerPort: 80 }] }] }),
      { containers: [{ ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }] }] },
    ],
    [
      'a deployment',
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: {},
        spec: { template: { spec: { containers: [] } } },
      },
      {
        replicas: 1,
        revisionHistoryLimit: 10,
        progressDeadlineSeconds: 600,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
        template: { spec: { restartPolicy: 'Always', schedulerName: 'default-scheduler' } },
      },
    ],
    [
      'a stateful set',
      { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: {}, spec: {} },
      {
        replicas: 1,
        podManagementPolicy: 'OrderedReady',
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      },
    ],
    [
      'a job',
      { apiVersion: 'batch/v1', kind: 'Job', metadata: {}, spec: {} },
      { completions: 1, parallelism: 1, backoffLimit: 6, completionMode: 'NonIndexed', suspend: false },
    ],
    [
      'a service',
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: {},
        spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      },
      {
        sessionAffinity: 'None',
        externalTrafficPolicy: 'Cluster',
        internalTrafficPolicy: 'Cluster',
        allocateLoadBalancerNodePorts: true,
        ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
      },
    ],
  ])('fills in %s', (_, input, spec) => {
    const once = defaulted(input)
    expect(once.spec).toMatchObject(spec)
    expect(applyDefaults(once)).toEqual(once)
  })

  it('does not touch what is stated', () => {
    const input = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {},
      spec: { type: 'ClusterIP', ports: [{ port: 80, targetPort: 'http', protocol: 'UDP' }] },
    }
    expect(defaulted(input).spec).toMatchObject(input.spec)
  })
})
