import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hostTool } from '../tools/host-tool.ts'
import { type Contender, compete, lines } from './measure.ts'
import type { World } from './world.ts'

const run = promisify(execFile)
const rounds = 50
const pauseMs = 50

/** One container from create to remove: berth and dockerd networked, through docker's API; `crun run` without network. */
export async function measureStart(world: World): Promise<string[]> {
  await using stack = new AsyncDisposableStack()
  const [berth, dockerd] = [await world.berth(), await world.dockerd()]
  const contenders: Contender[] = [
    { name: 'berth, networked, over HTTP', once: () => berth.docker.cycle() },
    { name: 'dockerd, networked, over HTTP', once: () => dockerd.docker.cycle() },
  ]
  const crun = await crunBundle(stack)
  if (crun) contenders.push({ name: 'crun run, no network', once: crun })
  return [
    'create + start + exit + remove of `true`, back to back',
    ...lines(await compete(contenders, rounds)),
    `the same, each after a pause of ${pauseMs} ms`,
    ...lines(await compete(contenders, rounds, { pauseMs })),
  ]
}

/** A bundle with busybox and crun's own default settings, whose namespaces are new and empty. */
async function crunBundle(stack: AsyncDisposableStack): Promise<(() => Promise<void>) | undefined> {
  const crun = await run('crun', ['--version']).catch(() => undefined)
  if (!crun) return undefined
  const bundle = await mkdtemp(join(tmpdir(), 'bc-'))
  stack.defer(() => rm(bundle, { recursive: true, force: true }))
  await mkdir(join(bundle, 'rootfs/bin'), { recursive: true })
  const { file } = await hostTool('busybox')
  await run('cp', [file, join(bundle, 'rootfs/bin/true')])
  await run('crun', ['spec'], { cwd: bundle })
  const { default: config } = await import(join(bundle, 'config.json'), { with: { type: 'json' } })
  const process = { ...config.process, terminal: false, args: ['/bin/true'] }
  await writeFile(join(bundle, 'config.json'), JSON.stringify({ ...config, process }))
  let count = 0
  return async () => {
    await run('crun', ['run', '--bundle', bundle, `berth-bench-${count++}`])
  }
}
