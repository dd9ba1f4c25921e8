import { describe, expect, it } from 'vitest'
import { socketsOn } from './port-owner.ts'

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0
   2: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0
`

describe('socketsOn', () => {
  const on = (hostIp: string, hostPort: number) => socketsOn(table, { hostIp, hostPort, listening: true })

  it('finds who listens on an address that meets the asked one', () => {
    expect(on('', 8080)).toEqual(['111'])
    expect(on('127.0.0.1', 8080)).toEqual(['111'])
    expect(on('10.0.0.1', 8080)).toEqual([])
    expect(on('10.0.0.1', 80)).toEqual(['222'])
    expect(on('', 81)).toEqual([])
  })
})
