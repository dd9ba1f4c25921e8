import { describe, expect, it } from 'vitest'
import type { BerthError } from '../../base/error.ts'
import { readYamlOne } from '../yaml.ts'
import { type AppSurroundings, expandApp } from './expand.ts'
import { parseApp } from './validate.ts'

const head = 'apiVersion: berth.dev/v1\nkind: App\nmetadata: {name: shop}\nspec:\n'
const parse = (text: string) => parseApp(readYamlOne(head + text, 'app.yaml'), 'app.yaml')

const around: AppSurroundings = {
  release: 'rel',
  namespace: 'ns',
  chart: 'shop-1.0.0',
  file: (name) => (name === 'files/a.conf' ? 'from file' : undefined),
  existingSecret: () => undefined,
  random: (size) => Uint8Array.from({ length: size }, (_, i) => (i % 2 ? 255 : i)),
}
const expand = (text: string, more: Partial<AppSurroundings> = {}) =>
  expandApp(parse(text), { ...around, ...more }).map(({ object }) => object)
const names = (text: string) => expand(text).map(({ kind, metadata }) => `${kind}/${metadata.name}`)

describe('parseApp', () => {
  const bad: [string, string, number, string?][] = [
    [
      '  services:\n    web:\n      image: x\n      replica: 2\n',
      'unknown field "spec.services.web.replica"',
      8,
      'did you mean "replicas"?',
    ],
    ['  service: {}\n', 'unknown field "spec.service"', 5, 'did you mean "services"?'],
    ['  services: {web: {}}\n', '"spec.services.web.image" is missing', 5],
    ['  services: {}\n', '"spec.services"', 5],
    ['  services: {Web_1: {image: x}}\n', 'the name "Web_1" is not allowed', 5],
    ['  services:\n    web: {image: x, replicas: -1}\n', '"spec.services.web.replicas" is -1', 6],
    [
      '  services:\n    web: {image: x, ports: [{port: 70000}]}\n',
      '"spec.services.web.ports[0].port" is 70000',
      6,
    ],
    [
      '  services:\n    web: {image: x, ready: {http: healthz}}\n',
      'should be a path that begins with "/"',
      6,
    ],
    [
      '  services:\n    web: {image: x, ready: {http: /, tcp: 1}}\n',
      'should have one of http, tcp, command, has http and tcp',
      6,
    ],
    ['  services:\n    web: {image: x, ready: {http: /}}\n', 'needs a port', 6],
    [
      '  services:\n    web:\n      image: x\n      needs: [dbb]\n    db: {image: z}\n',
      'there is no service "dbb"',
      8,
      'did you mean "db"?',
    ],
    [
      '  services:\n    a: {image: x, needs: [b]}\n    b: {image: x, needs: [a]}\n',
      'in a circle: a → b → a',
      6,
    ],
    ['  services: {a: {image: x, volumes: {data: /d}}}\n', 'there is no volume "data"', 5],
    [
      '  services: {a: {image: x, env: {T: {secret: tok}}}}\n  secrets: {token: {generate: 8}}\n',
      'there is no secret "tok"',
      5,
    ],
    ['  services: {a: {image: x}}\n  secrets: {token: {}}\n', 'should have one of generate, value', 6],
    [
      '  services: {a: {image: x}}\n  jobs: {m: {image: x, befor: a}}\n',
      'unknown field "spec.jobs.m.befor"',
      6,
      'did you mean "before"?',
    ],
    [
      '  services: {a: {image: x}}\n  config: {c: {mount: /c, in: [b], text: t}}\n',
      'there is no service "b"',
      6,
    ],
    ['  services: {a: {image: x, ports: [80, {port: 80}]}}\n', 'port 80/tcp is there twice', 5],
  ]
  it.each(bad)('%s', (text, message, line, hint) => {
    let thrown: BerthError | undefined
    try {
      parse(text)
    } catch (error) {
      thrown = error as BerthError
    }
    expect(thrown?.message).toContain(message)
    expect(thrown?.where).toMatchObject({ file: 'app.yaml', line })
    if (hint) expect(thrown?.hint).toBe(hint)
  })
})

describe('expandApp', () => {
  it('is the golden file for all of its fields', async () => {
    const objects = expand(`  secrets: {token: {generate: 4}, fixed: {value: v}}
  services:
    web:
      image: web:1
      replicas: "2"
      ports: [{port: 80, target: "8080", publish: "9000"}, {port: 53, protocol: udp}]
      env: {A: 1, B: true, T: {secret: token}, X: {secret: other, key: k}}
      ready: {http: /healthz, port: 8080, every: 5s, delay: 1s}
      live: {command: [check, 1], failures: 5}
      needs: [db]
      limits: {cpu: 500m, memory: 128Mi}
      command: [run]
      args: [--port, 8080]
      grace: 1m
      user: 1000
    db: {image: db, ports: [5432], ready: {tcp: 5432}, volumes: {data: /data, shared: /s}}
    worker: {image: w, volumes: {shared: /s}}
  jobs: {migrate: {image: web:1, command: [migrate], before: web, needs: [db], retries: 1, timeout: 2m}}
  volumes: {data: {size: 2Gi, keep: false, class: fast}, shared: }
  config:
    a.conf: {mount: /etc/a.conf, in: [web], file: files/a.conf}
    b.conf: {mount: /etc/b.conf, text: "t"}
`)
    await expect(JSON.stringify(objects, null, 2)).toMatchFileSnapshot(
      '../../../test/golden/templates/app.json',
    )
  })

  it('makes a Deployment or, with volumes, a StatefulSet, a Service where there are ports, a public one to publish', () => {
    expect(names('  services: {a: {image: x}}\n')).toEqual(['Deployment/rel-a'])
    expect(names('  services: {a: {image: x, ports: [{port: 1, publish: ""}]}}\n')).toEqual([
      'Deployment/rel-a',
      'Service/rel-a',
    ])
    expect(
      names(
        '  services: {a: {image: x, ports: [{port: 1, publish: 2}], volumes: {v: /v}}}\n  volumes: {v: }\n',
      ),
    ).toEqual(['StatefulSet/rel-a', 'Service/rel-a', 'Service/rel-a-public'])
  })

  it('keeps the secret that is there, and draws letters and digits else', () => {
    const text = '  services: {a: {image: x}}\n  secrets: {t: {generate: 24}}\n'
    const value = (more: Partial<AppSurroundings>) =>
      Buffer.from(String((expand(text, more)[0]?.data as { t?: string } | undefined)?.t), 'base64').toString()
    expect(value({})).toMatch(/^[A-Za-z0-9]{24}$/)
    expect(
      value({ existingSecret: (name, key) => (name === 'rel-t' && key === 't' ? 'old' : undefined) }),
    ).toBe('old')
  })

  it('names a job by what it runs, not by the version of the chart', () => {
    const job = (image: string, chart: string) =>
      expand(`  services: {a: {image: x}}\n  jobs: {m: {image: "${image}"}}\n`, { chart }).at(-1)?.metadata
        .name
    expect(job('x:1', 'shop-1.0.0')).toBe(job('x:1', 'shop-2.0.0'))
    expect(job('x:1', 'shop-1.0.0')).not.toBe(job('x:2', 'shop-1.0.0'))
  })
})
