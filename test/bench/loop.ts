import { join } from 'node:path'
import type { World } from './world.ts'

const workers = 4
const cyclesEach = 25

/**
 * How long the daemon's event loop is away while containers come and go: perf_hooks, set up and read inside the daemon
 * through the debugger that Node opens at SIGUSR1, so that the daemon carries nothing for it.
 */
export async function measureLoop(world: World): Promise<string[]> {
  const { daemon, docker } = await world.berth()
  process.kill(await daemon.daemonPid(), 'SIGUSR1')
  const evaluate = async (expression: string): Promise<string> => {
    const { code, stdout, stderr } = await daemon.exec([
      process.execPath,
      join(import.meta.dirname, 'inspect.ts'),
      expression,
    ])
    if (code !== 0) throw new Error(`Cannot look into the daemon: ${stderr}`)
    return stdout
  }
  await evaluate(
    `globalThis.delay = process.getBuiltinModule('perf_hooks').monitorEventLoopDelay({ resolution: 1 }); delay.enable()`,
  )
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (let i = 0; i < cyclesEach; i++) await docker.cycle()
    }),
  )
  const read = 'delay.disable(); JSON.stringify([delay.percentile(50), delay.percentile(99), delay.max])'
  const [p50, p99, most] = (JSON.parse(await evaluate(read)) as number[]).map((ns) => (ns / 1e6).toFixed(1))
  return [
    `the daemon's event loop while ${workers} callers make and remove ${workers * cyclesEach} containers`,
    `  delay                                        median ${p50}  p99 ${p99} (aim: 20)  most ${most} ms, of it 1 the timer's own`,
  ]
}
