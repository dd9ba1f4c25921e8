import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BerthError } from '../../base/error.ts'
import { decodeProtobuf } from './decode.ts'
import { messages } from './messages.generated.ts'

// Bodies that kubectl 1.35.2 sent.
const deployment =
  'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErQBCh0KAmRkEgAaACIAKgAyADgAQgBaCQoDYXBwEgJkZBKEAQgAEgsKCQoDYXBwEgJkZBprChsKABIAGgAiACoAMgA4AEIAWgkKA2FwcBICZGQSTBIuCgVuZ2lueBIFbmdpbngqADIKCgAQABhQIgAqAEIAagByAIABAIgBAJABAKIBABoAMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA=='
const secret = 'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWsSAXYaABoAIgA='

describe('a protobuf body', () => {
  it('is read as its JSON would be', async () => {
    expect(await decodeProtobuf(Buffer.from(deployment, 'base64'))).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'dd', labels: { app: 'dd' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'dd' } },
        template: {
          metadata: { labels: { app: 'dd' } },
          spec: { containers: [{ name: 'nginx', image: 'nginx', ports: [{ containerPort: 80 }] }] },
        },
      },
    })
    expect(await decodeProtobuf(Buffer.from(secret, 'base64'))).toEqual({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      data: { k: 'dg==' },
    })
  })

  it('reads back what was written, whatever the kind', async () => {
    const body = {
      ...{
        metadata: { name: 'x', deletionTimestamp: '2026-01-02T03:04:05Z', ownerReferences: [{ uid: 'u' }] },
      },
      spec: {
        containers: [
          {
            name: 'c',
            env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k', optional: false } } }],
            resources: { limits: { memory: '128Mi' } },
            livenessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 5 },
            lifecycle: { preStop: { tcpSocket: { port: 8080 } } },
          },
        ],
        volumes: [
          { name: 'e', emptyDir: {} },
          { name: 'm', configMap: { name: 'c', defaultMode: 420, items: [{ key: 'a', path: 'b' }] } },
        ],
        terminationGracePeriodSeconds: 0,
        hostUsers: false,
        nodeSelector: { a: '' },
      },
    }
    const raw = encode(body, 'core.Pod')
    expect(await decodeProtobuf(wrap('v1', 'Pod', raw))).toEqual({ apiVersion: 'v1', kind: 'Pod', ...body })
  })

  it.each([
    ['an empty one', ''],
    ['one without the magic', 'abcd'],
    ['one that is cut', Buffer.from(secret, 'base64').subarray(0, 30)],
    ['an unknown kind', wrap('v1', 'Gizmo', new Uint8Array())],
    ['one nested without end', wrap('v1', 'Pod', nested(2000))],
  ])('refuses %s', async (_, body) => {
    await expect(decodeProtobuf(Buffer.from(body))).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('is refused or read, whatever its bytes', async () => {
    const kind = fc.constantFrom('Pod', 'Secret', 'Service', 'DeleteOptions')
    await fc.assert(
      fc.asyncProperty(kind, fc.uint8Array({ maxLength: 200 }), async (name, raw) => {
        try {
          await decodeProtobuf(wrap('v1', name, raw))
        } catch (error) {
          expect(error).toBeInstanceOf(BerthError)
        }
      }),
    )
  })
})

/** `metadata.managedFields…` does not recurse; a pod's template neither. Unknown fields are skipped whole. */
function nested(depth: number): Uint8Array {
  let raw: Uint8Array = new Uint8Array()
  for (let i = 0; i < depth; i++) raw = field(2, raw)
  return Buffer.concat([raw, Uint8Array.of(0x0a, 0xff)])
}

function wrap(apiVersion: string, kind: string, raw: Uint8Array): Uint8Array {
  const type = Buffer.concat([field(1, Buffer.from(apiVersion)), field(2, Buffer.from(kind))])
  return Buffer.concat([Buffer.from('k8s\0'), field(1, type), field(2, raw)])
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))]
}

function field(number: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.from([...varint((number << 3) | 2), ...varint(bytes.length)]), bytes])
}

function integer(number: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(number << 3), ...varint(value)])
}

/** A writer for the test, from the same table: only the reader is berth's. */
function encode(value: Record<string, unknown>, name: string): Uint8Array {
  const parts = (messages[name] ?? []).flatMap(([number, key, type, flags = '']): Uint8Array[] => {
    const child = key === '' ? value : value[key]
    if (child === undefined) return []
    if (flags.includes('m')) {
      return Object.entries(child as object).map(([k, v]) =>
        field(number, Buffer.concat([field(1, Buffer.from(k)), encodeValue(2, v, type)])),
      )
    }
    return flags.includes('r')
      ? (child as unknown[]).map((item) => encodeValue(number, item, type))
      : [encodeValue(number, child, type)]
  })
  return Buffer.concat(parts)
}

function encodeValue(number: number, value: unknown, type: string): Uint8Array {
  if (type === 's') return field(number, Buffer.from(String(value)))
  if (type === 'b' || type === 'i') return integer(number, Number(value))
  if (type === 'Quantity') return field(number, field(1, Buffer.from(String(value))))
  if (type === 'Time') return field(number, integer(1, Date.parse(String(value)) / 1000))
  if (type === 'IntOrString') {
    const parts =
      typeof value === 'number' ? [integer(2, value)] : [integer(1, 1), field(3, Buffer.from(`${value}`))]
    return field(number, Buffer.concat(parts))
  }
  return field(number, encode(value as Record<string, unknown>, type))
}
