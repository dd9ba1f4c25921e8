/**
 * A registry for tests that stands in for docker.io, with one image: `library/busybox`. Runs in the network namespace
 * that it is started in until it is killed: `node busybox-registry.ts FOLDER ADDRESS`; prints `ready`.
 */
import { execFileSync } from 'node:child_process'
import { serveRegistry } from '../../engine/registry/server.ts'
import { hostTool } from './host-tool.ts'
import { type LayerFile, makeImage } from './make-image.ts'

const [root = '', address = '127.0.0.1:5000'] = process.argv.slice(2)
await serveRegistry({ root, address, anonymous: 'write' })
const { file } = await hostTool('busybox')
const applets = execFileSync(file, ['--list'], { encoding: 'utf8' }).trim().split('\n')
const files: Record<string, LayerFile> = {
  'bin/busybox': file,
  'etc/passwd': { content: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' },
  'etc/group': { content: 'root:x:0:\nnobody:x:65534:\n' },
  tmp: { folder: true, mode: 0o1777 },
}
for (const applet of applets) if (applet !== 'busybox') files[`bin/${applet}`] = { link: 'busybox' }
await makeImage({
  layers: [{ files }],
  config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
  ref: `${address}/library/busybox:latest`,
  signal: AbortSignal.timeout(60_000),
})
process.stdout.write('ready\n')
