import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { peersPath } from '../conformance/peers.ts'
import { type Ran, TestDaemon } from '../tools/daemon.ts'

let daemon: TestDaemon
let file: string
let path: string
beforeAll(async () => {
  path = await peersPath()
  daemon = await TestDaemon.start()
  file = join(daemon.folder, 'kubeconfig')
})
afterAll(async () => {
  if (!daemon) return
  await daemon.berth(['system', 'reset', '--force', '--root', daemon.root, '--run', daemon.run])
  await daemon[Symbol.asyncDispose]()
})

const peer = (command: string, input = ''): Promise<Ran> =>
  daemon.exec(command.split(' '), { input, env: { KUBECONFIG: file, PATH: path, HOME: daemon.folder } })

async function ok(command: string, input?: string): Promise<string> {
  const { code, stdout, stderr } = await peer(command, input)
  expect(code, `${command}: ${stderr}`).toBe(0)
  return stdout
}

/** Listening TCP sockets of the daemon's namespace, without the registry's and the name server's. */
async function listeners(): Promise<readonly string[]> {
  const { stdout } = await daemon.exec(['cat', '/proc/net/tcp'])
  return stdout.split('\n').flatMap((line) => {
    const [, local = '', , state] = line.trim().split(/\s+/)
    const [address = '', port = ''] = local.split(':')
    const bytes = (address.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16))
    const number = Number.parseInt(port, 16)
    return state === '0A' && ![53, 5000].includes(number) ? [`${bytes.join('.')}:${number}`] : []
  })
}

const url = async () => /server: (\S+)/.exec(await readFile(file, 'utf8'))?.[1] ?? ''

const pod = `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: p, image: busybox, command: [sh, -c, "echo hello; sleep 1000"]}]
`

it('opens no TCP port before it is asked to', async () => {
  expect(await listeners()).toEqual([])
})

it('gives kubectl and helm all that they need', async () => {
  const { code, stdout, stderr } = await daemon.berth(['kubeconfig', '--output', file])
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
  expect(stderr).toContain(`export KUBECONFIG=${file}`)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await listeners()).toEqual([(await url()).replace('https://', '')])
  expect(await ok('kubectl apply -f -', pod)).toBe('pod/p created\n')
  await ok('kubectl wait pod/p --for condition=Ready --timeout 30s')
  expect(await ok('kubectl get pods')).toMatch(/^p +1\/1 +Running/m)
  expect(await ok('kubectl logs p')).toBe('hello\n')
  expect(await ok('kubectl exec p -- echo from inside')).toBe('from inside\n')
  expect(await ok('kubectl exec -i p -- wc -c', 'x'.repeat(100_000))).toBe('100000\n')
  expect((await peer('kubectl exec p -- sh -c false')).code).toBe(1)
  expect(await ok('helm list')).toMatch(/^NAME/)
})

it('lets nobody in without the certificate, and nobody to the key', async () => {
  const script = `require('node:https').get(process.argv[1], { rejectUnauthorized: false }, (answer) => answer.pipe(process.stdout))
    .on('error', () => process.exit(1))`
  const bare = await daemon.exec([process.execPath, '-e', script, `${await url()}/api/v1/secrets`])
  expect(bare).toMatchObject({ code: 1, stdout: '' })
  const raw = await peer('kubectl create --raw /berth/v1/kubeconfig -f -', '{}')
  expect(raw.code).toBe(1)
  expect(raw.stdout).not.toContain('client-key-data')
})

it('listens again after every kill, at the same address', async () => {
  const before = await url()
  await daemon.killDaemon()
  expect(await ok('kubectl get pods')).toMatch(/^p +1\/1 +Running/m)
  await daemon.stop('SIGKILL')
  await daemon.startAgain()
  expect(await ok('kubectl get pods')).toMatch(/^p +1\/1 +Running/m)
  const again = await daemon.berth(['kubeconfig'])
  expect(again.stdout).toBe(await readFile(file, 'utf8'))
  expect(await listeners()).toEqual([before.replace('https://', '')])
})

it('moves to the address that it is given, on loopback alone', async () => {
  const { code } = await daemon.berth(['kubeconfig', '--addr', '127.0.0.1:6443', '--output', file])
  expect(code).toBe(0)
  expect(await listeners()).toEqual(['127.0.0.1:6443'])
  expect(await ok('kubectl get pods -o name')).toBe('pod/p\n')
  await daemon.killDaemon()
  expect(await ok('kubectl get pods -o name')).toBe('pod/p\n')
  const taken = await daemon.berth(['kubeconfig', '--addr', '127.0.0.1:5000'])
  expect(taken).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('another program has that port'),
  })
  const open = await daemon.berth(['kubeconfig', '--addr', '0.0.0.0:6443'])
  expect(open).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('only on loopback') })
  expect((await daemon.berth(['kubeconfig', '--addr', '6443'])).code).toBe(64)
  expect(await ok('kubectl get pods -o name')).toBe('pod/p\n')
})

it('does not overwrite what leads elsewhere', async () => {
  const other = join(daemon.folder, 'other')
  await writeFile(other, 'kind: Config\ncontexts: [{name: production, context: {}}]\n')
  const { code, stderr } = await daemon.berth(['kubeconfig', '--output', other])
  expect(code).toBe(1)
  expect(stderr).toContain('it has the context "production"')
  expect(await readFile(other, 'utf8')).toContain('production')
})

it('starts without the listener when its port is taken meanwhile', async () => {
  await daemon.stop()
  const script = `require('node:net').createServer().listen(6443, '127.0.0.1', () => setTimeout(() => process.exit(), 4000))`
  const busy = daemon.exec([process.execPath, '-e', script])
  await expect.poll(listeners).toEqual(['127.0.0.1:6443'])
  await daemon.startAgain()
  expect(daemon.log).toContain('the API is not served over TCP')
  await busy
  expect((await daemon.berth(['kubeconfig'])).code).toBe(0)
  expect(await ok('kubectl get pods -o name')).toBe('pod/p\n')
})
