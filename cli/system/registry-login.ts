import { createInterface } from 'node:readline'
import { BerthError } from '../../engine/base/error.ts'
import { RegistryClient } from '../../engine/distribution/client.ts'
import {
  eraseCredentials,
  helmRegistryConfigFile,
  storeCredentials,
} from '../../engine/distribution/credentials.ts'
import type { Input, Output } from '../output.ts'

export interface LoginFlags {
  readonly username?: string
  readonly password?: string
  readonly passwordStdin?: true
  readonly plainHttp?: true
  readonly insecure?: true
  readonly caFile?: string
}

const passwordLimitBytes = 64 << 10

/** Tries the credentials at the registry, then remembers them where helm does. */
export async function login(host: string, flags: LoginFlags, output: Output): Promise<void> {
  const registry = registryOf(host)
  if (flags.password !== undefined && flags.passwordStdin) {
    throw new BerthError('USAGE', 'Give --password or --password-stdin, not both')
  }
  if (flags.password !== undefined) {
    output.note('WARNING: Using --password via the CLI is insecure. Use --password-stdin.')
  }
  if (flags.passwordStdin && flags.username === undefined) {
    throw new BerthError('USAGE', '--password-stdin needs --username')
  }
  const input = output.streams.stdin ?? process.stdin
  const username = flags.username ?? (await ask(input, output, { prompt: 'Username: ', hidden: false }))
  const password = flags.passwordStdin
    ? (await readAll(input)).replace(/\r?\n$/, '')
    : (flags.password ?? (await ask(input, output, { prompt: 'Password: ', hidden: true })))
  const settings = {
    ...(flags.plainHttp ? { plainHttp: true } : {}),
    ...(flags.insecure ? { insecure: true } : {}),
    ...(flags.caFile === undefined ? {} : { ca: flags.caFile }),
  }
  await using client = new RegistryClient({
    hosts: { [registry]: settings },
    credentials: async () => ({ username, password }),
  })
  await client.ping(registry, output.interruptible())
  await storeCredentials(helmRegistryConfigFile(), registry, { username, password })
  output.line('Login Succeeded')
}

/** Forgets a login. */
export async function logout(host: string, output: Output): Promise<void> {
  const registry = registryOf(host)
  const file = helmRegistryConfigFile()
  if (!(await eraseCredentials(file, registry))) {
    throw new BerthError('NOT_FOUND', `Cannot log out of "${registry}": "${file}" has no login for it`)
  }
  output.line(`Removing login credentials for ${registry}`)
}

function registryOf(host: string): string {
  const registry = host.replace(/^oci:\/\//, '')
  if (/^[A-Za-z0-9.-]+(:\d+)?$|^\[[0-9a-fA-F:]+\](:\d+)?$/.test(registry)) return registry
  throw new BerthError(
    'INVALID',
    `Cannot log in to ${JSON.stringify(host)}: it should be HOST or HOST:PORT`,
    {
      hint: `write ${registry.replace(/^[a-z]+:\/\//, '').split('/')[0]}`,
    },
  )
}

/** One line from a person; a password is not shown. */
async function ask(
  input: Input,
  output: Output,
  asked: { prompt: string; hidden: boolean },
): Promise<string> {
  if (!input.isTTY) {
    throw new BerthError(
      'USAGE',
      `Cannot ask for "${asked.prompt.replace(': ', '')}": standard input is no terminal`,
      {
        hint: 'give --username and --password-stdin',
      },
    )
  }
  output.streams.stderr.write(asked.prompt)
  const shown = asked.hidden ? undefined : output.streams.stderr
  const lines = createInterface({ input, terminal: true, ...(shown === undefined ? {} : { output: shown }) })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('close', () => reject(new BerthError('INTERRUPTED', 'Nothing was entered')))
      lines.once('SIGINT', () => lines.close())
    })
  } finally {
    lines.close()
    if (asked.hidden) output.streams.stderr.write('\n')
  }
}

async function readAll(input: Input): Promise<string> {
  let text = ''
  for await (const part of input) {
    text += part
    if (text.length > passwordLimitBytes) throw new BerthError('INVALID', 'A password has at most 64 KiB')
  }
  return text
}
