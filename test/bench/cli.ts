import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compete, lines } from './measure.ts'

const run = promisify(execFile)
const rounds = 40

/** What a command costs before it does anything: `berth version` against an empty program of the same Node. */
export async function measureCli(): Promise<string[]> {
  const berth = join(import.meta.dirname, '../../cli/berth')
  const contenders = [
    { name: 'node -e 0', args: [process.execPath, '-e', '0'] },
    { name: 'berth version', args: [berth, 'version'] },
    { name: 'berth --help', args: [berth, '--help'] },
  ].map(({ name, args: [file = '', ...args] }) => ({
    name,
    once: async () => {
      await run(file, args)
    },
  }))
  return ['start of the command line', ...lines(await compete(contenders, rounds))]
}
