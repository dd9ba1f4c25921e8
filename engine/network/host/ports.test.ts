import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { BerthError } from '../../base/error.ts'
import { HostPorts } from './ports.ts'

const port = (hostPort: number, hostIp = '') => ({ hostIp, hostPort, protocol: 'tcp' as const })

describe('ports of the host', () => {
  it('gives a port once, also to two who ask at the same moment', async () => {
    const ports = new HostPorts({ log: () => {} })
    const claims = await Promise.allSettled([ports.claim(port(8080)), ports.claim(port(8080, '127.0.0.1'))])
    expect(claims.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    await ports.release([port(8080)])
    await ports.release([port(8080)])
    await ports.claim(port(8080, '127.0.0.1'))
    await ports.claim(port(8080, '127.0.0.2'))
    expect(await ports.claim(port(0))).toEqual(port(49153))
    expect(await ports.claim(port(0))).toEqual(port(49154))
  })

  it('draws past ports that others hold, and gives up what could not be bound', async () => {
    const bound: number[] = []
    const holder = {
      bind: async (socket: { port: number }) => {
        if (socket.port < 49155) throw new BerthError('CONFLICT', 'in use')
        bound.push(socket.port)
      },
      release: async () => {},
    }
    const ports = new HostPorts({ holder, log: () => {} })
    expect(await ports.claim(port(0))).toEqual(port(49155))
    await expect(ports.claim(port(80))).rejects.toMatchObject({ code: 'CONFLICT' })
    await expect(ports.claim(port(80))).rejects.toThrow('in use')
    expect(bound).toEqual([49155])
  })

  it('names the service that has a port', async () => {
    const ports = new HostPorts({
      log: () => {},
      serviceOf: ({ hostPort }) => (hostPort === 80 ? 'shop/web' : undefined),
    })
    await Promise.all([ports.claim(port(80)), ports.claim(port(81))])
    await expect(ports.check([port(80)])).rejects.toThrow(
      expect.objectContaining({
        message: 'Cannot publish port 80/tcp: service "shop/web" has it',
        hint: expect.stringContaining('berth list'),
      }),
    )
    await expect(ports.claim(port(81))).rejects.toThrow('a container or service has it')
  })

  it('names the process that has a port', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const taken = (server.address() as AddressInfo).port
    const ports = new HostPorts({ log: () => {} })
    await expect(ports.check([port(taken)])).rejects.toThrow(
      new RegExp(`port ${taken}/tcp: process ".+" \\(PID ${process.pid}\\) has it`),
    )
    server.close()
    await once(server, 'close')
    await ports.check([port(taken), port(0)])
  })
})
