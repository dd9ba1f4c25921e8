import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TestDaemon } from '../tools/daemon.ts'

let daemon: TestDaemon
beforeAll(async () => {
  daemon = await TestDaemon.start()
})
afterAll(() => daemon?.[Symbol.asyncDispose]())

const berth = (...args: string[]) => daemon.berth(args)
const ok = async (...args: string[]) => {
  const { code, stdout, stderr } = await daemon.berth(args)
  expect(code, `berth ${args.join(' ')}: ${stderr}`).toBe(0)
  return stdout.trim()
}

describe('berth run', () => {
  it('pulls what is missing, runs it and removes it', async () => {
    const { code, stdout, stderr } = await berth('run', '--rm', 'busybox', 'echo', 'hi')
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'hi\n' })
    expect(stderr).toContain("Unable to find image 'busybox:latest' locally")
    expect(await ok('ps', '-aq')).toBe('')
    expect(await ok('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe('busybox:latest')
  })

  it("has the program's exit code, and docker's for what cannot run", async () => {
    expect((await berth('run', '--rm', 'busybox', 'sh', '-c', 'exit 7')).code).toBe(7)
    expect((await berth('run', '--rm', 'busybox', 'nosuch')).code).toBe(127)
    expect((await berth('run', '--rm', 'busybox', '/etc/passwd')).code).toBe(126)
    expect((await berth('run', '--rm', 'nosuchimage')).code).toBe(125)
    expect((await berth('run', '--nosuchflag', 'busybox')).code).toBe(125)
  })

  it('passes input on and keeps stdout and stderr apart', async () => {
    const run = ['run', '-i', '--rm', 'busybox', 'sh', '-c', 'cat; echo err >&2']
    expect(await daemon.berth(run, { input: 'in\n' })).toEqual({ code: 0, stdout: 'in\n', stderr: 'err\n' })
  })

  it('gives a terminal', async () => {
    const command = `${join(import.meta.dirname, '../../cli/berth')} run --rm -it busybox sh -c 'tty; exit 3'`
    const { code, stdout } = await daemon.exec(['script', '-qec', command, '/dev/null'])
    expect(stdout).toContain('/dev/pts/0')
    expect(code).toBe(3)
  })

  it('sets environment, folder, user, limits', async () => {
    const flags = [
      '-e',
      'A=1',
      '-w',
      '/tmp',
      '-u',
      'nobody',
      '-m',
      '64m',
      '--pids-limit',
      '50',
      '--hostname',
      'h',
    ]
    const out = await ok('run', '--rm', ...flags, 'busybox', 'sh', '-c', 'echo $A $PWD $(id -u) $(hostname)')
    expect(out).toBe('1 /tmp 65534 h')
  })
})

describe('life of a container', () => {
  it('starts again with what it had written', async () => {
    await ok('run', '-d', '--name', 'life', 'busybox', 'sh', '-c', 'cat /f; echo written > /f; sleep 100')
    expect(await ok('ps', '--format', '{{.Names}} {{.State}}')).toBe('life running')
    expect(await ok('stop', '-t', '0', 'life')).toBe('life')
    expect(await ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'life')).toBe('exited 137')
    await ok('start', 'life')
    await expect.poll(() => ok('logs', 'life')).toContain('written')
    expect((await berth('rm', 'life')).code).toBe(1)
    await ok('rm', '-f', 'life')
  })

  it('runs further commands in it', async () => {
    await ok('run', '-d', '--name', 'ex', 'busybox', 'sleep', '100')
    expect((await berth('exec', 'ex', 'sh', '-c', 'exit 4')).code).toBe(4)
    expect((await berth('exec', 'ex', 'nosuch')).code).toBe(127)
    expect((await daemon.berth(['exec', '-i', 'ex', 'cat'], { input: 'x' })).stdout).toBe('x')
    await ok('rm', '-f', 'ex')
  })

  it('shows its launch plan', async () => {
    await ok('run', '-d', '--name', 'plan', 'busybox', 'sleep', '100')
    expect(await ok('inspect', '--plan', 'plan')).toMatch(/pivot[\s\S]*exec/)
    await ok('rm', '-f', 'plan')
  })

  it('publishes ports and mounts volumes', async () => {
    await ok(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '8080:80',
      '-v',
      'data:/www',
      'busybox',
      'sh',
      '-c',
      'echo hello > /www/f; httpd -f -h /www',
    )
    const get = () => fetchInside('/f')
    await expect.poll(get).toContain('hello')
    expect(await ok('ps', '--format', '{{.Ports}}')).toBe('0.0.0.0:8080->80/tcp')
    expect((await berth('volume', 'rm', 'data')).stderr).toContain('volume is in use')
    await ok('rm', '-f', 'web')
    expect(await readFile(join(daemon.root, 'volumes/data/_data/f'), 'utf8')).toBe('hello\n')
    await ok('volume', 'rm', 'data')
  })

  it('finds others by name on a network', async () => {
    await ok('network', 'create', 'net')
    await ok(
      'run',
      '-d',
      '--name',
      'peer',
      '--network',
      'net',
      '--network-alias',
      'other',
      'busybox',
      'sleep',
      '100',
    )
    const ping = (name: string) =>
      ok('run', '--rm', '--network', 'net', 'busybox', 'ping', '-c1', '-W2', name)
    expect(await ping('peer')).toContain('1 packets received')
    expect(await ping('other')).toContain('1 packets received')
    expect(
      await ok('network', 'inspect', '-f', '{{range .Containers}}{{.Name}} {{.Interface}}{{end}}', 'net'),
    ).toMatch(/^peer bv[0-9a-f]{12}$/)
    expect((await berth('network', 'rm', 'net')).stderr).toContain('active endpoints (peer)')
    await ok('rm', '-f', 'peer')
    await ok('network', 'rm', 'net')
  })
})

describe('names at the wrong level', () => {
  it('are told with the right verb', async () => {
    await ok('run', '--name', 'done', 'busybox', 'true')
    expect((await berth('rm', 'busybox')).stderr).toContain('hint   berth rmi busybox')
    expect((await berth('rmi', 'done')).stderr).toContain('hint   berth rm done')
    expect((await berth('run', 'done')).stderr).toContain('hint   berth start done')
    await ok('rm', 'done')
  })
})

describe('recovery', () => {
  it('keeps containers when the daemon is killed, and when keeper and daemon end', async () => {
    await ok('run', '-d', '--name', 'live', '-p', '8081:80', 'busybox', 'httpd', '-f')
    const pid = () => ok('inspect', '-f', '{{.State.Pid}}', 'live')
    const before = await pid()
    await daemon.killDaemon()
    expect(await pid()).toBe(before)
    expect((await berth('exec', 'live', 'true')).code).toBe(0)
    await daemon.stop()
    expect(await readFile(`/proc/${before}/comm`, 'utf8')).toBe('httpd\n')
    await daemon.startAgain()
    expect(await pid()).toBe(before)
    await ok('rm', '-f', 'live')
  })

  it('finds what ended, and what runs, after keeper and daemon were killed', async () => {
    await ok('run', '-d', '--name', 'on', 'busybox', 'sleep', '100')
    await ok('run', '-d', '--name', 'off', 'busybox', 'sh', '-c', 'sleep 1; exit 5')
    const pid = await ok('inspect', '-f', '{{.State.Pid}}', 'on')
    await daemon.stop('SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await daemon.startAgain()
    expect(await ok('inspect', '-f', '{{.State.Pid}} {{.State.Status}}', 'on')).toBe(`${pid} running`)
    expect(await ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'off')).toBe('exited 5')
    await ok('rm', '-f', 'on', 'off')
  })
})

async function fetchInside(path: string): Promise<string> {
  const script = `fetch('http://127.0.0.1:8080${path}').then((r) => r.text()).then(console.log, () => process.exit(1))`
  return (await daemon.exec([process.execPath, '-e', script])).stdout
}
