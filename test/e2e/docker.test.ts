import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestDaemon } from '../tools/daemon.ts'
import { hostTool } from '../tools/host-tool.ts'

let daemon: TestDaemon
let docker = ''
beforeAll(async () => {
  docker = (await hostTool('docker')).file
  daemon = await TestDaemon.start()
})
afterAll(() => daemon?.[Symbol.asyncDispose]())

const run = (...args: string[]) => daemon.exec([docker, ...args])
const ok = async (...args: string[]) => {
  const { code, stdout, stderr } = await run(...args)
  expect(code, `docker ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout.trim()
}

/** Docker's own client is the judge of docker.sock. */
describe('docker', () => {
  it('pulls, runs, logs, inspects and removes', async () => {
    expect(await ok('pull', 'busybox')).toContain('Status: Downloaded newer image for busybox:latest')
    const id = await ok(
      'run',
      '-d',
      '--name',
      'dd',
      'busybox',
      'sh',
      '-c',
      'echo out; echo err >&2; sleep 100',
    )
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect(await ok('ps', '--format', '{{.ID}} {{.Image}} {{.Names}}')).toBe(`${id.slice(0, 12)} busybox dd`)
    await expect.poll(() => run('logs', 'dd')).toEqual({ code: 0, stdout: 'out\n', stderr: 'err\n' })
    expect(await ok('inspect', '-f', '{{.State.Status}} {{.Config.Image}}', 'dd')).toBe('running busybox')
    expect((await run('exec', 'dd', 'sh', '-c', 'exit 3')).code).toBe(3)
    expect((await run('exec', 'dd', 'nosuch')).code).toBe(127)
    expect(await ok('top', 'dd')).toContain('sleep 100')
    expect((await run('rm', 'dd')).code).not.toBe(0)
    expect(await ok('rm', '-f', 'dd')).toBe('dd')
  })

  it('has its exit codes, with --rm too', async () => {
    expect((await run('run', '--rm', 'busybox', 'sh', '-c', 'exit 7')).code).toBe(7)
    expect((await run('run', '--rm', 'busybox', 'nosuch')).code).toBe(127)
    expect((await run('run', '--rm', 'busybox', '/etc/passwd')).code).toBe(126)
    expect(await ok('ps', '-aq')).toBe('')
  })

  it('passes input on to its end', async () => {
    expect(
      (
        await daemon.exec([docker, 'run', '-i', '--rm', 'busybox', 'wc', '-c'], {
          input: 'x'.repeat(200_000),
        })
      ).stdout,
    ).toBe('200000\n')
  })

  it('has networks and volumes', async () => {
    await ok('network', 'create', 'n')
    await ok('volume', 'create', 'vol')
    await ok('run', '-d', '--name', 'n1', '--network', 'n', '-v', 'vol:/v', 'busybox', 'sleep', '100')
    expect(await ok('run', '--rm', '--network', 'n', 'busybox', 'ping', '-c1', '-W2', 'n1')).toContain(
      '1 packets received',
    )
    await ok('network', 'disconnect', 'n', 'n1')
    await ok('network', 'connect', 'n', 'n1')
    expect(await ok('network', 'inspect', '-f', '{{range .Containers}}{{.Name}}{{end}}', 'n')).toBe('n1')
    expect((await run('volume', 'rm', 'vol')).stderr).toContain('volume is in use')
    await ok('rm', '-f', 'n1')
    await ok('network', 'rm', 'n')
    await ok('volume', 'rm', 'vol')
  })

  it('waits, and tells of itself', async () => {
    await ok('create', '--name', 'ee', 'busybox', 'true')
    await ok('start', 'ee')
    expect(await ok('wait', 'ee')).toBe('0')
    await ok('rm', 'ee')
    expect(await ok('version', '-f', '{{.Server.APIVersion}}')).toBe('1.47')
    expect(await ok('info', '-f', '{{.Driver}}')).toBe('overlay2')
  })
})
