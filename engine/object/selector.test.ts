import { describe, expect, it } from 'vitest'
import { matches, parseSelector, selectorText, selects } from './selector.ts'

describe('selector', () => {
  it.each([
    ['', {}, true],
    ['app=web', { app: 'web' }, true],
    ['app==web,tier!=db', { app: 'web' }, true],
    ['tier!=db', { tier: 'db' }, false],
    ['env in (a, b)', { env: 'b' }, true],
    ['env notin (a,b),app', { app: '' }, true],
    ['!app', { app: 'x' }, false],
    ['app=', { app: '' }, true],
    ['size>3', { size: '4' }, true],
    ['a.b/c-d=e_f', { 'a.b/c-d': 'e_f' }, true],
    ['app', {}, false],
    ['toString', {}, false],
  ])('%j on %j is %s', (text, labels, want) => {
    expect(matches(parseSelector(text), labels as Record<string, string>)).toBe(want)
  })

  it.each(['a=b,', ',', 'a in b', 'a in (b', '=b', 'a b', 'a=(b)', 'a=é'])('refuses %j', (text) => {
    expect(() => parseSelector(text)).toThrow('unable to parse requirement')
  })

  it('selects nothing without a selector and everything with an empty one', () => {
    expect(selects(undefined, { a: 'b' })).toBe(false)
    expect(selects({}, { a: 'b' })).toBe(true)
    const selector = {
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'NotIn', values: ['b', 'a'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    }
    expect(selects(selector, { app: 'web' })).toBe(true)
    expect(selectorText(selector)).toBe('!old,app=web,tier notin (a,b)')
    expect(selectorText({})).toBe('<none>')
  })
})
