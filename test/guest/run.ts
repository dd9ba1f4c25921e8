/**
 * Runs a command of this checkout in a virtual machine with a current Debian kernel and pure cgroup v2, as most
 * machines have it, under software emulation (QEMU, `accel=tcg`): no KVM is needed, everything is about ten times slower.
 *
 *   node test/guest/run.ts [COMMAND…]      default: the host tests
 *
 * Needs mmdebstrap, mke2fs and qemu-system-x86_64. The system's disk is kept in `~/.cache/berth`; the checkout goes in
 * as a second disk, so the guest has no network but its own loopback.
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const top = join(import.meta.dirname, '../..')
const cache = join(homedir(), '.cache/berth')
const packages = [
  'linux-image-cloud-amd64',
  'initramfs-tools',
  'kmod',
  'iproute2',
  'iptables',
  'nftables',
  'procps',
  'bridge-utils',
  'busybox-static',
  'ca-certificates',
  'docker.io',
]

/** PID 1 of the guest. The kernel's panic at its end is what powers the machine off (`-no-reboot`, `panic=-1`). */
const init = `#!/bin/sh
export PATH=/root/berth/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=true BERTH_REQUIRE_HOST=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs -o size=1g tmpfs /tmp
for m in overlay bridge br_netfilter veth nf_tables nft_chain_nat nft_masq nft_nat nft_ct nft_numgen nft_hash nft_fib_inet nft_reject_inet dummy; do modprobe -q $m; done
mount /dev/vdb /root/berth
ip link set lo up
cd /root/berth
sh /root/berth/.guest-command
echo "guest-exit-status $?"
sync
echo o > /proc/sysrq-trigger
sleep 60
`

const version = createHash('sha256').update(packages.join()).update(init).digest('hex').slice(0, 12)
const system = join(cache, `guest-${version}`)

function ensureSystem(): void {
  if (existsSync(join(system, 'disk.ext4'))) return
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'guest-'))
  try {
    const root = join(folder, 'root')
    execFileSync('mmdebstrap', ['--variant=minbase', `--include=${packages.join(',')}`, 'trixie', root], {
      stdio: 'inherit',
    })
    mkdirSync(join(root, 'root/berth'), { recursive: true })
    writeFileSync(join(root, 'guest-init'), init, { mode: 0o755 })
    const boot = join(folder, 'system')
    mkdirSync(boot)
    execFileSync('sh', [
      '-c',
      'cp "$1"/boot/vmlinuz-* "$2"/vmlinuz && cp "$1"/boot/initrd.img-* "$2"/initrd',
      'sh',
      root,
      boot,
    ])
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', root, join(boot, 'disk.ext4'), '4G'])
    renameSync(boot, system)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The checkout with its installed packages as an ext4 disk. */
function makeCheckoutDisk(folder: string, command: readonly string[]): string {
  const copy = join(folder, 'checkout')
  mkdirSync(copy)
  execFileSync('sh', [
    '-c',
    'cd "$1" && tar -cf - --exclude=./.git --exclude=./node_modules/.vitest-cache --exclude=./node_modules/@typescript --exclude=./node_modules/@biomejs . | tar -xf - -C "$2"',
    'sh',
    top,
    copy,
  ])
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  writeFileSync(join(copy, '.guest-command'), `export BERTH_TIME_SCALE=10\n${quoted}\n`)
  const disk = join(folder, 'checkout.ext4')
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', copy, disk, '3G'])
  rmSync(copy, { recursive: true })
  return disk
}

async function boot(disk: string): Promise<number> {
  const guest = spawn(
    'qemu-system-x86_64',
    [
      '-machine',
      'q35,accel=tcg',
      '-cpu',
      'max',
      '-smp',
      '2',
      '-m',
      '4096',
      '-no-reboot',
      '-display',
      'none',
      '-nic',
      'none',
      '-serial',
      'stdio',
      '-kernel',
      join(system, 'vmlinuz'),
      '-initrd',
      join(system, 'initrd'),
      '-append',
      'console=ttyS0 quiet root=/dev/vda rw init=/guest-init panic=-1 cgroup_no_v1=all',
      '-drive',
      `file=${join(system, 'disk.ext4')},if=virtio,format=raw,snapshot=on`,
      '-drive',
      `file=${disk},if=virtio,format=raw`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let tail = ''
  guest.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk)
    tail = (tail + chunk.toString('utf8')).slice(-4096)
  })
  await new Promise((resolve) => guest.on('close', resolve))
  return Number(/guest-exit-status (\d+)/.exec(tail)?.[1] ?? 1)
}

const command = process.argv.slice(2)
ensureSystem()
const folder = mkdtempSync(join(cache, 'guest-run-'))
try {
  const disk = makeCheckoutDisk(folder, command.length > 0 ? command : ['vitest', 'run', '--project', 'host'])
  process.exitCode = await boot(disk)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
