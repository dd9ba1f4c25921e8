import { describe, expect, it } from 'vitest'
import type { Values } from './chart.ts'
import { applySet, type SetKind } from './set.ts'

const set = (text: string, target: Values = {}, kind: SetKind = 'set') =>
  applySet(text, target, { kind, readFile: (path) => `content of ${path}` })

describe('applySet', () => {
  // Each line is what Helm 4.1.4 makes of it.
  const good: [string, SetKind, Values, Values][] = [
    ['q.r.s=t,u=v', 'set', {}, { q: { r: { s: 't' } }, u: 'v' }],
    ['l[1].c=3', 'set', { l: [1, { b: 2 }] }, { l: [1, { b: 2, c: 3 }] }],
    ['l[3]=9', 'set', { l: [1] }, { l: [1, null, null, 9] }],
    ['k[0][1]=x', 'set', {}, { k: [[null, 'x']] }],
    ['x={a,b,1,true},y=1', 'set', {}, { x: ['a', 'b', 1, true], y: 1 }],
    ['x={}', 'set', {}, { x: [''] }],
    ['x=,y=1', 'set', {}, { x: '', y: 1 }],
    ['a\\.b=1,c=x\\,y', 'set', {}, { 'a.b': 1, c: 'x,y' }],
    ['a=007,b=0,c=-5,d=1.5,e=1e3', 'set', {}, { a: '007', b: 0, c: -5, d: '1.5', e: '1e3' }],
    ['a=TRUE,b=False,c=Null', 'set', {}, { a: true, b: false, c: null }],
    [
      'a=9223372036854775807,b=9223372036854775808',
      'set',
      {},
      { a: 9223372036854775807n, b: '9223372036854775808' },
    ],
    ['x=a=b', 'set', {}, { x: 'a=b' }],
    ['x=1,y=true', 'set-string', {}, { x: '1', y: 'true' }],
    ['x={"a":[1,2.5,null]},y="a,b" ,z=', 'set-json', {}, { x: { a: [1, 2.5, null] }, y: 'a,b', z: null }],
    ['{"m":{"x":9}}', 'set-json', { m: { y: 1 } }, { m: { x: 9 } }],
    ['x=a,b=c{d}', 'set-literal', {}, { x: 'a,b=c{d}' }],
    ['x=/etc/x', 'set-file', {}, { x: 'content of /etc/x' }],
    ['__proto__.x=1', 'set', {}, JSON.parse('{"__proto__":{"x":1}}')],
  ]
  it.each(good)('%s as %s', (text, kind, target, want) => {
    expect(set(text, target, kind)).toEqual(want)
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  const bad: [string, string][] = [
    ['x', 'key "x" has no value'],
    ['x,y=1', 'key "x" has no value (cannot end with ,)'],
    ['x={a', "list must terminate with '}'"],
    ['x[a]=1', 'error parsing index: strconv.Atoi: parsing "a": invalid syntax'],
    ['x[-1]=1', 'negative -1 index not allowed'],
    ['x[65537]=1', 'index of 65537 is greater than maximum supported index of 65536'],
    ['x[0]y=1', "unexpected data at end of array index: ['y']"],
    [`${'a.'.repeat(31)}b=1`, 'value name nested level is greater than maximum supported nested level of 30'],
  ]
  it.each(bad)('%s is refused', (text, message) => {
    expect(() => set(text)).toThrow(`failed parsing --set data: ${message}`)
  })

  it('changes a copy', () => {
    const target = { a: { b: [1] } }
    set('a.b[0]=2', target)
    expect(target).toEqual({ a: { b: [1] } })
  })
})
