import { describe, expect, it } from 'vitest'
import { decode, fieldOf, schemaOf } from './schema.ts'

const deployment = (spec: unknown) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'a' },
  spec,
})
const container = (fields: object) =>
  deployment({ template: { spec: { containers: [{ name: 'a', ...fields }] } } })

describe('decode', () => {
  it('names fields that the kind does not have, and drops them and nulls', () => {
    const { object, unknown } = decode({
      ...container({ imagee: 'x', image: null, env: [{ name: 'a', valu: 1 }] }),
      extra: 1,
    })
    expect(unknown).toEqual([
      'spec.template.spec.containers[0].imagee',
      'spec.template.spec.containers[0].env[0].valu',
      'extra',
    ])
    expect(object).toEqual(container({ env: [{ name: 'a' }] }))
  })

  it('writes quantities in their canonical form', () => {
    const { object } = decode(container({ resources: { limits: { cpu: 0.5, memory: '1024Mi' } } }))
    expect(JSON.stringify(object)).toContain('"limits":{"cpu":"500m","memory":"1Gi"}')
  })

  it.each<[unknown, string]>([
    [
      deployment({ replicas: 'two' }),
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      container({ env: [{ name: 'a', value: 1 }] }),
      'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string',
    ],
    [
      container({ ports: [{ containerPort: true }] }),
      'cannot unmarshal bool into Go struct field ContainerPort',
    ],
    [
      container({ ports: {} }),
      'cannot unmarshal object into Go struct field Container.spec.template.spec.containers.ports of type []v1.ContainerPort',
    ],
    [container({ resources: { limits: { memory: '1gb' } } }), 'quantities must match the regular expression'],
    [{ apiVersion: 'v1', kind: 'Secret', metadata: {}, data: { a: '***' } }, 'illegal base64 data'],
    [{ apiVersion: 'v1', kind: 'Widget' }, 'no matches for kind "Widget" in version "v1"'],
    [{ apiVersion: 'v1' }, "Object 'Kind' is missing in"],
    [[], "Object 'Kind' is missing in"],
  ])('refuses %j', (input, message) => {
    expect(() => decode(input)).toThrow(message)
  })

  it('keeps a field called __proto__ from reaching the prototype', () => {
    const input = JSON.parse(
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"__proto__":"x"}}',
    )
    const { object } = decode(input)
    expect(Object.getPrototypeOf((object as unknown as { data: object }).data)).toBe(Object.prototype)
  })

  it('tells how lists merge', () => {
    const spec = fieldOf(schemaOf('v1', 'Pod') ?? {}, 'spec')
    expect(fieldOf(spec ?? {}, 'containers')).toMatchObject({
      'x-kubernetes-patch-merge-key': 'name',
      'x-kubernetes-list-map-keys': ['name'],
    })
  })
})
