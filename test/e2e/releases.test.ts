import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestDaemon } from '../tools/daemon.ts'

let daemon: TestDaemon
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-releases-'))
  daemon = await TestDaemon.start()
})
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const berth = (...args: string[]) => daemon.berth(args)
const ok = async (...args: string[]) => {
  const ran = await daemon.berth(args)
  expect(ran.code, `berth ${args.join(' ')}: ${ran.stderr}`).toBe(0)
  return ran
}

/** Writes a chart and gives its folder. */
async function chart(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const all = { 'Chart.yaml': `apiVersion: v2\nname: ${name}\nversion: 0.1.0\n`, ...files }
  for (const [file, text] of Object.entries(all)) {
    const path = join(folder, name, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  }
  return join(folder, name)
}

const app = (services: string) =>
  `apiVersion: berth.dev/v1\nkind: App\nmetadata: {name: x}\nspec:\n  services:\n${services}`
const sleeper = () =>
  chart('sleeper', {
    'templates/app.yaml.hbs': app(
      '    web: {image: "{{Values.image}}", replicas: 1, command: [sh, -c, "trap exit TERM; sleep 1000 & wait"]}\n',
    ),
    'values.yaml': 'image: busybox\nport: 80\n',
    'values.schema.json': '{"properties": {"port": {"type": "integer"}}}',
  })
const mapOnly = (name: string) =>
  chart(name, { 'templates/map.yaml': `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}-map}\n` })

describe('a release on its way', () => {
  it('tells each thing once as it happens, and is gone with its pods', async () => {
    const { stderr } = await ok('install', 'way', await sleeper(), '--wait')
    const words = stderr.split('\n').map((line) => line.replace(/^\s*[\d.ms]+ +/, '').replace(/ +/, ' '))
    expect(words).toEqual(expect.arrayContaining(['applied Deployment/way-web', 'ready Deployment/way-web']))
    expect(stderr).toMatch(/started {3}way-web-\S+\n/)
    expect(new Set(words).size).toBe(words.length)
    expect((await ok('status', 'way')).stdout).toContain('STATUS: deployed')
    await ok('uninstall', 'way', '--wait', '-q')
    expect((await ok('ps', '-aq')).stdout).toBe('')
  })

  it('says nothing with -q', async () => {
    expect((await ok('install', 'quiet', await mapOnly('quiet'), '-q')).stderr).toBe('')
    await ok('uninstall', 'quiet', '-q')
  })

  it('goes on when the caller goes, refuses a second command, and can be undone', async () => {
    const bad = await chart('bad', { 'templates/app.yaml': app('    web: {image: "busybox:nope"}\n') })
    const interrupted = daemon.exec([
      'timeout',
      '-s',
      'INT',
      '7',
      join(import.meta.dirname, '../../cli/berth'),
      'install',
      'bad',
      bad,
      '--wait',
    ])
    await expect.poll(async () => (await berth('list', '-q')).stdout, { timeout: 5000 }).toBe('bad\n')
    const second = await berth('upgrade', 'bad', bad)
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(/install by \S+ is at work on it since/)
    const first = await interrupted
    expect(first.stderr).toMatch(/failing {3}cannot pull busybox:nope: .*404/)
    expect(first.stderr).toContain('Error: The install of "bad" goes on in the daemon')
    expect(first.stderr).toContain('berth status bad --follow follows it, berth uninstall bad undoes it')
    await ok('uninstall', 'bad', '--wait')
    expect((await berth('list', '-q')).stdout).toBe('')
  })

  it('fails in time with the cause, and is rolled back when asked to', async () => {
    const place = await sleeper()
    await ok('install', 'shop', place, '--wait')
    const upgrade = ['upgrade', 'shop', place, '--set', 'image=busybox:nope', '--timeout', '8s']
    const failed = await berth(...upgrade, '--wait')
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('Error: Cannot upgrade release "shop": Deployment "shop-web"')
    expect(failed.stderr).toMatch(/cause {2}pod "shop-web-\S+", container "web": cannot pull busybox:nope: /)
    expect(failed.stderr).toContain('berth rollback shop undoes it')
    const back = await berth(...upgrade, '--atomic')
    expect(back.stderr).toContain('has been rolled back due to rollback-on-failure being set')
    expect(back.stderr).toMatch(/cause .*cannot pull busybox:nope/)
    expect((await ok('list', '--no-headers')).stdout).toContain('deployed')
    await ok('uninstall', 'shop', '--wait')
  })
})

describe('errors', () => {
  const fails = async (args: readonly string[], ...texts: string[]) => {
    const { code, stdout, stderr } = await daemon.berth(args)
    expect(code).not.toBe(0)
    expect(stdout).toBe('')
    for (const text of texts) expect(stderr).toContain(text)
  }

  it('of a command line', async () => {
    const place = await sleeper()
    await fails(['install', 'x', place, '--wat'], 'Unknown flag "--wat"', 'did you mean --wait?')
    await fails(
      ['install', 'x', place, '--wait=soon'],
      '--wait is "soon", should be watcher, hookOnly or legacy',
    )
    await fails(['uninstall', 'x', '--cascade', 'no'], '--cascade is "no", should be')
    await fails(['install', 'x', place, '--dry-run=maybe'], '--dry-run is "maybe"')
    await fails(['install', place], 'must either provide a name or specify --generate-name')
    await fails(['list', '--filter', '('], 'Cannot read "(" of --filter')
    await fails(['install', 'x', place, '-f', 'missing.yaml'], 'open missing.yaml: no such file or directory')
  })

  it('of a chart, with their place, before anything is written', async () => {
    const place = await sleeper()
    const values = join(folder, 'values.yaml')
    await writeFile(values, 'image: x\nport: "80"\n')
    await fails(
      ['install', 'x', place, '-f', values],
      "at '/port': got string, want integer",
      `${values}:2 → port`,
    )
    await fails(['install', 'x', place, '--set', 'port=a'], 'where  --set port=a → port')
    await fails(['install', 'x', dirname(place)], 'Chart.yaml file is missing')
    const broken = await chart('broken', {
      'templates/a.yaml': 'kind: ConfigMap\nmetadata:\n  name: a\n b: [\n',
    })
    await fails(['install', 'x', broken], 'as YAML', `${broken.split('/').at(-1)}/templates/a.yaml:4:`)
    const kind = await chart('kind', {
      'templates/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\n',
      'templates/b.yaml': 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n',
    })
    await fails(['install', 'x', kind], 'no matches for kind "Widget"', 'kind/templates/b.yaml:2')
    expect((await ok('list', '-A')).stdout.trim().split('\n')).toHaveLength(1)
  })

  it('of names and places', async () => {
    const place = await mapOnly('map')
    await ok('install', 'map', place, '-q')
    await fails(
      ['install', 'map', place],
      'cannot reuse a name that is still in use',
      'berth upgrade --install map',
    )
    await fails(
      ['install', 'x', place, '-n', 'nowhere'],
      'namespaces "nowhere" not found',
      '--create-namespace',
    )
    await ok('install', 'x', place, '-n', 'made', '--create-namespace', '-q')
    await ok('uninstall', 'x', '-n', 'made', '-q')
    await fails(['install', 'x', 'oci://127.0.0.1:1/a/b'], 'cannot reach registry 127.0.0.1:1')
    await fails(['uninstall', 'nope'], 'release: not found')
    await ok('uninstall', 'map', '-q')
  })

  it('of a port that somebody has: the process is named, before any pull', async () => {
    const place = await chart('ports', {
      'templates/app.yaml': app('    web: {image: "busybox:nope", ports: [{port: 80, publish: 8099}]}\n'),
    })
    const script = "require('net').createServer().listen(8099, () => console.log('ready'))"
    const holder = daemon.exec(['timeout', '4', process.execPath, '-e', script])
    await expect
      .poll(async () => (await berth('install', 'port', place)).stderr, { timeout: 3000 })
      .toMatch(/Cannot publish port 8099\/tcp: process "\S+" \(PID \d+\) has it/)
    expect((await berth('list', '-q')).stdout).toBe('')
    await holder
  })
})
