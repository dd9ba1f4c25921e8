import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { commands } from './commands.ts'
import { run } from './main.ts'
import { Output } from './output.ts'

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

  it('refuses a format that -o does not have', async () => {
    for (const line of [
      ['history', 'my', '-o', 'yml'],
      ['list', '-o', 'jsn'],
    ]) {
      expect(await berth(...line)).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/invalid format type\n {2}hint .*One of table, json, yaml\n/),
      })
    }
  })

  it('refuses lines of --tail that are no number', async () => {
    expect(await berth('logs', '--tail=-x', 'c')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('Cannot read "-x" of --tail'),
    })
  })

  it('answers docker verbs of later versions by name', async () => {
    expect(await berth('swarm', 'init')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('"swarm" is not there yet'),
    })
  })
})

describe('help', () => {
  it.each(commands.map((entry) => entry.name))('of %s and its subcommands', async (name) => {
    const entry = commands.find((one) => one.name === name)
    const sink = new Writable()
    const command = (await entry?.load())?.command(new Output({ stdout: sink, stderr: sink, env: {} }))
    const lines: string[][] = []
    const collect = (path: string[], children: readonly Command[]) => {
      lines.push(path)
      for (const child of children) collect([...path, child.name()], child.commands)
    }
    collect([name], command?.commands ?? [])
    for (const line of lines) {
      expect([line, await berth(...line, '--help')]).toMatchObject([
        line,
        { code: 0, stderr: '', stdout: expect.stringContaining('Usage: ') },
      ])
    }
  })
})
