import type { ImageSource, ImageView, PullStep } from '../api/docker/engine.ts'
import { parsePlatform } from '../distribution/platform.ts'
import { familiar, formatReference, parseReference, withDefaultTag } from '../distribution/reference.ts'
import type { Images } from '../image/host/images.ts'
import type { ImageRecord } from '../image/image.ts'
import type { LayerProgress } from '../image/progress.ts'

/** The images as docker's API wants them: docker's words for a pull's steps among them. */
export function dockerImages(images: Images): ImageSource {
  return {
    async pull({ reference, auth, platform, onStep, signal }) {
      const name = withDefaultTag(parseReference(reference))
      const before = images.get(formatReference(name))
      const { registry, repository } = name
      let opened = false
      const open = () => {
        if (!opened) onStep({ status: `Pulling from ${repository}`, id: name.tag ?? name.digest ?? '' })
        opened = true
      }
      const record = await images.pull(reference, {
        signal,
        onProgress: (progress) => {
          open()
          onStep(stepOf(progress))
        },
        ...(platform !== undefined && { platform: parsePlatform(platform) }),
        ...(auth && {
          auth: auth.identitytoken
            ? { identityToken: auth.identitytoken }
            : { username: auth.username, password: auth.password },
        }),
      })
      open()
      const digest = record.digests.find((one) => one.startsWith(`${registry}/${repository}@`))
      if (digest) onStep({ status: `Digest: ${digest.slice(digest.indexOf('@') + 1)}` })
      const same = before?.id === record.id
      onStep({
        status: `Status: ${same ? 'Image is up to date' : 'Downloaded newer image'} for ${familiar(name)}`,
      })
    },
    get: (ref) => view(images.get(ref)),
    list: () => images.list().flatMap((record) => view(record) ?? []),
    async remove(ref, options) {
      const { untagged, deleted } = await images.remove(ref, options)
      return [...untagged.map((name) => ({ untagged: name })), ...deleted.map((id) => ({ deleted: id }))]
    },
    tag: (ref, name) => images.tag(ref, name),
  }
}

const statuses: Readonly<Record<LayerProgress['state'], string>> = {
  waiting: 'Pulling fs layer',
  downloading: 'Downloading',
  downloaded: 'Download complete',
  extracting: 'Extracting',
  uploading: 'Pushing',
  done: 'Pull complete',
  exists: 'Already exists',
  mounted: 'Mounted',
}

function stepOf(progress: LayerProgress): PullStep {
  const { layer, state, currentBytes, totalBytes } = progress
  const counts = state === 'downloading' || state === 'extracting'
  return {
    status: statuses[state],
    id: layer.slice('sha256:'.length, 'sha256:'.length + 12),
    ...(counts && currentBytes !== undefined && { current: currentBytes }),
    ...(counts && totalBytes !== undefined && { total: totalBytes }),
  }
}

function view(record: ImageRecord | undefined): ImageView | undefined {
  if (!record) return undefined
  const { config } = record
  return {
    id: record.id,
    names: record.names,
    digests: record.digests,
    created: new Date(record.created).toISOString(),
    sizeBytes: record.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
    architecture: config.architecture,
    os: config.os,
    author: config.author ?? '',
    config: (config.config ?? {}) as Readonly<Record<string, unknown>>,
    diffIds: config.rootfs.diff_ids,
  }
}
