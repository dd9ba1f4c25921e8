import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { pflag } from './arguments.ts'

const command = () =>
  new Command('run')
    .passThroughOptions()
    .option('-i, --interactive')
    .option('-t, --tty')
    .option('--rm')
    .option('--sig-proxy', '', true)
    .option('--no-sig-proxy')
    .option('-e, --env <entry>')
    .option('--dry-run [mode]')

describe('pflag', () => {
  it.each([
    [
      ['-it', 'image', '-i=false'],
      ['-i', '-t', 'image', '-i=false'],
    ],
    [
      ['--rm=false', '--rm=true', '-t=0', 'x'],
      ['--rm', 'x'],
    ],
    [['--sig-proxy=false'], ['--no-sig-proxy']],
    [
      ['-e=A=1', '-eB', '-e', '-x', '-ite', 'C'],
      ['-e', 'A=1', '-e', 'B', '-e', '-x', '-i', '-t', '-e', 'C'],
    ],
    [
      ['--dry-run', 'image'],
      ['--dry-run', 'image'],
    ],
    [
      ['--', '--rm=false'],
      ['--', '--rm=false'],
    ],
    [
      ['--unknown', 'x', '--rm=false'],
      ['--unknown', 'x', '--rm=false'],
    ],
  ])('%j', (given, expected) => expect(pflag(given, command())).toEqual(expected))

  it('gives an optional value its preset', () => {
    const preset = new Command('install').option('--wait [strategy]')
    const option = preset.options[0]
    option?.preset('watcher')
    expect(pflag(['--wait', 'name', '--wait=legacy'], preset)).toEqual([
      '--wait=watcher',
      'name',
      '--wait=legacy',
    ])
  })

  it('refuses what is neither true nor false', () => {
    expect(() => pflag(['--rm=maybe'], command())).toThrow('Cannot read "maybe"')
  })
})
