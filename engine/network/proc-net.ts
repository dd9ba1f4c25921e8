/**
 * The inode of the socket that has a port, in the text of /proc/net/{tcp,udp}, or their IPv6 twins (whose sockets
 * usually take IPv4 too). Of TCP only those that listen count.
 *
 *     sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 *      0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 …
 */
export function socketOn(
  table: string,
  wanted: { readonly address: number | undefined; readonly port: number; readonly listening: boolean },
): string | undefined {
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    const [address = '', port = ''] = local.split(':')
    if (Number.parseInt(port, 16) !== wanted.port || inode === undefined) continue
    if (wanted.listening && state !== '0A') continue
    const any = /^0+$/.test(address)
    if (any || wanted.address === undefined || hexAddress(wanted.address) === address.slice(-8)) return inode
  }
  return undefined
}

/** As /proc writes it on little-endian machines: 127.0.0.1 → 0100007F. */
function hexAddress(address: number): string {
  const swapped = [0, 8, 16, 24].map((shift) => ((address >>> shift) & 255).toString(16).padStart(2, '0'))
  return swapped.join('').toUpperCase()
}
