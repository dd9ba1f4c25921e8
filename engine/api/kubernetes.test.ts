import { beforeEach, describe, expect, it } from 'vitest'
import type { ObjectStore } from '../store/objects.ts'
import { type Answer, openTestApi, type TestApi } from './kubernetes.testkit.ts'

let objects: ObjectStore
let call: TestApi['call']

beforeEach(async () => {
  ;({ objects, call } = await openTestApi())
})

const maps = '/api/v1/namespaces/default/configmaps'
const deployments = '/apis/apps/v1/namespaces/default/deployments'
const map = (name: string, data: object = {}, labels?: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...(labels ? { labels } : {}) },
  data,
})
const web = (spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'nginx:1' }] },
    },
    ...spec,
  },
})

describe('verbs', () => {
  it('creates, with defaults and managed fields, and reads', async () => {
    const made = await call('POST', `${deployments}?fieldManager=me`, web())
    expect(made.status).toBe(201)
    expect(made.body).toMatchObject({
      metadata: { namespace: 'default', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { replicas: 1, strategy: { type: 'RollingUpdate' } },
    })
    expect(made.body.metadata.managedFields).toMatchObject([{ manager: 'me', operation: 'Update' }])
    expect((await call('GET', `${deployments}/web`)).body).toEqual(made.body)
  })

  it('ignores what a client must not set', async () => {
    const { body } = await call('POST', deployments, {
      ...web(),
      metadata: { name: 'web', uid: 'x', generation: 7, deletionTimestamp: '2020-01-01T00:00:00Z' },
      status: { replicas: 3 },
    })
    expect(body.metadata.uid).not.toBe('x')
    expect(body.metadata.generation).toBe(1)
    expect(body.metadata.deletionTimestamp).toBeUndefined()
    expect(body.status).toBeUndefined()
  })

  it('updates, refuses a stale update, keeps the status', async () => {
    const made = (await call('POST', deployments, web())).body
    const status = await call('PUT', `${deployments}/web/status`, {
      ...made,
      spec: { ...made.spec, replicas: 9 },
      status: { replicas: 1 },
    })
    expect(status.body).toMatchObject({ spec: { replicas: 1 }, status: { replicas: 1 } })
    const stale = await call('PUT', `${deployments}/web`, made)
    expect(stale.body).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again',
      details: { name: 'web', group: 'apps', kind: 'deployments' },
    })
    const next = { ...status.body, spec: { ...status.body.spec, replicas: 2 }, status: {} }
    expect((await call('PUT', `${deployments}/web`, next)).body).toMatchObject({
      metadata: { generation: 2 },
      status: { replicas: 1 },
    })
  })

  it('tells errors as kube-apiserver does', async () => {
    expect((await call('GET', `${maps}/none`)).body).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'configmaps "none" not found',
      reason: 'NotFound',
      details: { name: 'none', kind: 'configmaps' },
      code: 404,
    })
    await call('POST', maps, map('a'))
    expect((await call('POST', maps, map('a'))).body).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "a" already exists',
    })
    const invalid = await call('POST', deployments, web({ replicas: -1 }))
    expect(invalid.body).toMatchObject({
      code: 422,
      reason: 'Invalid',
      message:
        'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
      details: {
        name: 'web',
        group: 'apps',
        kind: 'Deployment',
        causes: [{ reason: 'FieldValueInvalid', field: 'spec.replicas' }],
      },
    })
    expect((await call('GET', '/apis/nothing/v1/things')).body).toMatchObject({ code: 404, details: {} })
    expect((await call('PUT', maps, map('a'))).body).toMatchObject({ code: 405, reason: 'MethodNotAllowed' })
    expect((await call('POST', maps, '{')).body).toMatchObject({ code: 400, reason: 'BadRequest' })
    expect((await call('POST', `/api/v1/namespaces/none/configmaps`, map('a'))).body).toMatchObject({
      code: 404,
      message: 'namespaces "none" not found',
    })
    expect(
      (await call('POST', maps, { ...map('b'), metadata: { name: 'b', namespace: 'else' } })).body.message,
    ).toBe('the namespace of the provided object does not match the namespace sent on the request')
  })

  it('deletes, and says what is left', async () => {
    const { body: made } = await call('POST', maps, map('a'))
    const wrong = await call('DELETE', `${maps}/a`, { preconditions: { uid: 'other' } })
    expect(wrong.body).toMatchObject({ code: 409, reason: 'Conflict' })
    expect((await call('DELETE', `${maps}/a`)).body).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid: made.metadata.uid },
    })
    await call('POST', maps, { ...map('f'), metadata: { name: 'f', finalizers: ['x.y/z'] } })
    const held = await call('DELETE', `${maps}/f?propagationPolicy=Foreground`)
    expect(held.body.metadata).toMatchObject({ finalizers: ['x.y/z', 'foregroundDeletion'] })
    expect((await call('DELETE', `${maps}/f?gracePeriodSeconds=x`)).status).toBe(400)
  })

  it('does not delete the namespaces that are always there', async () => {
    expect((await call('DELETE', '/api/v1/namespaces/default')).body).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message: 'namespaces "default" is forbidden: this namespace may not be deleted',
    })
  })

  it('deletes a collection by selector', async () => {
    for (const [name, app] of [
      ['a', 'x'],
      ['b', 'x'],
      ['c', 'y'],
    ] as const)
      await call('POST', maps, map(name, {}, { app }))
    const { body } = await call('DELETE', `${maps}?labelSelector=app%3Dx`)
    expect(body.items).toHaveLength(2)
    expect(objects.list('ConfigMap').map((o) => o.metadata.name)).toEqual(['c'])
  })

  it('dry-runs', async () => {
    expect((await call('POST', `${maps}?dryRun=All`, map('a'))).status).toBe(201)
    expect((await call('GET', `${maps}/a`)).status).toBe(404)
    expect((await call('POST', `${maps}?dryRun=Some`, map('a'))).status).toBe(422)
  })
})

describe('fields that a kind does not have', () => {
  it('are refused, warned of or dropped', async () => {
    const odd = { ...map('a'), dtaa: {} }
    const strict = await call('POST', `${maps}?fieldValidation=Strict`, odd)
    expect(strict.body).toMatchObject({ code: 400, reason: 'BadRequest' })
    expect(strict.body.message).toContain('strict decoding error: unknown field "dtaa"')
    const warned = await call('POST', maps, odd)
    expect(warned.headers.warning).toEqual(['299 - "unknown field \\"dtaa\\""'])
    expect(warned.body.dtaa).toBeUndefined()
    const ignored = await call('PUT', `${maps}/a?fieldValidation=Ignore`, odd)
    expect(ignored.headers.warning).toBeUndefined()
  })
})

describe('patches', () => {
  const type = (name: string) => ({ 'content-type': `application/${name}` })
  beforeEach(() => call('POST', deployments, web()))

  it('of each type', async () => {
    const strategic = await call(
      'PATCH',
      `${deployments}/web`,
      { spec: { template: { spec: { containers: [{ name: 'web', env: [{ name: 'A', value: 'b' }] }] } } } },
      type('strategic-merge-patch+json'),
    )
    expect(strategic.body.spec.template.spec.containers).toMatchObject([
      { image: 'nginx:1', env: [{ name: 'A', value: 'b' }] },
    ])
    const merge = await call(
      'PATCH',
      `${deployments}/web`,
      { spec: { replicas: 4 } },
      type('merge-patch+json'),
    )
    expect(merge.body.spec.replicas).toBe(4)
    const json = await call(
      'PATCH',
      `${deployments}/web`,
      [{ op: 'replace', path: '/spec/replicas', value: 5 }],
      type('json-patch+json'),
    )
    expect(json.body).toMatchObject({ spec: { replicas: 5 }, metadata: { generation: 4 } })
  })

  it('that are wrong', async () => {
    const url = `${deployments}/web`
    expect((await call('PATCH', url, {}, type('nonsense'))).status).toBe(415)
    expect((await call('PATCH', url, { spec: { replicas: 'x' } }, type('merge-patch+json'))).status).toBe(400)
    expect((await call('PATCH', url, { metadata: { name: 'y' } }, type('merge-patch+json'))).status).toBe(400)
    const immutable = { spec: { selector: { matchLabels: { app: 'other' } } } }
    expect((await call('PATCH', url, immutable, type('merge-patch+json'))).status).toBe(422)
    expect((await call('PATCH', `${deployments}/none`, {}, type('merge-patch+json'))).status).toBe(404)
  })

  it('by server-side apply', async () => {
    const url = `${deployments}/web`
    const apply = type('apply-patch+yaml')
    expect((await call('PATCH', url, web(), apply)).status).toBe(422)
    const config = web({ replicas: 3 })
    const conflict = await call('PATCH', `${url}?fieldManager=me`, config, apply)
    expect(conflict.body).toMatchObject({
      code: 409,
      details: { causes: [{ reason: 'FieldManagerConflict', field: '.spec.replicas' }] },
    })
    const forced = await call('PATCH', `${url}?fieldManager=me&force=true`, config, apply)
    expect(forced.body.spec.replicas).toBe(3)
    const again = await call('PATCH', `${url}?fieldManager=me`, config, apply)
    expect(again.body.metadata.resourceVersion).toBe(forced.body.metadata.resourceVersion)
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b}\n'
    const made = await call('PATCH', `${maps}/other?fieldManager=me`, yaml, apply)
    expect(made.status).toBe(201)
    expect(made.body.data).toEqual({ a: 'b' })
    const odd = await call('PATCH', `${maps}/other?fieldManager=me`, { ...map('other'), dtaa: 1 }, apply)
    expect(odd.body.message).toBe(
      'failed to create typed patch object (default/other; v1, Kind=ConfigMap): .dtaa: field not declared in schema',
    )
  })

  it('of the scale', async () => {
    await call('PATCH', `${deployments}/web/scale`, { spec: { replicas: 7 } }, type('merge-patch+json'))
    const { body } = await call('GET', `${deployments}/web/scale`)
    expect(body).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 7 },
      status: { replicas: 0, selector: 'app=web' },
    })
    const put = await call('PUT', `${deployments}/web/scale`, { ...body, spec: { replicas: 2 } })
    expect(put.body.spec.replicas).toBe(2)
    expect((await call('PUT', `${deployments}/web/scale`, body)).status).toBe(409)
    expect((await call('PUT', `${deployments}/web/scale`, { spec: { replicas: -1 } })).status).toBe(422)
  })
})

describe('lists', () => {
  beforeEach(async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await call('POST', maps, map(name, {}, { odd: String('ace'.includes(name)) }))
    }
  })
  const names = ({ body }: Answer) => body.items.map((o: { metadata: { name: string } }) => o.metadata.name)

  it('by labels and fields', async () => {
    expect(names(await call('GET', `${maps}?labelSelector=odd%3Dtrue`))).toEqual(['a', 'c', 'e'])
    expect(names(await call('GET', `${maps}?labelSelector=odd+notin+(true)`))).toEqual(['b', 'd'])
    expect(names(await call('GET', `${maps}?fieldSelector=metadata.name%3Dc`))).toEqual(['c'])
    expect(
      names(await call('GET', `${maps}?fieldSelector=metadata.name!%3Dc,metadata.name!%3Da`)),
    ).toHaveLength(3)
    expect((await call('GET', `${maps}?fieldSelector=data.a%3Dc`)).status).toBe(400)
    expect((await call('GET', `${maps}?labelSelector=,`)).status).toBe(400)
  })

  it('page by page', async () => {
    const seen: string[] = []
    let token = ''
    for (let page = 0; page < 3; page++) {
      const answer = await call('GET', `${maps}?limit=2${token && `&continue=${token}`}`)
      seen.push(...names(answer))
      token = answer.body.metadata.continue
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(token).toBeUndefined()
    expect((await call('GET', `${maps}?limit=2&continue=nonsense`)).status).toBe(400)
  })

  it('of many, in pieces', async () => {
    for (let n = 0; n < 250; n++) await call('POST', maps, map(`many-${n}`))
    for (const accept of ['application/json', 'application/json;as=Table;v=v1;g=meta.k8s.io']) {
      const { body } = await call('GET', maps, undefined, { accept })
      expect((body.items ?? body.rows).length).toBe(255)
      expect(body.metadata.resourceVersion).toBe(String(objects.version))
    }
  })

  it('as a table', async () => {
    const { body } = await call('GET', `${maps}?limit=1`, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
    })
    expect(body).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { remainingItemCount: 4 },
      columnDefinitions: [{ name: 'Name', format: 'name', priority: 0 }, { name: 'Data' }, { name: 'Age' }],
      rows: [{ cells: ['a', 0, '0s'], object: { kind: 'PartialObjectMetadata', metadata: { name: 'a' } } }],
    })
  })
})

describe('the API about itself', () => {
  it('has version, health, discovery in both forms, schemas', async () => {
    expect((await call('GET', '/version')).body.gitVersion).toBe('v1.35.0+berth-0.0.0')
    expect((await call('GET', '/readyz')).body).toBe('ok')
    expect((await call('GET', '/api')).body.versions).toEqual(['v1'])
    expect((await call('GET', '/apis')).body.groups.map((g: { name: string }) => g.name)).toContain('apps')
    const list = (await call('GET', '/apis/apps/v1')).body
    expect(list.resources).toContainEqual(
      expect.objectContaining({ name: 'deployments/scale', group: 'autoscaling', kind: 'Scale' }),
    )
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
    const all = await call('GET', '/apis', undefined, { accept })
    expect(all.headers['content-type']).toContain('as=APIGroupDiscoveryList')
    expect(all.body.items[0].versions[0].resources[0].responseKind.kind).toBeTypeOf('string')
    expect((await call('GET', '/openapi/v3')).body.paths['apis/apps/v1'].serverRelativeURL).toContain(
      '/openapi/v3/',
    )
    const document = (await call('GET', '/openapi/v3/apis/apps/v1')).body
    expect(document.components.schemas.DeploymentSpec.properties.replicas.description).toMatch(/desired pods/)
    expect(JSON.stringify(document)).not.toContain('$defs')
    expect((await call('GET', '/openapi/v3/apis/none/v1')).status).toBe(404)
  })

  it('answers 503 for logs when nothing runs pods', async () => {
    await call('POST', '/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    })
    const pod = '/api/v1/namespaces/default/pods/p'
    expect((await call('GET', `${pod}/log`)).body).toMatchObject({ code: 503, reason: 'ServiceUnavailable' })
    expect((await call('GET', `${pod}/log?container=x`)).body.message).toBe(
      'container x is not valid for pod p',
    )
    expect((await call('GET', `${maps}/a/log`)).status).toBe(404)
  })
})

describe('services', () => {
  it('get addresses that are free', async () => {
    const services = '/api/v1/namespaces/default/services'
    const service = (name: string, clusterIP?: string) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...(clusterIP ? { clusterIP } : {}) },
    })
    const one = (await call('POST', services, service('one'))).body
    const two = (await call('POST', services, service('two'))).body
    expect(one.spec.clusterIP).not.toBe(two.spec.clusterIP)
    expect((await call('POST', services, service('three', one.spec.clusterIP))).status).toBe(422)
    const kept = await call('PUT', `${services}/one`, service('one'))
    expect(kept.body.spec.clusterIP).toBe(one.spec.clusterIP)
  })
})
