import { randomBytes, randomUUID } from 'node:crypto'

/** 64 lower-case hex digits, as docker names containers. */
export function newId(): string {
  return randomBytes(32).toString('hex')
}

/** The 12 digits that a person sees of a 64-digit id. */
export function shortId(id: string): string {
  return id.slice(0, 12)
}

/** A random UUID, as an object's `metadata.uid`. */
export function newUid(): string {
  return randomUUID()
}
