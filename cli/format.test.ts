import { describe, expect, it } from 'vitest'
import { compileFormat } from './format.ts'

const container = {
  Name: '/web',
  State: { Status: 'running', Running: true, Pid: 7, ExitCode: 0 },
  Config: { Env: ['A=1', 'B=2'], Labels: { 'a.b': 'c' }, Entrypoint: null },
  NetworkSettings: {
    Networks: { bridge: { IPAddress: '172.17.0.2' }, a: { IPAddress: '10.0.0.2' } },
    Ports: { '80/tcp': [{ HostPort: '8080' }] },
  },
}

// What the real docker prints for these was compared by hand with docker inspect -f.
describe('compileFormat', () => {
  it.each([
    ['{{.State.Status}}', 'running'],
    ['{{json .State}}', '{"Status":"running","Running":true,"Pid":7,"ExitCode":0}'],
    ['{{.Config.Env}} {{.Config.Labels}}', '[A=1 B=2] map[a.b:c]'],
    ['{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}', '10.0.0.2 172.17.0.2 '],
    [
      '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}};{{end}}',
      'a=10.0.0.2;bridge=172.17.0.2;',
    ],
    ['{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080'],
    ['{{index .Config.Labels "a.b"}}', 'c'],
    ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
    ['{{if eq .State.Pid 8}}a{{else if eq .State.Pid 7}}b{{else}}c{{end}}|', 'b|'],
    ['{{join .Config.Env ","}} {{len .Config.Env}}', 'A=1,B=2 2'],
    ['{{.Name | upper | printf "%q"}}', '"/WEB"'],
    ['{{range .Config.Env -}} {{println .}} {{- end}}', 'A=1\nB=2\n'],
    ['{{with .Config.Labels}}{{index . "a.b"}}{{end}}{{$.Name}}', 'c/web'],
    ['{{.Nothing}}', '<no value>'],
  ])('%s', (template, expected) => expect(compileFormat(template)(container)).toBe(expected))

  it.each(['{{.Nmes}}', '{{$.Nmes}}', '{{if .Nmes}}x{{end}}'])(
    'names the field near to that of %s',
    (template) => {
      expect(() => compileFormat(template, ['ID', 'Names'])({ ID: '1', Names: 'a' })).toThrow(
        expect.objectContaining({
          message: expect.stringContaining('no field "Nmes"'),
          hint: 'did you mean ".Names"?',
        }),
      )
    },
  )

  it.each(['{{.A', '{{range .A}}', '{{end}}', '{{nofunction .A}}'])('refuses %s', (template) => {
    expect(() => compileFormat(template)({})).toThrow('Cannot read the template')
  })
})
