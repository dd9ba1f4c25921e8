/** The demo's images: Debian's Redis and busybox, and two versions of the guestbook's web program. */
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileStatic } from '../tools/compile.ts'
import { unpackDebian } from '../tools/debian.ts'
import { type LayerFile, makeImage } from '../tools/make-image.ts'

/** Makes the images and pushes them below `REGISTRY/library/`, where a mirror of docker.io has them. */
export async function makeDemoImages(registry: string, signal: AbortSignal): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'berth-demo-images-'))
  try {
    const debian = join(work, 'debian')
    await Promise.all([
      unpackDebian(['redis-server', 'busybox-static'], debian),
      compileStatic(
        join(import.meta.dirname, '../../charts-examples/guestbook/web/web.c'),
        join(work, 'web'),
      ),
    ])
    const system = { layers: [{ files: await busybox(debian) }] }
    for (const tag of ['latest', '1']) {
      const config = { Cmd: ['sh'], Env: [path] }
      await makeImage({ ...system, config, ref: `${registry}/library/busybox:${tag}`, signal })
    }
    await makeImage({
      layers: [...system.layers, { files: await redis(debian) }],
      config: { Cmd: ['redis-server'], Env: [path], ExposedPorts: { '6379/tcp': {} }, WorkingDir: '/data' },
      ref: `${registry}/library/redis:7`,
      signal,
    })
    for (const version of ['v1', 'v2']) {
      await makeImage({
        layers: [...system.layers, { files: { 'usr/bin/web': join(work, 'web') } }],
        config: { Entrypoint: ['/usr/bin/web'], Env: [path, `VERSION=${version}`], User: '65534:65534' },
        ref: `${registry}/library/guestbook-web:${version}`,
        signal,
      })
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const applets = [
  'sh',
  'cat',
  'echo',
  'env',
  'hostname',
  'id',
  'ls',
  'nslookup',
  'ping',
  'ps',
  'sleep',
  'true',
  'vi',
  'wget',
]

/** Debian's static busybox with its commonest names, and the files that every image has. */
async function busybox(debian: string): Promise<Record<string, LayerFile>> {
  const files: Record<string, LayerFile> = {
    'bin/busybox': await firstOf(debian, ['bin/busybox', 'usr/bin/busybox']),
    'etc/passwd': { content: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' },
    'etc/group': { content: 'root:x:0:\nnogroup:x:65534:\n' },
    tmp: { folder: true, mode: 0o1777 },
    root: { folder: true, mode: 0o700 },
  }
  for (const name of applets) files[`bin/${name}`] = { link: 'busybox' }
  return files
}

/** redis-server and redis-cli with every shared library of their Debian closure. */
async function redis(debian: string): Promise<Record<string, LayerFile>> {
  const files: Record<string, LayerFile> = { data: { folder: true }, var: { folder: true } }
  // In Debian redis-server is a link to the one program that is all of Redis' tools.
  files['usr/bin/redis-check-rdb'] = await firstOf(debian, ['usr/bin/redis-check-rdb'])
  files['usr/bin/redis-server'] = { link: 'redis-check-rdb' }
  files['usr/bin/redis-cli'] = await firstOf(debian, ['usr/bin/redis-cli'])
  const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  for (const folder of [`lib/${triplet}`, `usr/lib/${triplet}`, 'lib64', 'usr/lib64', 'lib']) {
    for (const name of await list(join(debian, folder))) {
      const file = join(debian, folder, name)
      if (/\.so(\.|$)/.test(name) && !name.includes('perl') && !(await lstat(file)).isDirectory()) {
        files[`${folder}/${name}`] = file
      }
    }
  }
  // Where Debian's /lib is a link to /usr/lib, programs still name their loader by the short path.
  for (const folder of ['lib', 'lib64']) {
    if (!Object.keys(files).some((name) => name.startsWith(`${folder}/`)))
      files[folder] = { link: `usr/${folder}` }
  }
  return files
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

async function firstOf(root: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const found = await lstat(join(root, name)).then(
      () => true,
      () => false,
    )
    if (found) return join(root, name)
  }
  throw new Error(`Debian's packages hold none of ${names.join(', ')}`)
}
