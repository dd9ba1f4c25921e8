/** `npm run bench [-- PART…]`: figures of berth beside its peers', taken in turn in one run. Nothing is asserted. */
import { measureCi } from './ci.ts'
import { measureCli } from './cli.ts'
import { measureIdle } from './idle.ts'
import { measureInstall } from './install.ts'
import { measureLoop } from './loop.ts'
import { measureMany } from './many.ts'
import { measureStart } from './start.ts'
import { World } from './world.ts'

/** In the order in which they disturb each other least. */
const parts: Readonly<Record<string, (world: World) => Promise<string[]>>> = {
  cli: measureCli,
  ci: measureCi,
  idle: measureIdle,
  start: measureStart,
  many: measureMany,
  install: measureInstall,
  loop: measureLoop,
}

const asked = process.argv.slice(2)
const unknown = asked.find((name) => !Object.hasOwn(parts, name))
if (unknown !== undefined) {
  console.error(`Error: There is no part "${unknown}" in the bench`)
  console.error(`  hint   ${Object.keys(parts).join(' ')}`)
  process.exit(64)
}
await using world = new World()
for (const [name, measure] of Object.entries(parts)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  for (const line of await measure(world)) console.log(line)
}
