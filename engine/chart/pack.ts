import { crc32, deflateRawSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { BerthError } from '../base/error.ts'
import { writeYaml } from '../template/yaml.ts'
import type { Chart, ChartFile } from './chart.ts'

/** `NAME-VERSION.tgz`. */
export function archiveName({ metadata }: Chart): string {
  return `${metadata.name}-${metadata.version}.tgz`
}

/** Chart.yaml as Helm writes it: keys in order, without comments. */
export function chartYaml({ metadata }: Chart): string {
  return `${writeYaml(metadata)}\n`
}

/**
 * A chart packed as Helm packs it: Chart.yaml, Chart.lock, values, schema, templates, other files, sub-charts
 * unpacked below charts/, each file with its own time. The same chart gives the same bytes.
 */
export async function packChart(chart: Chart): Promise<Buffer> {
  const tar = pack()
  const pieces: Buffer[] = []
  const reading = (async () => {
    for await (const piece of tar) pieces.push(piece as Buffer)
  })()
  for (const { name, content, modifiedMs } of entriesOf(chart, chart.metadata.name))
    tar.entry({ name, mode: 0o644, mtime: new Date(modifiedMs ?? 0), uid: 0, gid: 0 }, Buffer.from(content))
  tar.finalize()
  await reading
  return gzip(Buffer.concat(pieces))
}

function entriesOf(chart: Chart, base: string): ChartFile[] {
  const { metadata, lock, raw, schema, templates, files, dependencies } = chart
  const timeOf = (name: string) => raw.find((file) => file.name === name)?.modifiedMs
  const written = (name: string, text: string): ChartFile => {
    const modifiedMs = timeOf(name)
    return { name, content: Buffer.from(text), ...(modifiedMs === undefined ? {} : { modifiedMs }) }
  }
  if (schema) {
    try {
      JSON.parse(Buffer.from(schema.content).toString())
    } catch (cause) {
      throw new BerthError(
        'INVALID',
        `Cannot pack chart "${metadata.name}": invalid JSON in values.schema.json`,
        {
          where: { file: `${chart.origin}/values.schema.json` },
          cause,
        },
      )
    }
  }
  const values = raw.find(({ name }) => name === 'values.yaml')
  const own: ChartFile[] = [
    written('Chart.yaml', chartYaml(chart)),
    ...(lock && metadata.apiVersion === 'v2' ? [written('Chart.lock', `${writeYaml(lock)}\n`)] : []),
    ...(values ? [values] : []),
    ...(schema ? [schema] : []),
    ...templates,
    ...files,
  ]
  return [
    ...own.map((file) => ({ ...file, name: `${base}/${file.name}` })),
    ...dependencies.flatMap((dependency) =>
      entriesOf(dependency, `${base}/charts/${dependency.metadata.name}`),
    ),
  ]
}

/**
 * gzip with the header that Helm's archives have, by which they are known (RFC 1952, 2.3):
 *
 *   1f 8b | 08 deflate | 14 = extra field 04 + comment 10 | time 0 | 00 | ff | length of extra | extra | "Helm" 00
 */
function gzip(content: Buffer): Buffer {
  const extra = Buffer.from('+aHR0cHM6Ly95b3V0dS5iZS96OVV6MWljandyTQo=')
  const head = Buffer.from([
    0x1f,
    0x8b,
    0x08,
    0x14,
    0,
    0,
    0,
    0,
    0,
    0xff,
    extra.length & 0xff,
    extra.length >> 8,
  ])
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(crc32(content), 0)
  tail.writeUInt32LE(content.length % 2 ** 32, 4)
  return Buffer.concat([head, extra, Buffer.from('Helm\0'), deflateRawSync(content), tail])
}
