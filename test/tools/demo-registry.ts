/**
 * A registry for tests that stands in for docker.io, with the demo's images: `node demo-registry.ts FOLDER ADDRESS`
 * runs until it is killed and prints `ready`. The images are made before, where the network is.
 */
import { serveRegistry } from '../../engine/registry/server.ts'
import { makeDemoImages } from '../demo/images.ts'

/** Makes busybox, redis:7, guestbook-web:v1 and v2 in the folder of a registry. */
export async function fillDemoRegistry(root: string): Promise<void> {
  await using registry = await serveRegistry({ root, address: '127.0.0.1:0', anonymous: 'write' })
  await makeDemoImages(registry.address, AbortSignal.timeout(120_000))
}

const [, script, root = '', address = '127.0.0.1:5000'] = process.argv
if (script === import.meta.filename) {
  await serveRegistry({ root, address, anonymous: 'write' })
  process.stdout.write('ready\n')
}
