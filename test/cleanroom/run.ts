/**
 * `npm ci && npm run demo` and `npm ci && npm test` in a bare Debian root: what is installed on this machine cannot
 * hide what is missing. The root holds Debian's minimal system with nodejs, npm and git, and nothing else.
 *
 * Needs mmdebstrap. The root's archive is kept in `~/.cache/berth`; a fresh clone of HEAD is tested.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const top = join(import.meta.dirname, '../..')
const cache = join(homedir(), '.cache/berth')
const archive = join(cache, 'cleanroom-trixie.tar')

/** Runs in the new namespaces: makes the root the real one (a chroot would forbid new user namespaces), then the commands. */
const script = `set -e
root=$1; shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mkdir -p old
pivot_root . old
cd /root/berth
umount -l /old
npm ci
if [ $# -gt 0 ]; then exec "$@"; fi
npm run demo
npm test
`

mkdirSync(cache, { recursive: true })
if (!existsSync(archive)) {
  const temporary = join(cache, `cleanroom-${process.pid}.tar`)
  execFileSync(
    'mmdebstrap',
    ['--variant=minbase', '--include=nodejs,npm,git,ca-certificates', 'trixie', temporary],
    { stdio: 'inherit' },
  )
  renameSync(temporary, archive)
}

const folder = mkdtempSync(join(cache, 'cleanroom-'))
const root = join(folder, 'root')
let status = 1
try {
  mkdirSync(root)
  execFileSync('tar', ['-xf', archive, '-C', root, '--exclude=./dev/*'])
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', top, join(root, 'root/berth')])
  for (const file of ['/etc/resolv.conf', '/etc/hosts', '/etc/ssl/certs/ca-certificates.crt']) {
    if (existsSync(file)) execFileSync('cp', ['-L', '--remove-destination', file, join(root, file)])
  }
  writeFileSync(join(folder, 'enter'), script, { mode: 0o755 })
  // A mount and PID namespace of its own: what the tests leave behind ends with it. The network is shared: npm needs it.
  const args = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--propagation',
    'private',
    'sh',
    join(folder, 'enter'),
    root,
    ...process.argv.slice(2),
  ]
  const result = spawnSync('unshare', args, {
    stdio: 'inherit',
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      TERM: process.env.TERM ?? 'dumb',
      CI: 'true',
      NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/ca-certificates.crt',
      npm_config_cafile: '/etc/ssl/certs/ca-certificates.crt',
    },
  })
  status = result.status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.stdout.write(status === 0 ? 'cleanroom: passed\n' : 'cleanroom: failed\n')
process.exitCode = status
