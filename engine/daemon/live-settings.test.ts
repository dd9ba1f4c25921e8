import { describe, expect, it } from 'vitest'
import { withDefaults } from './config.ts'
import { changesOf, LiveSettings } from './live-settings.ts'

describe('live settings', () => {
  it('tell which changes take effect now, and which later', () => {
    const before = withDefaults({})
    expect(changesOf(before, withDefaults({}))).toEqual({ now: [], later: [] })
    const after = withDefaults({
      registries: { '*': { insecure: true } },
      registry: { address: '127.0.0.1:5000' },
      network: { domain: 'a.b' },
      logs: { maxFiles: 5 },
    })
    expect(changesOf(before, after)).toEqual({
      now: ['registries', 'logs', 'registry'],
      later: ['network'],
    })
  })

  it('change in place, all or nothing', async () => {
    const settings = await LiveSettings.open(withDefaults({ registries: { old: { insecure: true } } }))
    const { hosts, logs } = settings
    expect(logs).toEqual({ maxSizeBytes: 10 << 20, maxFiles: 3 })
    await settings.take(
      withDefaults({ registries: { fresh: { mirrors: ['http://m'] } }, logs: { maxSize: '1Ki' } }),
    )
    expect(hosts).toEqual({ fresh: { mirrors: ['http://m'] } })
    expect(logs.maxSizeBytes).toBe(1024)
    const broken = withDefaults({ registries: { bad: { ca: '/nothing/there' } } })
    await expect(settings.take(broken)).rejects.toMatchObject({ code: 'CONFIGURATION' })
    expect(hosts).toEqual({ fresh: { mirrors: ['http://m'] } })
  })
})
