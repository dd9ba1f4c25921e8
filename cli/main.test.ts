import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { run } from './main.ts'

async function berth(...argv: string[]) {
  const text = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk, _, done) {
        text[name] += chunk
        done()
      },
    })
  const code = await run(argv, { stdout: sink('stdout'), stderr: sink('stderr'), env: {} })
  return { code, ...text }
}

describe('command line', () => {
  it('prints grouped help', async () => {
    const { code, stdout } = await berth('--help')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^berth runs Helm charts.*System:\n.* {2}version/s)
  })

  it('prints a bare version', async () => {
    expect(await berth('version', '--short')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    })
  })

  it('suggests a command and a flag', async () => {
    expect(await berth('vresion')).toEqual({
      code: 64,
      stdout: '',
      stderr: 'Error: Unknown command "vresion"\n  hint   did you mean "berth version"?\n',
    })
    expect(await berth('version', '--shrot')).toMatchObject({
      code: 64,
      stderr:
        'Error: Unknown flag "--shrot" of "berth version"\n  hint   did you mean --short? See berth version --help\n',
    })
  })

  it('gives an error as an object with -o json', async () => {
    const { code, stderr } = await berth('version', '--nope', '-o', 'json')
    expect(code).toBe(64)
    expect(JSON.parse(stderr).error).toMatchObject({ code: 'USAGE' })
  })

  it('answers docker verbs of later versions by name', async () => {
    expect(await berth('swarm', 'init')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('"swarm" is not there yet'),
    })
  })
})
