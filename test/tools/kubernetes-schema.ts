/**
 * Makes `schemas/kubernetes.json` from Kubernetes' own OpenAPI documents: the kinds that berth serves and all they
 * refer to, without descriptions, under short names. Run it when the supported version of Kubernetes changes:
 *
 *   go mod download k8s.io/kubernetes@v1.35.0
 *   node test/tools/kubernetes-schema.ts $(go env GOMODCACHE)/k8s.io/kubernetes@v1.35.0/api/openapi-spec/v3
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Json = Record<string, unknown>

const roots: Readonly<Record<string, readonly string[]>> = {
  'api__v1_openapi.json': [
    ...['Namespace', 'Pod', 'PodTemplate', 'Service', 'ConfigMap', 'Secret', 'PersistentVolumeClaim'],
    ...['PersistentVolume', 'ServiceAccount', 'Event', 'Node'],
  ].map((kind) => `io.k8s.api.core.v1.${kind}`),
  'apis__apps__v1_openapi.json': ['ReplicaSet', 'Deployment', 'StatefulSet', 'ControllerRevision']
    .map((kind) => `io.k8s.api.apps.v1.${kind}`)
    .concat('io.k8s.api.autoscaling.v1.Scale'),
  'apis__batch__v1_openapi.json': ['io.k8s.api.batch.v1.Job'],
  'apis__discovery.k8s.io__v1_openapi.json': ['io.k8s.api.discovery.v1.EndpointSlice'],
  'apis__coordination.k8s.io__v1_openapi.json': ['io.k8s.api.coordination.v1.Lease'],
}
const keep = new Set([
  ...['type', 'format', 'properties', 'items', 'additionalProperties', 'required', 'oneOf', 'enum', '$ref'],
  ...['x-kubernetes-patch-merge-key', 'x-kubernetes-patch-strategy', 'x-kubernetes-list-type'],
  ...['x-kubernetes-list-map-keys', 'x-kubernetes-map-type', 'x-kubernetes-group-version-kind'],
])
const folder = process.argv[2] ?? ''
const collected = new Map<string, { readonly full: string; readonly schema: Json }>()

for (const [file, names] of Object.entries(roots)) {
  const document = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  for (const name of names) collect(name, document.components.schemas)
}
/** berth's own kinds beside Kubernetes': their parts are checked by who carries them out. */
const own: Json = {
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { $ref: '#/$defs/ObjectMeta' },
    spec: { type: 'object' },
    status: { type: 'object' },
  },
  type: 'object',
  'x-kubernetes-group-version-kind': [{ group: 'berth.dev', kind: 'ReleaseOperation', version: 'v1' }],
}
collected.set('ReleaseOperation', { full: 'dev.berth.v1.ReleaseOperation', schema: own })
const sorted = [...collected].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { schema }]) => [name, schema])
const top = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://berth.dev/schemas/kubernetes.json',
  title:
    'The Kubernetes kinds that berth serves, from the OpenAPI documents of Kubernetes v1.35.0 (Apache-2.0)',
}
// One definition a line: small differences between versions of Kubernetes stay readable.
const definitions = sorted.map(([name, schema]) => `    ${JSON.stringify(name)}: ${JSON.stringify(schema)}`)
const head = JSON.stringify(top, null, 2).slice(0, -2)
writeFileSync('schemas/kubernetes.json', `${head},\n  "$defs": {\n${definitions.join(',\n')}\n  }\n}\n`)

function shortName(full: string): string {
  const name = full.split('.').at(-1) ?? full
  if (full.startsWith('io.k8s.api.discovery.v1.Endpoint') && name === 'EndpointPort')
    return 'SliceEndpointPort'
  return name
}

function collect(full: string, schemas: Record<string, Json>): string {
  const name = shortName(full)
  const present = collected.get(name)
  if (present && present.full !== full) throw new Error(`Two definitions "${name}": ${present.full}, ${full}`)
  if (!present) {
    const entry = { full, schema: {} as Json }
    collected.set(name, entry)
    Object.assign(entry.schema, prune(schemas[full] ?? {}, schemas))
    const kinds = entry.schema['x-kubernetes-group-version-kind'] as
      | { group: string; kind: string }[]
      | undefined
    if (kinds && kinds.length !== 1) delete entry.schema['x-kubernetes-group-version-kind']
  }
  return name
}

function prune(schema: Json, schemas: Record<string, Json>): Json {
  const all = schema.allOf as Json[] | undefined
  const merged: Json = all ? { ...schema, ...all[0] } : schema
  const out: Json = {}
  for (const [key, value] of Object.entries(merged)) {
    if (!keep.has(key)) continue
    if (key === '$ref') out.$ref = `#/$defs/${collect(String(value).split('/').at(-1) ?? '', schemas)}`
    else if (key === 'properties')
      out[key] = Object.fromEntries(
        Object.entries(value as Json).map(([k, v]) => [k, prune(v as Json, schemas)]),
      )
    else if (key === 'items' || key === 'additionalProperties')
      out[key] = typeof value === 'object' ? prune(value as Json, schemas) : value
    else out[key] = value
  }
  return out
}
