/** Digits and consonants of Kubernetes' generated names: no vowels, so no words; nothing that is easily mixed up. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

/**
 * A short name for a value, the same for equal values whatever the order of their keys, over restarts and versions of
 * berth: FNV-1a (32 bit) over JSON with sorted keys. `salt` gives another one after a collision.
 */
export function stableHash(value: unknown, salt = ''): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(canonical(value) + salt)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, child]) => child !== undefined)
  fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, child]) => `${JSON.stringify(key)}:${canonical(child)}`).join(',')}}`
}
