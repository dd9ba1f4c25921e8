import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { BerthError, errnoOf, isBerthError } from '../../engine/base/error.ts'
import { writeFileAtomic } from '../../engine/base/host/files.ts'
import type { Output } from '../output.ts'
import { apiClient } from '../release/connect.ts'

interface KubeconfigFlags {
  readonly host?: string
  readonly addr?: string
  readonly output?: string
}

/** `berth kubeconfig`. */
export function command(output: Output): Command {
  return new Command('kubeconfig')
    .description('Print a kubeconfig for kubectl and helm; opens a TCP port on loopback at its first use')
    .option(
      '--addr <address>',
      'where the API listens (default: where it does, else any free port of 127.0.0.1)',
    )
    .option('--output <file>', 'write it there, readable by you alone, and not to stdout')
    .action((flags: KubeconfigFlags) => kubeconfig(flags, output))
}

async function kubeconfig(flags: KubeconfigFlags, output: Output): Promise<void> {
  const address = flags.addr === undefined ? undefined : parseAddress(flags.addr)
  const config = await ask(address, flags, output)
  const { stringify } = await import('../yaml.ts')
  const text = stringify(config, { lineWidth: 0 })
  if (flags.output === undefined) {
    output.write(text)
    return
  }
  await checkOverwrite(flags.output, config)
  await writeFileAtomic(flags.output, text, 0o600)
  output.note(`Written to ${flags.output}: export KUBECONFIG=${flags.output}`)
}

interface Kubeconfig {
  readonly contexts: readonly { readonly name: string }[]
}

async function ask(address: object | undefined, flags: KubeconfigFlags, output: Output): Promise<Kubeconfig> {
  const request = {
    method: 'POST',
    path: '/berth/v1/kubeconfig',
    ...(address && { body: JSON.stringify(address) }),
  }
  try {
    const host = flags.host === undefined ? {} : { host: flags.host }
    const { body } = await apiClient(host, output).request(request, output.interruptible())
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (error) {
    if (!isBerthError(error, 'UNAVAILABLE') || error.hint !== undefined) throw error
    throw new BerthError('UNAVAILABLE', error.message, {
      cause: error.cause,
      hint: 'choose another with --addr',
    })
  }
}

function parseAddress(text: string): { address: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  if (!match) {
    throw new BerthError('USAGE', `Cannot listen on ${JSON.stringify(text)}: it should be ADDRESS:PORT`, {
      hint: 'for example 127.0.0.1:6443',
    })
  }
  const address = match[1] ?? match[2] ?? ''
  return { address: address === 'localhost' ? '127.0.0.1' : address, port: Number(match[3]) }
}

/** A file that leads to other clusters is not overwritten. */
async function checkOverwrite(file: string, { contexts }: Kubeconfig): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  })
  if (text.trim() === '') return
  const { parse } = await import('../yaml.ts')
  const names = contexts.map(({ name }) => name)
  const present = readContexts(() => parse(text))
  const other = present?.find((name) => !names.includes(name))
  if (present && other === undefined) return
  const why = other === undefined ? 'it is no kubeconfig' : `it has the context "${other}"`
  throw new BerthError('ALREADY_EXISTS', `Cannot overwrite "${file}": ${why}`, {
    hint: `write it to a file of its own, and set KUBECONFIG=FILE:${file} to have both`,
  })
}

function readContexts(parse: () => unknown): readonly string[] | undefined {
  try {
    const { kind, contexts } = parse() as { kind?: unknown; contexts?: readonly { name: string }[] | null }
    return kind === 'Config' ? (contexts ?? []).map(({ name }) => name) : undefined
  } catch {
    return undefined
  }
}
