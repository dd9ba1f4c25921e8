import type { Dirent } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errnoOf } from '../base/error.ts'
import { syncFolder, writeFileAtomic } from '../base/host/files.ts'
import { algorithmOf, type Digest, hexOf, isDigest } from '../content/digest.ts'

/**
 * What repositories have, each fact a small file written atomically:
 *
 *     FOLDER/NAME/_layers/sha256/HEX                 empty: the blob belongs to the repository
 *     FOLDER/NAME/_manifests/revisions/sha256/HEX    its media type
 *     FOLDER/NAME/_manifests/tags/TAG                the digest
 *     FOLDER/NAME/_referrers/sha256/HEX/DIGEST       descriptor of a manifest whose subject is HEX
 *
 * A component of a name cannot begin with `_`. A link is written after what it points to and removed before it.
 */
export class Links {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async addBlob(name: string, digest: Digest): Promise<void> {
    await this.#write(this.#blob(name, digest), '')
  }
  async hasBlob(name: string, digest: Digest): Promise<boolean> {
    return (await read(this.#blob(name, digest))) !== undefined
  }
  async removeBlob(name: string, digest: Digest): Promise<void> {
    await rm(this.#blob(name, digest), { force: true })
  }

  async addManifest(name: string, digest: Digest, mediaType: string): Promise<void> {
    await this.#write(this.#revision(name, digest), mediaType)
  }
  async manifestType(name: string, digest: Digest): Promise<string | undefined> {
    return read(this.#revision(name, digest))
  }
  async removeManifest(name: string, digest: Digest): Promise<void> {
    await rm(this.#revision(name, digest), { force: true })
  }

  async setTag(name: string, tag: string, digest: Digest): Promise<void> {
    await this.#write(join(this.#tags(name), tag), digest)
  }
  async tag(name: string, tag: string): Promise<Digest | undefined> {
    const digest = await read(join(this.#tags(name), tag))
    return isDigest(digest) ? digest : undefined
  }
  async removeTag(name: string, tag: string): Promise<void> {
    await rm(join(this.#tags(name), tag), { force: true })
  }
  /** Sorted by code units, as paging needs it; undefined when there is no such repository. */
  async tags(name: string): Promise<string[] | undefined> {
    if ((await entries(join(this.#folder, name, '_manifests'))) === undefined) return undefined
    return ((await entries(this.#tags(name))) ?? [])
      .map((one) => one.name)
      .filter((one) => !one.endsWith('.tmp'))
      .sort()
  }

  async addReferrer(
    name: string,
    subject: Digest,
    referrer: { digest: Digest; descriptor: string },
  ): Promise<void> {
    await this.#write(
      join(this.#referrers(name, subject), referrer.digest.replace(':', '-')),
      referrer.descriptor,
    )
  }
  async removeReferrer(name: string, subject: Digest, referrer: Digest): Promise<void> {
    await rm(join(this.#referrers(name, subject), referrer.replace(':', '-')), { force: true })
  }
  /** The descriptors, as they were given. */
  async referrers(name: string, subject: Digest): Promise<string[]> {
    const folder = this.#referrers(name, subject)
    const names = ((await entries(folder)) ?? [])
      .map((one) => one.name)
      .filter((one) => !one.endsWith('.tmp'))
      .sort()
    const found = await Promise.all(names.map((one) => read(join(folder, one))))
    return found.filter((one) => one !== undefined)
  }

  /** The names of all repositories, sorted. */
  async repositories(): Promise<string[]> {
    const found: string[] = []
    const walk = async (name: string): Promise<void> => {
      for (const one of (await entries(join(this.#folder, name))) ?? []) {
        if (one.name === '_manifests') found.push(name)
        else if (!one.name.startsWith('_') && one.isDirectory())
          await walk(name === '' ? one.name : `${name}/${one.name}`)
      }
    }
    await walk('')
    return found.sort()
  }

  /** Every digest that some repository has, manifests and blobs: what garbage collection keeps. */
  async *digests(): AsyncGenerator<Digest> {
    const folders: string[] = ['']
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for (const one of (await entries(join(this.#folder, folder))) ?? []) {
        if (one.isDirectory()) {
          if (one.name !== '_referrers' && one.name !== 'tags') folders.push(join(folder, one.name))
          continue
        }
        const digest = `${folder.slice(folder.lastIndexOf('/') + 1)}:${one.name}`
        if (isDigest(digest)) yield digest
      }
    }
  }

  #blob(name: string, digest: Digest): string {
    return join(this.#folder, name, '_layers', algorithmOf(digest), hexOf(digest))
  }
  #revision(name: string, digest: Digest): string {
    return join(this.#folder, name, '_manifests/revisions', algorithmOf(digest), hexOf(digest))
  }
  #tags(name: string): string {
    return join(this.#folder, name, '_manifests/tags')
  }
  #referrers(name: string, subject: Digest): string {
    return join(this.#folder, name, '_referrers', algorithmOf(subject), hexOf(subject))
  }

  async #write(path: string, content: string): Promise<void> {
    const made = await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFileAtomic(path, content)
    // Every folder that was made has its entry in the one above it.
    for (
      let folder = dirname(path);
      made !== undefined && folder.length >= made.length;
      folder = dirname(folder)
    ) {
      await syncFolder(dirname(folder))
    }
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

async function entries(folder: string): Promise<Dirent[] | undefined> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
