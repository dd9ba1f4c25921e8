/**
 * berth's main job on this machine, with real containers, checked from outside: see the steps. Nothing is installed and
 * nothing is left behind. `--keep` leaves the guestbook and its daemon up and tells what to try.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hostTool } from '../tools/host-tool.ts'
import { killContainer, killDaemon, killKeeper } from './kill.ts'
import { Platform } from './platform.ts'
import {
  cleanUp,
  installFromRegistry,
  installGuestbook,
  upgradeAndRollBack,
  useGuestbook,
} from './release.ts'
import { compareSnapshots, takeSnapshot } from './snapshot.ts'
import { berthFile, check, currentTitle, DemoFailure, makeStage, say, title } from './stage.ts'

const keep = process.argv.includes('--keep')
// Short: the path of a Unix socket ends at 107 bytes.
const stage = makeStage(await mkdtemp('/tmp/berth-demo-'))
const nft = await hostTool('nft')
const before = takeSnapshot([stage.folder], nft)
const platform = new Platform(stage)

process.once('SIGINT', () => {
  say('\nInterrupted: ending what the demo started')
  void platform.end({ force: true }).finally(() => process.exit(130))
})

try {
  title('Images of Debian packages and of the example, in a registry of berth')
  await platform.startRegistry()
  const ready = Date.now()

  title('1  A daemon of its own; the registry stands in for docker.io')
  await platform.startDaemon()
  title('2  Install: a web tier of two replicas, Redis, a volume')
  const guestbook = await installGuestbook(stage)
  title('3  Use it: through the ClusterIP and through the published port')
  await useGuestbook(stage, guestbook)
  if (keep) {
    printKept(guestbook.port)
    process.exit(0)
  }
  title('4  Upgrade and roll back under load')
  await upgradeAndRollBack(stage, guestbook)
  title('5  Kill a container, the daemon, and daemon and keeper, under load')
  await killContainer(stage, guestbook)
  await killDaemon(stage, guestbook, platform)
  await killKeeper(stage, guestbook, platform)
  title('6  Push the chart, install a second release from the registry')
  await installFromRegistry(stage, platform.registry)
  title('7  Uninstall, and leave nothing behind')
  await cleanUp(stage)
  await platform.end({ force: false })
  await rm(stage.folder, { recursive: true })
  const left = compareSnapshots(before, takeSnapshot([stage.folder], nft))
  for (const line of left.slice(0, 20)) say(`  ✗ ${line}`)
  if (left.length > 20) say(`  ✗ and ${left.length - 20} more`)
  check(left.length === 0, 'processes, mounts, links, nftables, cgroups and folders are as before')

  const end = Date.now()
  say(
    `\nDone in ${((end - ready) / 1000).toFixed(1)} s after the images, ${(process.uptime()).toFixed(1)} s in all.`,
  )
  say(
    `\nTo start for yourself, as root:\n\n  ${berthFile} daemon &\n  ${berthFile} install hello ${join(berthFile, '../../charts-examples/hello')} --wait`,
  )
} catch (error) {
  say(`\n✗ ${currentTitle()}\n  ${error instanceof DemoFailure ? error.message : (error as Error).stack}`)
  await platform.showLog()
  await platform.end({ force: true })
  // Not by itself: the load of the step that failed goes on.
  process.exit(1)
}

function printKept(port: number): void {
  say(`
The guestbook and its daemon stay. Try:

  curl -d 'hello' http://127.0.0.1:${port}/entries
  export BERTH_HOST=${stage.host}
  ${berthFile} ps
  ${berthFile} status guestbook
  ${berthFile} upgrade guestbook ${join(berthFile, '../../charts-examples/guestbook')} --reuse-values --set image=guestbook-web:v2 --wait
  ${berthFile} rollback guestbook --wait

To end it: ${platform.endCommand()}`)
}
