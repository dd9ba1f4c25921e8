import { BerthError } from '../base/error.ts'
import { familiar, parseReference } from '../distribution/reference.ts'
import { nameOf } from './find.ts'
import type { ImageRecord } from './image.ts'

/** A container that was made from an image. */
export interface ImageUser {
  readonly id: string
  readonly running: boolean
}

export interface RemovePlan {
  /** Full names that go, tags and digests. */
  readonly untagged: readonly string[]
  /** Whether the image goes with them. */
  readonly deleted: boolean
}

/**
 * What `docker rmi WORD` does: a name of several is only taken away; the last name, or an id, takes the image too, if
 * no container needs it. Throws docker's conflicts.
 */
export function planRemove(
  image: ImageRecord,
  word: string,
  view: { users: readonly ImageUser[]; force: boolean },
): RemovePlan {
  const hex = image.id.slice('sha256:'.length)
  const named = nameOf(word)
  const byName = named !== undefined && (image.names.includes(named) || image.digests.includes(named))
  const byId = !byName || hex.startsWith(word)
  const [user] = view.users
  const running = view.users.find((one) => one.running)

  if (!byId && named !== undefined) {
    const others = image.names.filter((one) => one !== named)
    if (others.length > 0)
      return { untagged: [named, ...digestsOnlyOf(image, named, others)], deleted: false }
    if (user !== undefined && !view.force) {
      throw conflict(
        `unable to remove repository reference "${word}" (must force) - container ${short(user.id)} is using its referenced image ${hex.slice(0, 12)}`,
        'remove the container first, or use --force',
      )
    }
    // Forced, a used image loses its name and stays.
    if (user !== undefined) return { untagged: [...image.names, ...image.digests], deleted: false }
    return { untagged: [...image.names, ...image.digests], deleted: true }
  }
  if (running !== undefined) {
    throw conflict(
      `unable to delete ${hex.slice(0, 12)} (cannot be forced) - image is being used by running container ${short(running.id)}`,
      `berth stop ${short(running.id)}`,
    )
  }
  if (!view.force) {
    const repositories = new Set(image.names.map((one) => familiarName(one)))
    if (repositories.size > 1) {
      throw conflict(
        `unable to delete ${hex.slice(0, 12)} (must be forced) - image is referenced in multiple repositories`,
        'remove its names one by one, or use --force',
      )
    }
    if (user !== undefined) {
      throw conflict(
        `unable to delete ${hex.slice(0, 12)} (must be forced) - image is being used by stopped container ${short(user.id)}`,
        'remove the container first, or use --force',
      )
    }
  }
  // A stopped container keeps its layers: docker deletes the record and leaves the container broken; here it stays whole.
  return { untagged: [...image.names, ...image.digests], deleted: user === undefined }
}

/** The digests of a repository that has no other tag: they go with its last tag. */
function digestsOnlyOf(image: ImageRecord, name: string, others: readonly string[]): string[] {
  const repository = familiarName(name)
  if (others.some((one) => familiarName(one) === repository)) return []
  return image.digests.filter((one) => familiarName(one) === repository)
}

const short = (id: string) => id.slice(0, 12)

function familiarName(name: string): string {
  const { registry, repository } = parseReference(name)
  return familiar({ registry, repository })
}

function conflict(message: string, hint: string): BerthError {
  return new BerthError('CONFLICT', `conflict: ${message}`, { hint })
}
