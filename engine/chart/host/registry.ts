import { Readable } from 'node:stream'
import { BerthError } from '../../base/error.ts'
import { digestOf } from '../../content/verify.ts'
import type { RegistryClient } from '../../distribution/client.ts'
import { parseManifest } from '../../distribution/manifest.ts'
import { parseReference, type Reference } from '../../distribution/reference.ts'
import { archiveLimits, readArchive } from '../archive.ts'
import type { Chart } from '../chart.ts'
import { loadChart } from '../load.ts'
import { newestVersion } from '../version.ts'

/** Media types of a chart in an OCI registry, as Helm has them. */
const chartMediaTypes = {
  config: 'application/vnd.cncf.helm.config.v1+json',
  content: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
  provenance: 'application/vnd.cncf.helm.chart.provenance.v1.prov',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
} as const

/** A chart as it lies in a registry. */
export interface PulledChart {
  /** `HOST/REPOSITORY:TAG`. */
  readonly reference: string
  readonly digest: string
  readonly archive: Buffer
  readonly provenance: Buffer | undefined
}

/** `oci://HOST/PATH[:TAG|@DIGEST]` as a reference; a version's `+` is `_` in a tag. */
function chartReference(text: string): Reference {
  chartReferencePrefix(text)
  return parseReference(text.slice('oci://'.length))
}

function chartReferencePrefix(text: string): void {
  if (!text.startsWith('oci://'))
    throw new BerthError('INVALID', `Cannot use "${text}" as a chart's place: it should begin with oci://`, {
      hint: 'write oci://HOST/REPOSITORY',
    })
}

/** Pulls a chart: the version that is asked for, else the reference's own, else the newest. */
export async function pullChart(
  client: RegistryClient,
  { reference: given, version }: { reference: string; version?: string },
  signal: AbortSignal,
): Promise<PulledChart> {
  const base = chartReference(given)
  const reference =
    base.tag || base.digest ? base : { ...base, tag: await tagFor(client, base, version, signal) }
  if (version !== undefined && base.tag !== undefined && base.tag !== tagOf(version))
    throw new BerthError(
      'INVALID',
      `Cannot pull "${given}": chart reference and version mismatch: ${version} is not ${base.tag}`,
    )
  const fetched = await client.manifest(reference, signal)
  const manifest = parseManifest(fetched)
  if (manifest.config.mediaType !== chartMediaTypes.config)
    throw new BerthError('INVALID', `Cannot pull "${given}" as a chart: it is ${manifest.config.mediaType}`, {
      hint: 'an image is pulled without oci://',
    })
  const blob = async (mediaType: string) => {
    const layer = manifest.layers.find((one) => one.mediaType === mediaType)
    return (
      layer &&
      client.blobBytes(
        reference,
        { digest: layer.digest, sizeBytes: layer.size },
        { signal, limitBytes: archiveLimits.chartBytes },
      )
    )
  }
  const archive = await blob(chartMediaTypes.content)
  if (!archive)
    throw new BerthError(
      'INVALID',
      `Cannot pull "${given}" as a chart: its manifest has no layer of type ${chartMediaTypes.content}`,
    )
  return {
    reference: `${reference.registry}/${reference.repository}:${reference.tag ?? reference.digest}`,
    digest: fetched.digest,
    archive,
    provenance: await blob(chartMediaTypes.provenance),
  }
}

/** Pulls and loads a chart. */
export async function loadChartOf(
  client: RegistryClient,
  asked: { reference: string; version?: string },
  signal: AbortSignal,
): Promise<Chart> {
  const { archive } = await pullChart(client, asked, signal)
  return loadChart(await readArchive(archive, asked.reference), asked.reference)
}

/** Pushes a packed chart below `oci://HOST/PATH`, under its name and version. */
export async function pushChart(
  client: RegistryClient,
  { archive, provenance, target }: { archive: Buffer; provenance?: Buffer; target: string },
  signal: AbortSignal,
): Promise<{ reference: string; digest: string }> {
  const { metadata } = await loadChart(await readArchive(archive, target), target)
  chartReferencePrefix(target)
  const base = parseReference(`${target.slice('oci://'.length).replace(/\/+$/, '')}/${metadata.name}`)
  const reference = { ...base, tag: tagOf(metadata.version) }
  const config = Buffer.from(JSON.stringify(metadata))
  const layers = [
    { mediaType: chartMediaTypes.content, bytes: archive },
    ...(provenance ? [{ mediaType: chartMediaTypes.provenance, bytes: provenance }] : []),
  ]
  const describe = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  for (const bytes of [config, ...layers.map((layer) => layer.bytes)])
    await client.putBlob(
      reference,
      {
        digest: digestOf(bytes),
        size: bytes.length,
        open: (offset) => Readable.from([bytes.subarray(offset)]),
      },
      { signal },
    )
  const annotations = {
    'org.opencontainers.image.title': metadata.name,
    'org.opencontainers.image.version': metadata.version,
    ...(metadata.description ? { 'org.opencontainers.image.description': metadata.description } : {}),
    ...(metadata.home ? { 'org.opencontainers.image.url': metadata.home } : {}),
    ...(metadata.sources?.[0] ? { 'org.opencontainers.image.source': metadata.sources[0] } : {}),
  }
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: chartMediaTypes.manifest,
      config: describe(chartMediaTypes.config, config),
      layers: layers.map(({ mediaType, bytes }) => describe(mediaType, bytes)),
      annotations,
    }),
  )
  const digest = await client.putManifest(
    reference,
    { mediaType: chartMediaTypes.manifest, bytes: manifest },
    signal,
  )
  return { reference: `${reference.registry}/${reference.repository}:${reference.tag}`, digest }
}

function tagOf(version: string): string {
  return version.replaceAll('+', '_')
}

async function tagFor(
  client: RegistryClient,
  base: Reference,
  version: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  if (version !== undefined && /^v?\d+\.\d+\.\d+/.test(version)) return tagOf(version)
  if (version !== undefined)
    throw new BerthError(
      'UNSUPPORTED',
      `Cannot pull version "${version}": ranges of versions are not supported yet`,
      {
        hint: 'name one version, such as 1.2.3',
      },
    )
  const tags = await client.tags(base, signal)
  const newest = newestVersion(tags.map((tag) => tag.replaceAll('_', '+')))
  if (newest === undefined)
    throw new BerthError('NOT_FOUND', `Cannot pull "${base.registry}/${base.repository}": it has no version`)
  return tagOf(newest)
}
