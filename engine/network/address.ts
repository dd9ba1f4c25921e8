import { BerthError } from '../base/error.ts'

/** A range of IPv4 addresses; `base` has no bits below the prefix. Addresses are unsigned 32-bit numbers. */
export interface Subnet {
  readonly base: number
  readonly prefixLength: number
}

/** `10.210.0.5` as a number. Throws INVALID. */
export function parseIpv4(text: string): number {
  const match = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/.exec(text)
  const parts = match?.slice(1).map(Number)
  if (!parts || parts.some((part) => part > 255)) {
    throw new BerthError('INVALID', `Cannot read ${JSON.stringify(text)} as an IPv4 address`, {
      hint: 'write four numbers from 0 to 255, such as 10.210.0.5',
    })
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

/** Whether the text is an IPv4 address in its usual form. */
export function isIpv4(text: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(text) && text.split('.').every((part) => Number(part) <= 255)
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

/** Four bytes in network order. */
export function ipv4Bytes(address: number): Uint8Array {
  return Uint8Array.of(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255)
}

/** `10.210.0.0/16`; bits below the prefix are cut off. Throws INVALID. */
export function parseSubnet(text: string): Subnet {
  const [address = '', prefix = ''] = text.split('/', 2)
  if (!/^\d{1,2}$/.test(prefix) || Number(prefix) > 32 || Number(prefix) < 1) {
    throw new BerthError('INVALID', `Cannot read ${JSON.stringify(text)} as a subnet`, {
      hint: 'write an address and a prefix length, such as 10.210.0.0/16',
    })
  }
  const prefixLength = Number(prefix)
  return { base: (parseIpv4(address) & maskOf(prefixLength)) >>> 0, prefixLength }
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatIpv4(subnet.base)}/${subnet.prefixLength}`
}

/** The network mask: 16 → 255.255.0.0. */
export function maskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0
}

/** How many addresses: /24 → 256. */
export function sizeOf(subnet: Subnet): number {
  return 2 ** (32 - subnet.prefixLength)
}

export function contains(subnet: Subnet, address: number): boolean {
  return (address & maskOf(subnet.prefixLength)) >>> 0 === subnet.base
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return contains(a, b.base) || contains(b, a.base)
}
