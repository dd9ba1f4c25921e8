import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readState } from './exit.ts'
import { alive, Bench, eventually, execPlanOf, textOf } from './launcher.testkit.ts'

let bench: Bench
beforeAll(async () => {
  bench = await Bench.open()
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

const started = async (argv: readonly string[]) => {
  const supervisor = await bench.create(await bench.plan({ argv }))
  await supervisor.start()
  return supervisor
}

describe('exec', () => {
  it('runs in the container, with input, output and exit code', async () => {
    const supervisor = await started(['sleep', '60'])
    const session = await supervisor.exec(
      execPlanOf(supervisor.pid, {
        argv: ['sh', '-c', 'cat; echo err >&2; echo $PPID; exit 5'],
        stdin: true,
      }),
    )
    const texts = Promise.all([textOf(session, 'stdout'), textOf(session, 'stderr')])
    session.stdin.end('input\n')
    expect(await session.exited).toEqual({ code: 5 })
    expect(await texts).toEqual(['input\n0\n', 'err\n'])
    await supervisor.signal(9)
  })

  it('with a terminal of its own', async () => {
    const supervisor = await started(['sleep', '60'])
    const session = await supervisor.exec(
      execPlanOf(supervisor.pid, {
        argv: ['sh', '-c', 'read x; stty size; tty'],
        terminal: true,
        stdin: true,
      }),
    )
    await session.resize(7, 9)
    const text = textOf(session, 'stdout')
    session.stdin.write('go\n')
    expect(await session.exited).toEqual({ code: 0 })
    expect((await text).replaceAll('\r', '')).toBe('go\n7 9\n/dev/pts/0\n')
    await supervisor.signal(9)
  })

  it('of what is not there is refused with 127, of what may not be executed with 126', async () => {
    await writeFile(join(bench.rootfs, 'etc/plain'), 'x')
    const supervisor = await started(['sleep', '60'])
    for (const [name, exitCode] of [
      ['nothing', 127],
      ['/etc/plain', 126],
    ] as const) {
      const error = await supervisor
        .exec(execPlanOf(supervisor.pid, { argv: [name] }))
        .catch((e: unknown) => e)
      expect(error).toMatchObject({ code: 'KERNEL', details: { step: 'exec', exitCode } })
    }
    await supervisor.signal(9)
  })

  it('is signalled, outlives its client, and ends with the container', async () => {
    const supervisor = await started(['sleep', '60'])
    const killed = await supervisor.exec(execPlanOf(supervisor.pid, { argv: ['sleep', '60'] }))
    await killed.signal(15)
    expect(await killed.exited).toEqual({ code: 143 })
    const left = await supervisor.exec(execPlanOf(supervisor.pid, { argv: ['sleep', '60'] }))
    left.close()
    await sleep(50)
    expect(await alive(left.pid)).toBe(true)
    const last = await supervisor.exec(execPlanOf(supervisor.pid, { argv: ['sleep', '60'] }))
    await supervisor.signal(9)
    expect(await last.exited).toEqual({ code: 137 })
    await supervisor.exited
    expect(await alive(left.pid)).toBe(false)
  })

  it('that is not read holds up only itself', async () => {
    const supervisor = await started(['sleep', '60'])
    const session = await supervisor.exec(
      execPlanOf(supervisor.pid, { argv: ['sh', '-c', 'seq 1 300000; echo end >&2'] }),
    )
    await sleep(200)
    const quick = await supervisor.exec(execPlanOf(supervisor.pid, { argv: ['echo', 'quick'] }))
    expect(await textOf(quick, 'stdout')).toBe('quick\n')
    expect((await textOf(session, 'stdout')).length).toBe(1_988_895)
    expect(await session.exited).toEqual({ code: 0 })
    await supervisor.signal(9)
  })

  it('100 times leaves no descriptor and no process', async () => {
    const supervisor = await started(['sleep', '60'])
    const state = await readState(supervisor.stateFolder)
    const openFiles = async () => (await readdir(`/proc/${state?.supervisorPid}/fd`)).length
    const before = await openFiles()
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const session = await supervisor.exec(execPlanOf(supervisor.pid, { argv: ['echo', 'x'] }))
          expect(await textOf(session, 'stdout')).toBe('x\n')
          expect(await session.exited).toEqual({ code: 0 })
        }),
      )
    }
    await eventually(async () => expect(await openFiles()).toBe(before))
    expect((await readFile(`/proc/${supervisor.pid}/status`, 'utf8')).match(/State.*/)?.[0]).toMatch(
      /sleeping/,
    )
    await supervisor.signal(9)
  })
})
