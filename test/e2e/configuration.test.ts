import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { TestDaemon } from '../tools/daemon.ts'

let daemon: TestDaemon
beforeAll(async () => {
  daemon = await TestDaemon.start()
})
afterAll(() => daemon?.[Symbol.asyncDispose]())

const mirror = (port: number) => ({ 'docker.io': { mirrors: [`http://127.0.0.1:${port}`] } })

/** Writes the file, tells the keeper, and gives what the daemon says until it says `word`. */
async function change(text: string, word: string): Promise<string> {
  await writeFile(join(daemon.folder, 'config.json'), text)
  const before = daemon.log.length
  const status = await readFile(`/proc/${await daemon.daemonPid()}/status`, 'utf8')
  process.kill(Number(/^PPid:\s*(\d+)/m.exec(status)?.[1]), 'SIGHUP')
  await expect.poll(() => daemon.log.slice(before), { timeout: 10_000 }).toContain(word)
  return daemon.log.slice(before)
}

/** The status of a request to the embedded registry, from inside the daemon's namespace. */
async function ask(method: string, path: string, auth = ''): Promise<string> {
  const script = `const [method, path, authorization] = process.argv.slice(1)
    fetch('http://127.0.0.1:5001' + path, { method, headers: authorization ? { authorization } : {} })
      .then((answer) => console.log(answer.status), () => console.log('nobody'))`
  return (await daemon.exec([process.execPath, '-e', script, method, path, auth])).stdout.trim()
}

it('is read again on SIGHUP: a registry begins to listen, anyone may read and who has the credentials write', async () => {
  expect(await ask('GET', '/v2/')).toBe('nobody')
  const config = {
    registries: mirror(5000),
    registry: { address: '127.0.0.1:5001' },
    network: { domain: 'a.b' },
  }
  const said = await change(JSON.stringify(config), 'take effect at the next start')
  expect(said).toContain('"message":"the registry listens"')
  expect(said).toContain('"changed":["registry"]')
  expect(said).toContain('"keys":["network"]')
  const file = join(daemon.root, 'registry/credentials')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { username, password } = JSON.parse(await readFile(file, 'utf8'))
  const auth = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  expect(await ask('GET', '/v2/library/x/tags/list')).toBe('404')
  expect(await ask('POST', '/v2/library/x/blobs/uploads/')).toBe('401')
  expect(await ask('POST', '/v2/library/x/blobs/uploads/', auth)).toBe('202')
})

it('that is wrong changes nothing', async () => {
  const said = await change(
    '{"registry": {"adress": "127.0.0.1:5001"}}',
    'the changed configuration is wrong; the daemon goes on with the old one',
  )
  expect(said).toContain('registry')
  expect(await ask('GET', '/v2/library/x/tags/list')).toBe('404')
})

it('changes mirrors of the next pull', async () => {
  const read = 'the configuration was read again'
  await change(JSON.stringify({ registries: mirror(1) }), read)
  expect((await daemon.berth(['pull', 'busybox'])).code).not.toBe(0)
  await change(JSON.stringify({ registries: mirror(5000) }), read)
  expect(await daemon.berth(['pull', 'busybox'])).toMatchObject({ code: 0 })
})

it('without a registry ends it; at the start one with a port in use is no reason not to start', async () => {
  expect(await ask('GET', '/v2/')).toBe('nobody')
  await daemon.stop()
  const config = { registries: mirror(5000), registry: { address: '127.0.0.1:5000' } }
  await writeFile(join(daemon.folder, 'config.json'), JSON.stringify(config))
  await daemon.startAgain()
  expect(daemon.log).toContain('Cannot listen on 127.0.0.1:5000: another program does')
  await change(JSON.stringify({ ...config, registry: { address: '127.0.0.1:5001' } }), 'the registry listens')
  await daemon.killDaemon()
  expect(await ask('GET', '/v2/library/x/tags/list')).toBe('404')
})
