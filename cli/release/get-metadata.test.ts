import { expect, it } from 'vitest'
import type { ReleaseRecord } from '../../engine/release/record.ts'
import { metadataOf, metadataText } from './get-metadata.ts'

const record = {
  name: 'shop',
  namespace: 'default',
  version: 2,
  info: { status: 'deployed', last_deployed: '2026-01-01T00:00:00.123Z' },
  chart: {
    metadata: {
      name: 'shop',
      version: '1.0.0',
      annotations: { b: '2', a: '1' },
      dependencies: [{ name: 'db' }],
    },
  },
  apply_method: 'ssa',
} as unknown as ReleaseRecord

it('is as helm 4 prints it', () => {
  expect(metadataText(record, { team: 'x', name: 'shop' })).toBe(`\
NAME: shop
CHART: shop
VERSION: 1.0.0
APP_VERSION: 
ANNOTATIONS: a=1,b=2
LABELS: name=shop,team=x
DEPENDENCIES: db
NAMESPACE: default
REVISION: 2
STATUS: deployed
DEPLOYED_AT: 2026-01-01T00:00:00Z
APPLY_METHOD: server-side apply
`)
  expect(Object.keys(metadataOf(record, {}))).toEqual(
    'name chart version appVersion annotations dependencies namespace revision status deployedAt applyMethod'.split(
      ' ',
    ),
  )
})
