/**
 * A load from inside a network namespace: `node load-process.ts URL…` until its stdin ends, then it prints the report.
 * Each request that fails is told at once on stderr.
 */
import { once } from 'node:events'
import { startLoad } from '../demo/load.ts'

const load = startLoad(process.argv.slice(2), { perSecond: 60, timeoutMs: 5000 })
process.stdin.resume()
await once(process.stdin, 'end')
process.stdout.write(JSON.stringify(await load.stop()))
