import { execFileSync, spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scaledMs } from '../../test/support/time.ts'
import type { BerthError } from '../base/error.ts'
import { Store } from './store.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'berth-crash-'))
  await writeFile(join(folder, 'writer.ts'), writer)
})
afterAll(() => rm(folder, { recursive: true }))

const quiet = { log: () => undefined, onFatal: () => undefined }
const storeUrl = new URL('./store.ts', import.meta.url).href

/** Writes as fast as it can and prints `name version` for each acknowledged write, `-name version` for a removal. */
const writer = `
import { writeSync } from 'node:fs'
import { Store } from '${storeUrl}'
const [folder, round] = process.argv.slice(2)
const store = await Store.open({ folder, log: () => {}, onFatal: (e) => { throw e } })
const say = (text) => writeSync(1, text + '\\n')
const ensure = store.objects.get({ groupKind: 'Namespace', namespace: '', name: 'default' })
if (!ensure) await store.objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } })
const records = store.collection('records')
for (let n = 0; ; n++) {
  const kind = n % 3 === 0 ? 'Event' : 'ConfigMap'
  const name = 'r' + round + '-' + n
  const write = async (m) => {
    const made = await store.objects.create({ apiVersion: 'v1', kind, metadata: { name: name + '-' + m, namespace: 'default' }, data: { n: 'x'.repeat(n % 700) } })
    say('+' + kind + '/' + made.metadata.name + ' ' + made.metadata.resourceVersion)
    if (m === 1) {
      const gone = await store.objects.delete({ groupKind: kind, namespace: 'default', name: made.metadata.name })
      say('-' + kind + '/' + made.metadata.name + ' ' + gone.object.metadata.resourceVersion)
    }
    if (m === 2) {
      await records.write({ put: { [name]: { version: made.metadata.resourceVersion } } })
      say('*' + name + ' 0')
    }
  }
  await Promise.all([0, 1, 2, 3].map(write))
}
`

async function killAfter(ms: number, storeFolder: string, round: number): Promise<string[]> {
  const child = spawn(process.execPath, [join(folder, 'writer.ts'), storeFolder, String(round)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    if (said.push(line) === 1) setTimeout(() => child.kill('SIGKILL'), ms)
  }
  return said
}

describe('a store whose process is killed', () => {
  it('has every acknowledged write, in order, after each of several kills', {
    timeout: scaledMs(60_000),
  }, async () => {
    const at = join(folder, 'killed')
    const present = new Map<string, number>()
    const records = new Set<string>()
    let highest = 0
    for (let round = 0; round < 6; round++) {
      const said = await killAfter(5 + Math.random() * 120, at, round)
      expect(said.length).toBeGreaterThan(0)
      for (const line of said) {
        const [what = '', version = ''] = line.split(' ')
        const name = what.slice(1)
        if (what[0] === '+') present.set(name, Number(version))
        else if (what[0] === '-') present.delete(name)
        else records.add(name)
        if (what[0] === '+') expect(Number(version)).toBeGreaterThan(highest)
      }
      await using store = await Store.open({ folder: at, ...quiet })
      for (const [id, version] of present) {
        const [groupKind = '', name = ''] = id.split('/')
        // A removal may be on disk before it could be acknowledged.
        const object = store.objects.get({ groupKind, namespace: 'default', name })
        if (!object && name.endsWith('-1')) present.delete(id)
        else expect(object?.metadata.resourceVersion, id).toBe(String(version))
      }
      for (const name of records) expect(store.collection('records').get(name), name).toBeDefined()
      for (const object of [...store.objects.list('ConfigMap'), ...store.objects.list('Event')]) {
        highest = Math.max(highest, Number(object.metadata.resourceVersion))
      }
    }
  })
})

describe('a store that fails', () => {
  it('rejects the write and calls onFatal once', async () => {
    const at = join(folder, 'fails')
    const fatal: BerthError[] = []
    const store = await Store.open({ folder: at, log: () => undefined, onFatal: (e) => fatal.push(e) })
    await store.collection('a').write({ put: { x: 1 } })
    const other = new DatabaseSync(join(at, 'berth.sqlite'))
    other.exec('DROP TABLE records')
    other.close()
    const first = store.collection('a').write({ put: { x: 2 } })
    await expect(first).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(store.collection('a').write({ put: { x: 3 } })).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(store.objects.settled()).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(fatal).toHaveLength(1)
    await store.close()
  })

  it('says that the disk is full, and has what it acknowledged when there is space again', async () => {
    const at = join(folder, 'full')
    await mkdir(at)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'berth-test', at])
    try {
      const fatal: BerthError[] = []
      const store = await Store.open({ folder: at, log: () => undefined, onFatal: (e) => fatal.push(e) })
      const acknowledged: string[] = []
      const fill = async () => {
        for (let n = 0; ; n++) {
          await store.collection('a').write({ put: { [`k${n}`]: 'x'.repeat(20_000) } })
          acknowledged.push(`k${n}`)
        }
      }
      await expect(fill()).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(fatal).toHaveLength(1)
      await store.close()
      execFileSync('mount', ['-o', 'remount,size=64m', at])
      await using again = await Store.open({ folder: at, ...quiet })
      expect(acknowledged.length).toBeGreaterThan(10)
      for (const key of acknowledged) expect(again.collection('a').get(key), key).toBeDefined()
    } finally {
      execFileSync('umount', ['--lazy', at])
    }
  })

  it('refuses a file that is no database, and one of a newer layout', async () => {
    const broken = join(folder, 'broken')
    await (await Store.open({ folder: broken, ...quiet })).close()
    const file = join(broken, 'berth.sqlite')
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version=999')
    database.close()
    await expect(Store.open({ folder: broken, ...quiet })).rejects.toThrow(/newer version of berth/)
    await writeFile(file, 'not a database '.repeat(400))
    await expect(Store.open({ folder: broken, ...quiet })).rejects.toThrow(/Cannot open the store/)
  })
})
