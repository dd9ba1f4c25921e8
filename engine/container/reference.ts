import { BerthError } from '../base/error.ts'
import { suggest } from '../base/suggest.ts'
import type { ContainerRecord } from './container.ts'

/**
 * The container that a person means: a full id, a name, or the beginning of one id only, in this order (a name wins
 * over a prefix, as with docker). Throws NOT_FOUND or, for a prefix of several, INVALID.
 */
export function findContainer(records: Iterable<ContainerRecord>, ref: string): ContainerRecord {
  const name = ref.replace(/^\//, '')
  const all = [...records]
  const exact = all.find((r) => r.id === ref) ?? all.find((r) => r.settings.name === name)
  if (exact) return exact
  const matches = ref === '' ? [] : all.filter((r) => r.id.startsWith(ref))
  if (matches.length === 1 && matches[0]) return matches[0]
  if (matches.length > 1) {
    throw new BerthError('INVALID', `Multiple IDs found with provided prefix: ${ref}`, {
      hint: 'write more digits of the id',
    })
  }
  const near = suggest(
    name,
    all.map((r) => r.settings.name),
  )
  throw new BerthError('NOT_FOUND', `No such container: ${ref}`, {
    ...(near && { hint: `did you mean ${near}?` }),
  })
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** Throws docker's errors for a name that is malformed or taken. */
export function checkName(records: Iterable<ContainerRecord>, name: string): void {
  if (!namePattern.test(name)) {
    throw new BerthError(
      'INVALID',
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  for (const { id, settings } of records) {
    if (settings.name !== name) continue
    throw new BerthError(
      'CONFLICT',
      `Conflict. The container name "/${name}" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
      { hint: `berth rm ${name}`, details: { id } },
    )
  }
}

const adjectives = [
  'amber',
  'brisk',
  'calm',
  'dusty',
  'eager',
  'fair',
  'gentle',
  'happy',
  'idle',
  'jolly',
  'keen',
  'lucid',
  'merry',
  'noble',
  'quiet',
  'rapid',
  'sunny',
  'tidy',
  'vivid',
  'witty',
]
const nouns = [
  'anchor',
  'barge',
  'buoy',
  'canoe',
  'crane',
  'dock',
  'ferry',
  'gull',
  'harbor',
  'jetty',
  'keel',
  'lagoon',
  'mast',
  'oar',
  'pier',
  'quay',
  'rudder',
  'sail',
  'tide',
  'wharf',
]

/** A name for a container without one; `random` gives numbers in [0, 1). */
export function drawName(taken: ReadonlySet<string>, random: () => number): string {
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)] ?? ''
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(adjectives)}_${pick(nouns)}${attempt || ''}`
    if (!taken.has(name)) return name
  }
}
