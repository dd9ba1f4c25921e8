import { describe, expect, it } from 'vitest'
import { HandlebarsEngine } from './handlebars.ts'
import { splitManifests } from './manifest.ts'

const partials = new Map([
  ['labels', { file: 't/_labels.hbs', text: 'app: {{Release.Name}}\ntier: {{default tier "web"}}\n' }],
])
const context = {
  Values: { a: 1, list: [1, 2], map: { x: 1, y: ['no'] }, text: 'a "b"', none: null },
  Release: { Name: 'rel' },
}
const engine = new HandlebarsEngine(partials, (name) => (name === 'f.txt' ? 'file\n' : undefined))
const render = (text: string) => engine.render({ file: 't/x.hbs', text }, context)

describe('HandlebarsEngine', () => {
  const good: [string, string][] = [
    ['x: {{Values.a}}', 'x: 1'],
    ['x: {{quote Values.text}}', 'x: "a \\"b\\""'],
    ['x: {{Values.none}}', 'x: '],
    ['x: {{{Values.text}}} {{Values.text}}', 'x: a "b" a "b"'],
    ['x: {{json Values.map}}', 'x: {"x":1,"y":["no"]}'],
    ['x:{{yaml Values.map indent=2}}', 'x:\n  x: 1\n  "y":\n  - "no"'],
    ['x:{{yaml (dict) indent=2}}', 'x: {}'],
    ['{{#if (and Values.a (eq Values.a 1))}}yes{{else}}no{{/if}}', 'yes'],
    ['{{#each Values.list}}{{@index}}={{this}};{{/each}}', '0=1;1=2;'],
    ['{{default Values.missing "d"}} {{default Values.a "d"}}', 'd 1'],
    ['l:{{nindent 2 (include "labels")}}', 'l:\n  app: rel\n  tier: web'],
    ['{{#with Values.map}}{{x}}{{/with}}', '1'],
    ['{{file "f.txt"}}', 'file\n'],
    ['{{upper (trunc 2 (sha256 "x"))}} {{b64enc "hi"}} {{len Values.list}} {{add 1 2 3}}', '2D aGk= 2 6'],
    ['{{lookup Values.map "x"}} {{hasKey Values.map "z"}} {{join "-" Values.list}}', '1 false 1-2'],
    ['{{#indent 2}}a\nb{{/indent}}', '  a\n  b'],
  ]
  it.each(good)('%s', (text, want) => {
    expect(render(text).text).toBe(want)
  })

  const bad: [string, string, number, number, string?][] = [
    ['\n  x: {{Value.a}}', '"Value.a" is not known', 2, 8, 'did you mean "Values"?'],
    [
      'x: {{Values.b}}',
      '"Values.b" is not set',
      1,
      4,
      'set it in values.yaml, or write {{default Values.b "…"}}',
    ],
    ['x: {{qoute Values.b}}', 'there is no helper "qoute"', 1, 6, 'did you mean "quote"?'],
    ['x: {{upper (qoute 1)}}', 'there is no helper "qoute"', 1, 13],
    ['x: {{Values.map}}', 'Cannot print "Values.map": it is a map', 1, 4],
    ['{{include "labls"}}', 'There is no partial "labls"', 1, 1, 'did you mean "labels"?'],
    ['{{> labls}}', 'There is no partial "labls"', 1, 1, 'did you mean "labels"?'],
    ['\n{{fail "boom"}}', 'boom', 2, 1],
    ['{{required "say who" Values.none}}', 'say who', 1, 1],
    ['{{file "g.txt"}}', 'The chart has no file "g.txt"', 1, 1],
    ['{{constructor}}', '"constructor" is not known', 1, 3],
    ['{{Values.constructor}}', '"Values.constructor" is not set', 1, 1],
  ]
  it.each(bad)('%s is refused', (text, message, line, column, hint) => {
    expect(() => render(text)).toThrow(message)
    try {
      render(text)
    } catch (error) {
      expect(error).toMatchObject({
        code: 'INVALID',
        where: { file: 't/x.hbs', line, column },
        ...(hint ? { hint } : {}),
      })
    }
  })

  it('names the line of what cannot be parsed, and what "}}}" means', () => {
    expect(() => render('a\n{{#if x}}')).toThrow('Cannot parse "t/x.hbs"')
    expect(() => render('{a: {{Values.a}}}')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('write a space') }),
    )
  })

  it('knows which line of the template wrote a line', () => {
    const { text, lines } = render(
      'a: 1\n{{#if Values.list}}\nb: 2\n{{/if}}\n{{#each Values.list}}\n- {{this}}\n{{/each}}\nl:\n  {{> labels}}\nz: 1\n',
    )
    expect(text.split('\n').map((line, i) => `${lines[i]} ${line}`)).toEqual([
      '1 a: 1',
      '3 b: 2',
      '6 - 1',
      '6 - 2',
      '8 l:',
      '9   app: rel',
      '9   tier: web',
      '10 z: 1',
      '11 ',
    ])
  })
})

it('splitManifests cuts where Helm cuts', () => {
  expect(
    splitManifests('# c\na: 1\n--- # comment\nb: 2  \n\n---\n').map(({ text, line }) => [text, line]),
  ).toEqual([
    ['# c\na: 1', 1],
    ['# comment\nb: 2', 3],
  ])
})
