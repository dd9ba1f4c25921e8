import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../support/time.ts'
import { type Ran, TestDaemon } from '../tools/daemon.ts'

let daemon: TestDaemon
let pid = ''
const berthFile = join(import.meta.dirname, '../../cli/berth')

beforeAll(async () => {
  daemon = await TestDaemon.start()
  await ok('run', '-d', '--name', 'live', 'busybox', 'sleep', '1000')
  pid = await ok('inspect', '-f', '{{.State.Pid}}', 'live')
})
afterAll(() => daemon?.[Symbol.asyncDispose]())

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.berth(args)
  expect(code, `berth ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout.trim()
}

/** Starts a daemon in the foreground that is expected to end by itself. */
function second(config = join(daemon.folder, 'config.json')): Promise<Ran> {
  return daemon.exec([berthFile, 'daemon', '--root', daemon.root, '--run', daemon.run, '--config', config])
}

const expectLive = async () => expect(await ok('inspect', '-f', '{{.State.Pid}}', 'live')).toBe(pid)

describe('a daemon that cannot start', () => {
  it('names the process that has the root folder already', async () => {
    const { code, stderr } = await second()
    expect(code).toBe(1)
    expect(stderr).toBe(`Error: Another daemon (process ${daemon.keeperPid}) holds "${daemon.root}/lock"\n`)
    await expectLive()
  })

  it('ends with 78 for a wrong configuration, and its keeper with it', async () => {
    const config = join(daemon.folder, 'config.json')
    const good = await readFile(config, 'utf8')
    await writeFile(config, '{"registrie": {}}')
    const keeper = daemon.keeperPid
    process.kill(await daemon.daemonPid(), 'SIGKILL')
    await expect
      .poll(() => readFile(`/proc/${keeper}/cmdline`, 'utf8').catch(() => ''), { timeout: scaledMs(10_000) })
      .toBe('')
    expect(daemon.log).toContain('did you mean "registries"?')
    expect(await second()).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('Unknown key "registrie"'),
    })
    await writeFile(config, good)
    await daemon.startAgain()
    await expectLive()
  })

  it('is no hindrance, nor are the sockets that it left', async () => {
    await daemon.stop('SIGKILL')
    expect(await readdir(daemon.run)).toEqual(expect.arrayContaining(['berth.sock', 'keeper.sock']))
    await daemon.startAgain()
    await expectLive()
  })

  it('leaves a damaged database as it is', async () => {
    await daemon.stop()
    const file = join(daemon.root, 'db/berth.sqlite')
    const good = await readFile(file)
    for (const at of [0, 4096]) {
      const damaged = Buffer.from(good).fill(0x5a, at, at + 4096)
      await writeFile(file, damaged)
      const { code, stderr } = await second()
      expect(code, stderr).toBe(78)
      expect(stderr).toContain(`Cannot open the store in "${daemon.root}/db"`)
      expect(stderr).toContain('restore the folder from a backup')
      expect((await readFile(file)).equals(damaged)).toBe(true)
    }
    await writeFile(file, good)
    await daemon.startAgain()
    await expectLive()
  })
})

describe('damage in the root folder', () => {
  it('of an exit file: the exit is not made up', async () => {
    await ok('run', '-d', '--name', 'short', 'busybox', 'sh', '-c', 'sleep 1; exit 7')
    const id = await ok('inspect', '-f', '{{.Id}}', 'short')
    const container = await ok('inspect', '-f', '{{.State.Pid}}', 'short')
    await daemon.stop()
    await expect
      .poll(() => readFile(`/proc/${container}/cmdline`, 'utf8').catch(() => ''), {
        timeout: scaledMs(10_000),
      })
      .toBe('')
    const exit = join(daemon.root, 'containers', id, 'runs/1/exit')
    await expect
      .poll(() => readFile(exit, 'utf8').catch(() => ''), { timeout: scaledMs(5000) })
      .toContain('code 7')
    await truncate(exit, 3)
    await daemon.startAgain()
    expect(await ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'short')).toBe('exited 137')
    await ok('rm', 'short')
  })

  it('of images: the next pull mends it', async () => {
    await daemon.stop()
    const blobs = join(daemon.root, 'content/blobs/sha256')
    for (const name of await readdir(blobs)) await truncate(join(blobs, name), 20)
    await rm(join(daemon.root, 'layers/1'), { recursive: true })
    await daemon.startAgain()
    await ok('pull', 'busybox')
    expect(await ok('run', '--rm', 'busybox', 'echo', 'hi')).toBe('hi')
    await expectLive()
  })
})
