/** What the demo sees of the machine and asks of the APIs: processes, containers, services. */
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import type { Stage } from './stage.ts'

/** A GET on the daemon's socket, as JSON. */
export function apiGet(stage: Stage, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: `${stage.run}/berth.sock`, path, timeout: 10_000 }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        if (response.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`GET ${path} answered ${response.statusCode}: ${text.slice(0, 200)}`))
      })
    })
    call.on('timeout', () => call.destroy(new Error(`GET ${path} got no answer`)))
    call.on('error', reject)
    call.end()
  })
}

/** The ClusterIP of a service in the namespace `default`. */
export async function clusterIp(stage: Stage, service: string): Promise<string> {
  const object = (await apiGet(stage, `/api/v1/namespaces/default/services/${service}`)) as {
    spec: { clusterIP: string }
  }
  return object.spec.clusterIP
}

export interface RunningContainer {
  readonly id: string
  readonly name: string
  readonly pid: number
}

/** Running containers whose name contains `part`, with the process of each as the host sees it. */
export async function containers(stage: Stage, part: string): Promise<RunningContainer[]> {
  const list = (await apiGet(stage, '/v1.47/containers/json')) as { Id: string; Names: string[] }[]
  const matching = list.filter(({ Names }) => Names.some((name) => name.includes(part)))
  return Promise.all(
    matching.map(async ({ Id, Names }) => {
      const { State } = (await apiGet(stage, `/v1.47/containers/${Id}/json`)) as { State: { Pid: number } }
      return { id: Id, name: Names[0] ?? '', pid: State.Pid }
    }),
  )
}

/** Whether a process is there and not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3) !== 'Z'
  } catch {
    return false
  }
}

/** The children of a process. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => {
      try {
        const text = readFileSync(`/proc/${candidate}/stat`, 'utf8')
        return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]) === pid
      } catch {
        return false
      }
    })
}

/** A TCP port of 127.0.0.1 that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
