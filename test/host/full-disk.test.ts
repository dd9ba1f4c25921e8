import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestDaemon } from '../tools/daemon.ts'

let place: string
let disk: string
let daemon: TestDaemon

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'bfd-'))
  disk = join(place, 'disk')
  const script =
    'truncate -s 24M "$1/image" && mkfs.ext4 -q -m 0 "$1/image" && mkdir "$1/disk" && mount -o loop "$1/image" "$1/disk"'
  execFileSync('sh', ['-ec', script, 'sh', place])
  daemon = await TestDaemon.start({ root: join(disk, 'root') })
})
afterAll(async () => {
  await empty()
  await daemon?.berth(['uninstall', 'shop', '--ignore-not-found', '--wait'])
  await daemon?.[Symbol.asyncDispose]()
  execFileSync('umount', [disk])
  await rm(place, { recursive: true, force: true })
})

/** Fills the disk until so many bytes are free. */
async function fill(leaveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(disk)
  const size = bavail * bsize - leaveBytes
  if (size > 0) execFileSync('fallocate', ['-l', String(size), join(disk, 'filler')])
}

/** To the last byte: fallocate leaves what its own extents might need. */
async function fillWhole(): Promise<void> {
  await fill(1 << 20)
  const error = await writeFile(join(disk, 'filler-rest'), Buffer.alloc(2 << 20)).catch((e) => e)
  expect(error).toMatchObject({ code: 'ENOSPC' })
}

async function empty(): Promise<void> {
  for (const name of ['filler', 'filler-rest']) await rm(join(disk, name), { force: true })
}

describe('a full disk', () => {
  it('is told by a pull, which works when space is free again', async () => {
    await fill(700_000)
    const { code, stderr } = await daemon.berth(['pull', 'busybox'])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('the disk is full') })
    await empty()
    expect(await daemon.berth(['pull', 'busybox'])).toMatchObject({ code: 0 })
  })

  it('during a change of a release ends it with an error; what runs goes on, and all works again later', {
    timeout: 120_000,
  }, async () => {
    const chart = join(place, 'chart')
    execFileSync('mkdir', ['-p', join(chart, 'templates')])
    await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: shop\nversion: 0.1.0\n')
    await writeFile(
      join(chart, 'templates/app.yaml.hbs'),
      `
apiVersion: berth.dev/v1
kind: App
metadata: {name: shop}
spec:
  services:
    web:
      image: busybox
      command: [sh, -c, "trap 'exit 0' TERM; sleep 10000 & wait"]
      env: {VERSION: {{quote Values.version}} }
`,
    )
    const upgrade = (version: string, timeout = '60s') =>
      daemon.berth([
        'upgrade',
        '--install',
        'shop',
        chart,
        '--set',
        `version=${version}`,
        '--wait',
        '--timeout',
        timeout,
      ])
    const pids = async () => {
      const { stdout } = await daemon.berth(['ps', '-q'])
      const found = await daemon.berth(['inspect', '-f', '{{.State.Pid}}', ...stdout.trim().split('\n')])
      return found.stdout.trim()
    }
    expect(await upgrade('v1')).toMatchObject({ code: 0 })
    const before = await pids()
    await fillWhole()
    // What was given back a moment ago is used up first.
    let failed = await daemon.berth(['volume', 'create', 'v0'])
    for (let i = 1; i < 100 && failed.code === 0; i++)
      failed = await daemon.berth(['volume', 'create', `v${i}`])
    expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('disk is full') })
    // A commit fails, or, while the database's log has room, what the new pod needs. A command that is cut because the
    // daemon of the last failure ends in that moment says so; the next one is told of the disk.
    let refused = await upgrade('v2', '10s')
    for (let i = 0; i < 5 && refused.stderr.includes('ECONNRESET'); i++) refused = await upgrade('v2', '10s')
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/disk is full|no space left/),
    })
    process.kill(Number(before), 0)
    await empty()
    // The daemon whose commit failed last may still tell of it; the next one works.
    await expect
      .poll(async () => (await daemon.berth(['volume', 'create', 'again'])).code, { timeout: 20_000 })
      .toBe(0)
    expect(await upgrade('v3')).toMatchObject({ code: 0 })
    expect(JSON.parse((await daemon.berth(['history', 'shop', '-o', 'json'])).stdout).at(-1)).toMatchObject({
      status: 'deployed',
    })
    expect(await daemon.berth(['uninstall', 'shop', '--wait'])).toMatchObject({ code: 0 })
  })
})
