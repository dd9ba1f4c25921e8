/**
 * The real clients judge a whole daemon with real containers: docker, kubectl and helm; and kubectl the API alone.
 *
 *   npm run test:conformance [-- api docker kubectl helm]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestDaemon } from '../tools/daemon.ts'
import { hostTool } from '../tools/host-tool.ts'
import { serveApiAlone } from './api-alone.ts'
import { apiSteps } from './api-steps.ts'
import { dockerResourceSteps } from './docker-resource-steps.ts'
import { dockerSteps } from './docker-steps.ts'
import { helmSteps } from './helm-steps.ts'
import { peersPath } from './peers.ts'
import { podSteps } from './pod-steps.ts'
import { rolloutSteps } from './rollout-steps.ts'
import { type Count, performSteps, type Shell, type Step } from './steps.ts'

/** A step that hangs is ended after this. */
const stepSeconds = 120

const suites = ['api', 'docker', 'kubectl', 'helm'] as const
const asked = process.argv.slice(2)
const unknown = asked.find((name) => !suites.some((suite) => suite === name))
if (unknown !== undefined) throw new Error(`There is no suite "${unknown}", but ${suites.join(', ')}`)
const chosen = suites.filter((suite) => asked.length === 0 || asked.includes(suite))

// A step more, then everything that was started is removed.
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => interrupted.abort(new Error(`Ended by ${signal}`)))

const path = await peersPath()
const counts: Count[] = []
if (chosen.includes('api')) counts.push(await judgeApi())
if (chosen.some((suite) => suite !== 'api')) counts.push(...(await judgeDaemon()))
const total = (key: keyof Count) => counts.reduce((sum, count) => sum + count[key], 0)
console.log(`\n${total('passed')} passed, ${total('failed')} failed`)
process.exitCode = total('failed') === 0 ? 0 : 1

function judge(title: string, steps: readonly Step[], shell: Shell): Promise<Count> {
  return performSteps(title, steps, { shell, signal: interrupted.signal })
}

async function judgeApi(): Promise<Count> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-api-'))
  try {
    await using api = await serveApiAlone(folder)
    const kubeconfig = join(folder, 'kubeconfig')
    await writeFile(kubeconfig, kubeconfigOf(api.url))
    const env = { HOME: folder, KUBECONFIG: kubeconfig, PATH: path }
    const alone: Shell = async (command, { input = '' } = {}) => {
      const child = spawn('timeout', [String(stepSeconds), 'sh', '-c', command], { env })
      child.stdin.on('error', () => undefined)
      child.stdin.end(input)
      return ended(child)
    }
    return await judge('kubectl, the API alone', apiSteps, alone)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function judgeDaemon(): Promise<Count[]> {
  await using daemon = await TestDaemon.start()
  await using cleaning = new AsyncDisposableStack()
  // Steps that failed leave pods, whose containers cannot be removed one by one.
  cleaning.defer(async () => {
    await daemon.berth(['system', 'reset', '--force', '--root', daemon.root, '--run', daemon.run])
  })
  const work = join(daemon.folder, 'work')
  await mkdir(work)
  const inside = ['nsenter', `--net=${daemon.namespace}`, '--']
  const { stdout: kubeconfig, stderr } = await daemon.berth(['kubeconfig'])
  if (kubeconfig === '') throw new Error(`berth kubeconfig prints nothing: ${stderr}`)
  await writeFile(join(work, 'kubeconfig'), kubeconfig, { mode: 0o600 })
  const shell = (env: Readonly<Record<string, string>> = {}): Shell => {
    const all = {
      HOME: work,
      WORK: work,
      NODE: process.execPath,
      BERTH_RUN: daemon.run,
      KUBECONFIG: join(work, 'kubeconfig'),
      PATH: path,
      ...env,
    }
    return (command, options = {}) =>
      daemon.exec(['timeout', String(stepSeconds), 'sh', '-c', command], { ...options, env: all })
  }
  const found: Count[] = []
  if (chosen.includes('docker')) {
    await using peer = new AsyncDisposableStack()
    const dockerd = shell({ DOCKER_HOST: await startDockerd(peer, work, inside) })
    await dockerd('docker pull busybox')
    found.push(await judge('docker', [...dockerSteps(dockerd), ...dockerResourceSteps(dockerd)], shell()))
  }
  if (chosen.includes('kubectl')) found.push(await judge('kubectl', [...podSteps, ...rolloutSteps], shell()))
  if (chosen.includes('helm')) found.push(await judge('helm', helmSteps, shell()))
  return found
}

/** A real dockerd beside berth: it has the same registry, and no network, so that it changes no rule. */
async function startDockerd(
  stack: AsyncDisposableStack,
  work: string,
  inside: readonly string[],
): Promise<string> {
  const { file, env } = await hostTool('dockerd')
  const host = `unix://${join(work, 'dockerd.sock')}`
  const flags = {
    host,
    pidfile: join(work, 'dockerd.pid'),
    'data-root': join(work, 'dockerd'),
    'exec-root': join(work, 'dockerd-run'),
    'registry-mirror': 'http://127.0.0.1:5000',
    bridge: 'none',
    iptables: 'false',
  }
  const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  await started(stack, [...inside, file, ...argv], 'API listen on', env)
  return host
}

/** Starts a process that is ended with the stack; resolves when it has said a word. */
async function started(
  stack: AsyncDisposableStack,
  [program = '', ...args]: readonly string[],
  word: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  stack.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'close')
  })
  await new Promise<void>((resolve, reject) => {
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        text += chunk
        if (text.includes(word)) resolve()
      })
    }
    child.once('close', () => reject(new Error(`${program} ended before it said ${word}: ${text}`)))
  })
}

async function ended(child: ChildProcess): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code: Number(code), stdout, stderr }
}

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'alone', cluster: { server } }],
    contexts: [{ name: 'alone', context: { cluster: 'alone', user: '' } }],
    'current-context': 'alone',
  })
}
