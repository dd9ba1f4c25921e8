import { homedir } from 'node:os'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { openLog } from '../../engine/base/host/log.ts'
import type { Output } from '../output.ts'
import { type LoginFlags, login, logout } from './registry-login.ts'

interface ServeFlags {
  readonly addr: string
  readonly root?: string
  readonly htpasswd?: string
  readonly anonymous: 'none' | 'read' | 'write'
}

/** `berth registry`: serve one, log in and out. */
export function command(output: Output): Command {
  const registry = new Command('registry').description('OCI registries: serve one, log in, log out')
  registry
    .command('serve')
    .description('Serve an OCI registry, in the foreground')
    .option('--addr <address>', 'where to listen', '127.0.0.1:5000')
    .option('--root <folder>', `where its content is kept (default: ${defaultRoot()})`)
    .option('--htpasswd <file>', 'who may write: an htpasswd file with bcrypt (htpasswd -B) or {SHA} lines')
    .addOption(
      new Option('--anonymous <access>', 'what callers without a login may do')
        .choices(['none', 'read', 'write'])
        .default('read'),
    )
    .action((flags: ServeFlags) => serve(flags, output))
  registry
    .command('login')
    .description("Log in to a registry; remembered in helm's registry configuration")
    .argument('<host>')
    .option('-u, --username <name>')
    .option('-p, --password <password>', 'password or token (seen by others in the list of processes)')
    .option('--password-stdin', 'read the password from standard input')
    .option('--plain-http', 'speak plain HTTP')
    .option('--insecure', 'do not verify the certificate')
    .option('--ca-file <file>', 'certificate authority of the registry')
    .action((host: string, flags: LoginFlags) => login(host, flags, output))
  registry
    .command('logout')
    .description('Forget a login')
    .argument('<host>')
    .action((host: string) => logout(host, output))
  return registry
}

async function serve(flags: ServeFlags, output: Output): Promise<void> {
  const signal = output.interruptible()
  const { serveRegistry } = await import('../../engine/registry/server.ts')
  await using registry = await serveRegistry({
    address: flags.addr,
    root: flags.root ?? defaultRoot(),
    anonymous: flags.anonymous,
    log: openLog('info', (line) => output.streams.stderr.write(line)),
    ...(flags.htpasswd === undefined ? {} : { htpasswd: flags.htpasswd }),
  })
  output.note(`Registry on ${registry.address}, content in ${flags.root ?? defaultRoot()}`)
  if (flags.anonymous === 'read' && flags.htpasswd === undefined) {
    output.note('Anyone may read and nobody write: give --htpasswd FILE, or --anonymous write')
  }
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
}

/** A folder of its own: the daemon's embedded registry has another. */
function defaultRoot(): string {
  if (process.getuid?.() === 0) return '/var/lib/berth-registry'
  return join(process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'berth', 'registry')
}
