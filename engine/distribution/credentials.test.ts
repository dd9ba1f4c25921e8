import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  dockerConfigFile,
  eraseCredentials,
  findCredentials,
  helmRegistryConfigFile,
  storeCredentials,
} from './credentials.ts'

let folder: string
let file: string
const path = process.env.PATH
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-credentials-'))
  file = join(folder, 'deep', 'config.json')
})
afterEach(async () => {
  process.env.PATH = path
  await rm(folder, { recursive: true, force: true })
})

describe('credentials', () => {
  it('are stored as docker stores them, found and erased', async () => {
    expect(await findCredentials('r:5000', [file])).toBeUndefined()
    await storeCredentials(file, 'r:5000', { username: 'me', password: 'a:b' })
    await storeCredentials(file, 'docker.io', { username: 'hub', password: 'x' })
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({
      auths: {
        'r:5000': { auth: Buffer.from('me:a:b').toString('base64') },
        'https://index.docker.io/v1/': { auth: Buffer.from('hub:x').toString('base64') },
      },
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await findCredentials('r:5000', ['/nowhere', file])).toEqual({ username: 'me', password: 'a:b' })
    expect(await findCredentials('docker.io', [file])).toEqual({ username: 'hub', password: 'x' })
    expect(await eraseCredentials(file, 'r:5000')).toBe(true)
    expect(await eraseCredentials(file, 'r:5000')).toBe(false)
  })

  it('keep what else is in the file, and refuse a broken one', async () => {
    file = join(folder, 'config.json')
    await writeFile(file, '{"psFormat":"x","auths":{"https://old.example/v2/":{"identitytoken":"t"}}}')
    await storeCredentials(file, 'r', { username: 'a', password: 'b' })
    expect(JSON.parse(await readFile(file, 'utf8')).psFormat).toBe('x')
    expect(await findCredentials('old.example', [file])).toEqual({ identityToken: 't' })
    await writeFile(file, '{')
    await expect(findCredentials('r', [file])).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('come from helper programs', async () => {
    file = join(folder, 'config.json')
    const helper = join(folder, 'docker-credential-test')
    await writeFile(
      helper,
      `#!/bin/sh
read -r host
case "$1 $host" in
  "get r") echo '{"ServerURL":"r","Username":"u","Secret":"s"}' ;;
  "get token") echo '{"Username":"<token>","Secret":"refresh"}' ;;
  "get bad") echo 'it is locked'; exit 1 ;;
  store*) echo "$host" > "${folder}/stored" ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`,
    )
    await chmod(helper, 0o755)
    process.env.PATH = `${folder}${delimiter}${path}`
    await writeFile(file, '{"credsStore":"test","credHelpers":{"other":"missing"}}')
    expect(await findCredentials('r', [file])).toEqual({ username: 'u', password: 's' })
    expect(await findCredentials('token', [file])).toEqual({ identityToken: 'refresh' })
    expect(await findCredentials('none', [file])).toBeUndefined()
    await expect(findCredentials('bad', [file])).rejects.toThrow('it is locked')
    await expect(findCredentials('other', [file])).rejects.toThrow('docker-credential-missing')
    await storeCredentials(file, 'new', { username: 'a', password: 'p' })
    expect(JSON.parse(await readFile(join(folder, 'stored'), 'utf8'))).toEqual({
      ServerURL: 'new',
      Username: 'a',
      Secret: 'p',
    })
    expect(await readFile(file, 'utf8')).not.toContain('cA==')
  })

  it('lie where docker and helm look', () => {
    expect(dockerConfigFile({ DOCKER_CONFIG: '/d' })).toBe('/d/config.json')
    expect(helmRegistryConfigFile({ HELM_REGISTRY_CONFIG: '/h.json' })).toBe('/h.json')
    expect(helmRegistryConfigFile({ XDG_CONFIG_HOME: '/x' })).toBe('/x/helm/registry/config.json')
  })
})
