import { describe, expect, it } from 'vitest'
import { record, settings } from './fixtures.testkit.ts'
import { checkName, drawName, findContainer } from './reference.ts'

const make = (id: string, name: string) => record({ id: id.padEnd(64, '0'), settings: settings({ name }) })
const all = [make('abc1', 'web'), make('abc2', 'db'), make('def', 'abc1')]

describe('findContainer', () => {
  it('takes ids, names and unique prefixes, names first', () => {
    expect(findContainer(all, all[0]?.id ?? '')).toBe(all[0])
    expect(findContainer(all, 'db')).toBe(all[1])
    expect(findContainer(all, '/db')).toBe(all[1])
    expect(findContainer(all, 'de')).toBe(all[2])
    expect(findContainer(all, 'abc2')).toBe(all[1])
    expect(findContainer(all, 'abc1')).toBe(all[2])
  })

  it('says what is wrong in docker’s words', () => {
    expect(() => findContainer(all, 'abc')).toThrow('Multiple IDs found with provided prefix: abc')
    expect(() => findContainer(all, 'wab')).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', hint: 'did you mean web?' }),
    )
    expect(() => findContainer(all, '')).toThrow('No such container: ')
  })
})

describe('names', () => {
  it('are checked', () => {
    expect(() => checkName(all, 'web')).toThrow(
      /The container name "\/web" is already in use by container "abc1/,
    )
    for (const bad of ['', 'a', '-a', 'a b', 'ä1'])
      expect(() => checkName(all, bad), bad).toThrow(/Invalid container name/)
    checkName(all, 'web-2.x_y')
  })

  it('are drawn until one is free', () => {
    let n = 0
    const random = () => (n++ % 7) / 7
    const taken = new Set<string>()
    for (let i = 0; i < 200; i++) {
      const name = drawName(taken, random)
      expect(taken.has(name)).toBe(false)
      checkName([], name)
      taken.add(name)
    }
  })
})
