import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readState } from './exit.ts'
import { keeperCommand } from './keeper.ts'
import { Bench, clone, eventually, launcherUnderTest } from './launcher.testkit.ts'

let bench: Bench
beforeAll(async () => {
  bench = await Bench.open()
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

/** What `ps` shows. */
async function titleOf(pid: number | undefined): Promise<string> {
  return (await readFile(`/proc/${pid}/cmdline`, 'latin1')).replace(/\0+$/, '')
}

async function expectTitle(args: readonly string[], input: Uint8Array, title: string): Promise<void> {
  const child = spawn(launcherUnderTest(), args, { stdio: ['pipe', 'ignore', 'inherit'] })
  try {
    child.stdin.on('error', () => {})
    if (input.length > 0) child.stdin.end(input)
    await eventually(async () => expect(await titleOf(child.pid)).toBe(title))
    expect(await readFile(`/proc/${child.pid}/environ`, 'latin1')).toContain('PATH=')
  } finally {
    child.kill('SIGKILL')
  }
}

describe('a process tells by its title what it is', () => {
  it('supervisor, with its container’s id, and the first process of a shared PID namespace', async () => {
    const plan = await bench.plan({ argv: ['true'], settings: { pauseOnly: true } })
    const supervisor = await bench.create(plan)
    await supervisor.start()
    const state = await readState(supervisor.stateFolder)
    expect(await titleOf(state?.supervisorPid)).toBe(`berth-supervisor ${plan.id}`)
    expect(await titleOf(supervisor.pid)).toBe(`berth-init ${plan.id}`)
    await supervisor.signal(15)
    await supervisor.exited
  })

  it('keeper, with its root folder', async () => {
    const command = keeperCommand(
      {
        lock: join(bench.folder, 'lock'),
        control: join(bench.folder, 'keeper.sock'),
        sockets: [],
        argv: ['/bin/sleep', '60'],
        env: {},
      },
      launcherUnderTest(),
    )
    // The room is that of the arguments, which hold the path of its settings' file when berth starts it.
    const title = `berth-keeper ${bench.folder}`
    const room = `${launcherUnderTest()} keeper`.length
    await expectTitle(command.args, command.input, title.slice(0, room))
  })

  it('relay, with the daemon that it works for', async () => {
    await expectTitle(['relay'], new Uint8Array(), `berth-relay of ${process.pid}`)
  })

  it('unpack, with the folder that it fills', async () => {
    const title = `berth-unpack ${bench.folder}`
    await expectTitle(['unpack', bench.folder], new Uint8Array(), title)
  })

  it('a program in a container keeps its own', async () => {
    const { out } = await bench.run({
      argv: ['cat', '/proc/self/cmdline'],
      flags: clone.mount | clone.pid,
    })
    expect(out).toBe('cat\0/proc/self/cmdline\0')
  })
})
