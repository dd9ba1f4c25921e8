import { expect, it } from 'vitest'
import { forward } from './upstream.ts'

it('has no answer from a server that there is no way to', async () => {
  // Connecting to the broadcast address is refused at once, as it is without a route.
  const servers = [{ address: '255.255.255.255', port: 53 }]
  const { signal } = new AbortController()
  expect(await forward(Buffer.alloc(12), servers, { transport: 'udp', signal })).toBeUndefined()
})
