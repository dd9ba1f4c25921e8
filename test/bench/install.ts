import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeFile } from './compose.ts'
import { type Contender, compete, lines } from './measure.ts'
import type { World } from './world.ts'

const rounds = 3

/** The guestbook from nothing but pulled images until ready, against `docker compose up --wait` of the same containers. */
export async function measureInstall(world: World): Promise<string[]> {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await world.berth()
  const chart = join(import.meta.dirname, '../../charts-examples/guestbook')
  const must = async (args: readonly string[]): Promise<void> => {
    const { code, stderr } = await daemon.berth(args)
    if (code !== 0) throw new Error(`berth ${args.join(' ')}: ${stderr}`)
  }
  const contenders: Contender[] = [
    {
      name: 'berth install --wait',
      once: () => must(['install', 'guestbook', chart, '--wait']),
      after: () => must(['uninstall', 'guestbook', '--wait']),
    },
  ]
  const { socket, run } = await world.dockerd()
  const folder = await mkdtemp(join(tmpdir(), 'bi-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'compose.yaml')
  await writeFile(file, composition)
  const program = await composeFile()
  const compose = (...args: string[]): Promise<void> =>
    run([program, '--file', file, '--project-name', 'guestbook', ...args], {
      DOCKER_HOST: `unix://${socket}`,
      DOCKER_CONFIG: folder,
    })
  contenders.push({
    name: 'docker compose up --wait',
    once: () => compose('up', '--detach', '--wait', '--quiet-pull'),
    after: () => compose('down', '--timeout', '1'),
  })
  return [
    'the guestbook (Redis, then two web containers) until ready, images pulled',
    ...lines(await compete(contenders, rounds, { warmUp: 1 })),
  ]
}

/** What the chart's App says, in compose's words. A health check each second is the shortest that both know. */
const composition = `services:
  web:
    image: guestbook-web:v1
    deploy: {replicas: 2}
    ports: ["80"]
    environment: {REDIS_URL: "redis://redis:6379", TOKEN: 0123456789abcdef0123456789abcdef}
    depends_on: {redis: {condition: service_healthy}}
    healthcheck: {test: [CMD, busybox, wget, -qO-, "http://127.0.0.1:8080/healthz"], interval: 1s}
  redis:
    image: redis:7
    command: [redis-server, --dir, /data, --appendonly, "yes", --bind, 0.0.0.0, --protected-mode, "no"]
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s}
    volumes: [data:/data]
volumes: {data: {}}
`
