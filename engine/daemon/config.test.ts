import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function read(text: string) {
  const file = join(folder, 'config.json')
  await writeFile(file, text)
  return readConfig(file)
}

describe('configuration', () => {
  it('fills in what is not said', async () => {
    expect(
      await read(
        '{"network":{"domain":"a.b"},"registries":{"docker.io":{"mirrors":["http://127.0.0.1:5000"]}}}',
      ),
    ).toMatchObject({
      root: '/var/lib/berth',
      run: '/run/berth',
      network: { subnet: '10.210.0.0/16', domain: 'a.b' },
      registries: { 'docker.io': { mirrors: ['http://127.0.0.1:5000'] } },
    })
  })

  it('suggests for a key that it does not know', async () => {
    await expect(read('{"network":{"subnets":"10.0.0.0/8"}}')).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: 'Unknown key "network.subnets" in the configuration',
      hint: 'did you mean "subnet"?',
    })
  })

  it('names the place of a wrong value, and the line of what is no JSON', async () => {
    await expect(read('{"root":"var"}')).rejects.toMatchObject({
      code: 'CONFIGURATION',
      where: { path: 'root' },
    })
    await expect(read('{\n"root": "/a",\n}')).rejects.toMatchObject({
      code: 'CONFIGURATION',
      where: { line: 3 },
    })
  })

  it('wants a file that was named', async () => {
    await expect(readConfig(join(folder, 'none.json'))).rejects.toMatchObject({ code: 'CONFIGURATION' })
  })
})
