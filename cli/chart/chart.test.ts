import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, describe, expect, it } from 'vitest'
import { run } from '../main.ts'

const examples = join(import.meta.dirname, '../../charts-examples')
const folder = await mkdtemp(join(tmpdir(), 'berth-chart-'))
afterAll(() => rm(folder, { recursive: true }))

async function berth(...argv: string[]) {
  const texts = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr') =>
    new Writable({
      write: (piece, _encoding, done) => {
        texts[name] += piece
        done()
      },
    })
  const code = await run(argv, { stdout: sink('stdout'), stderr: sink('stderr'), env: {} })
  return { code, ...texts }
}

/** What a secret's drawn value and places of this machine are in a golden file. */
const stable = (text: string) => text.replaceAll(`${examples}/`, '').replace(/^( {2}token: )\S+$/m, '$1DRAWN')

describe('chart commands', () => {
  it.each([['hello'], ['guestbook']])('template, show and lint of %s', async (name) => {
    const chart = join(examples, name)
    const rendered = await berth('template', 'rel', chart, '-n', 'prod')
    expect(rendered).toMatchObject({ code: 0, stderr: '' })
    await expect(stable(rendered.stdout)).toMatchFileSnapshot(`../../test/golden/charts/${name}.yaml`)
    const shown = await berth('show', 'all', chart)
    await expect(shown.stdout).toMatchFileSnapshot(`../../test/golden/charts/${name}.show.txt`)
    expect(await berth('lint', chart)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('1 chart(s) linted, 0 chart(s) failed'),
    })
  })

  it('template chooses templates and values', async () => {
    const chart = join(examples, 'guestbook')
    const some = await berth(
      'template',
      'rel',
      chart,
      '-s',
      'templates/app.yaml.hbs',
      '--set',
      'replicas=5,port=',
    )
    expect(some.stdout).toContain('replicas: 5')
    expect(some.stdout).not.toContain('rel-web-public')
    expect(await berth('template', 'rel', chart, '-s', 'nope')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('could not find template nope in chart'),
    })
    expect(await berth('template', 'rel', chart, '--set', 'replicas=0')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("at '/replicas': minimum: got 0, want 1"),
    })
    const values = join(folder, 'wrong.yaml')
    await writeFile(values, 'port: 80\nredis:\n  size: 5\n')
    // The place of a wrong value is where it was written: a flag, a line of a file.
    expect((await berth('template', 'rel', chart, '-f', values, '--set', 'replicas=0')).stderr).toContain(
      'where  --set replicas=0 → replicas',
    )
    expect((await berth('template', 'rel', chart, '-f', values)).stderr).toContain(
      `where  ${values}:3 → redis.size`,
    )
    expect((await berth('template', 'rel', chart, '-f', 'missing.yaml')).stderr).toBe(
      'Error: Cannot read values: open missing.yaml: no such file or directory\n',
    )
    expect(await berth('template')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('requires at least 1 argument'),
    })
    expect(await berth('template', 'a', 'b/c')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('chart repositories are not supported yet'),
    })
  })

  it('package writes an archive that loads again', async () => {
    const packed = await berth('package', join(examples, 'guestbook'), '-d', folder, '--version', '9.9.9')
    expect(packed.stdout).toBe(`Successfully packaged chart and saved it to: ${folder}/guestbook-9.9.9.tgz\n`)
    expect((await readFile(join(folder, 'guestbook-9.9.9.tgz')))[3]).toBe(0x14)
    expect((await berth('show', 'chart', join(folder, 'guestbook-9.9.9.tgz'))).stdout).toContain(
      'version: 9.9.9',
    )
    expect(await berth('push', join(folder, 'nope.tgz'), 'oci://127.0.0.1:1/x')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no such file'),
    })
    expect(await berth('pull', 'oci://127.0.0.1:1/x/y')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot reach registry 127.0.0.1:1'),
    })
  })
})
