import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isBerthError } from '../base/error.ts'
import { resolveUser } from './user.ts'

const files = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\nbroken\nodd:x:y:z:::\n',
  group: 'root:x:0:\nwww:x:1001:\naudio:x:29:web,other\nvideo:x:44:root\n',
}

describe('resolveUser', () => {
  it.each([
    ['', { uid: 0, gid: 0, groups: [0, 44], home: '/root' }],
    ['web', { uid: 1000, gid: 1001, groups: [1001, 29], home: '/home/web' }],
    ['1000', { uid: 1000, gid: 1001, groups: [1001, 29], home: '/home/web' }],
    ['web:audio', { uid: 1000, gid: 29, groups: [29], home: '/home/web' }],
    ['web:5', { uid: 1000, gid: 5, groups: [5], home: '/home/web' }],
    ['77', { uid: 77, gid: 0, groups: [0], home: '/' }],
    ['77:88', { uid: 77, gid: 88, groups: [88], home: '/' }],
    [':29', { uid: 0, gid: 29, groups: [29], home: '/root' }],
  ])('%j', (spec, wanted) => {
    expect(resolveUser(spec, files)).toEqual(wanted)
  })

  it('adds groups', () => {
    expect(resolveUser('77', files, ['audio', '9']).groups).toEqual([0, 29, 9])
  })

  it('says what is missing', () => {
    expect(() => resolveUser('nobody', files)).toThrow(
      'Unable to find user nobody: no matching entries in passwd file',
    )
    expect(() => resolveUser('web:x', files)).toThrow(
      'Unable to find group x: no matching entries in group file',
    )
    expect(() => resolveUser('9999999999', files)).toThrow(/must be in range/)
  })

  it('gives numbers or a berth error, whatever the image holds', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (spec, passwd, group) => {
        try {
          const user = resolveUser(spec, { passwd, group })
          for (const id of [user.uid, user.gid, ...user.groups])
            expect(Number.isInteger(id) && id >= 0).toBe(true)
        } catch (error) {
          expect(isBerthError(error)).toBe(true)
        }
      }),
    )
  })
})
