import { describe, expect, it } from 'vitest'
import type { PersistentVolume } from '../../object/types.generated.ts'
import { dataFinalizer, volumeDriver, volumeFinalizer } from '../../object/volume-names.ts'
import { VolumeCollector } from './volume-collector.ts'

const volume = (
  finalizers: readonly string[],
  deleted: boolean,
  driver = volumeDriver,
): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'pvc-1', finalizers, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) },
  spec: { csi: { driver, volumeHandle: 'shop_data' } },
})

async function collect(object: PersistentVolume, fail = false): Promise<string[]> {
  const done: string[] = []
  await using collector = new VolumeCollector({
    volumes: {
      remove: async (name) => {
        if (fail) throw new Error('in use')
        done.push(`removed ${name}`)
      },
    },
    release: async ({ metadata }) => void done.push(`released with ${JSON.stringify(metadata.finalizers)}`),
    view: { volume: () => object },
    log: (_, message) => done.push(message),
    signal: new AbortController().signal,
  })
  collector.notice(object)
  await new Promise((resolve) => setTimeout(resolve, 5))
  return done
}

describe('VolumeCollector', () => {
  it('removes the files, then lets the object go', async () => {
    expect(await collect(volume([dataFinalizer], true))).toEqual(['removed shop_data', 'released with []'])
  })

  it('keeps the object while the files cannot be removed', async () => {
    expect(await collect(volume([dataFinalizer], true), true)).toEqual([
      'Cannot remove volume "pvc-1": in use',
    ])
  })

  it('leaves alone what is in use, protected, or not of berth', async () => {
    expect(await collect(volume([dataFinalizer], false))).toEqual([])
    expect(await collect(volume([dataFinalizer, volumeFinalizer], true))).toEqual([])
    expect(await collect(volume([dataFinalizer], true, 'other'))).toEqual([])
  })
})
