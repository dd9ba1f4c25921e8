import { expect, it } from 'vitest'
import { resourcesText } from './resources.ts'

it("writes tables as helm does, one heading for a kind, without kubectl's wide columns", () => {
  const table = (...cells: unknown[]) => ({
    columnDefinitions: [{ name: 'Name' }, { name: 'Data', priority: 0 }, { name: 'Wide', priority: 1 }],
    rows: [{ cells }],
  })
  const resources = new Map([['v1/ConfigMap', [table('one', 1, 'x'), table('longer', 20, 'x')]]])
  expect(resourcesText(resources)).toBe(
    'RESOURCES:\n==> v1/ConfigMap\nNAME     DATA\none      1\nlonger   20\n\n\n',
  )
  expect(resourcesText(new Map())).toBe('')
})
