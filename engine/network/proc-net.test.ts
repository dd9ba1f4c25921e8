import { describe, expect, it } from 'vitest'
import { socketOn } from './proc-net.ts'

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 0
   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 888 1 0000000000000000 20 4 30 10 -1
`
const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 999 1 0000000000000000 100 0 0 10 0
`

describe('proc-net', () => {
  const on = (port: number, address?: number, listening = true) => socketOn(tcp, { port, address, listening })

  it('finds who listens on a port, on the address or on all', () => {
    expect(on(8080, 0x7f000001)).toBe('12345')
    expect(on(8080)).toBe('12345')
    expect(on(8080, 0xc0000201)).toBeUndefined()
    expect(on(22, 0xc0000201)).toBe('777')
    expect(on(0xd431)).toBeUndefined()
    expect(on(0xd431, undefined, false)).toBe('888')
    expect(socketOn(tcp6, { port: 8081, address: 0x7f000001, listening: true })).toBe('999')
    expect(socketOn('', { port: 1, address: undefined, listening: true })).toBeUndefined()
  })
})
