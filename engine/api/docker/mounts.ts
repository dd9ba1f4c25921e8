import { BerthError } from '../../base/error.ts'
import type { ContainerCreate, MountRequest } from '../../client/docker/types.ts'
import type { MountSetting } from '../../container/container.ts'

type Propagation = NonNullable<MountSetting['propagation']>

const propagations: readonly Propagation[] = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared']

/** All mounts of a request: `-v` (Binds, Volumes), `--mount` and `--tmpfs`. A target may be given once. */
export function mountSettings(body: Partial<ContainerCreate>): MountSetting[] {
  const host = body.HostConfig ?? {}
  const mounts = [
    ...(host.Binds ?? []).map(parseBind),
    ...(host.Mounts ?? []).map(mountRequest),
    ...Object.entries(host.Tmpfs ?? {}).map(([target, options]) => tmpfs(target, options)),
  ]
  const seen = new Set<string>()
  for (const { target } of mounts) {
    if (seen.has(target)) throw new BerthError('INVALID', `Duplicate mount point: ${target}`)
    seen.add(target)
  }
  const anonymous = Object.keys(body.Volumes ?? {})
    .filter((target) => !seen.has(target))
    .map((target): MountSetting => ({ kind: 'volume', target: absolute(target), readOnly: false }))
  return [...mounts, ...anonymous]
}

/** `SOURCE:TARGET[:OPTIONS]`: a source with a slash in front is a folder of the host, anything else a volume. */
export function parseBind(text: string): MountSetting {
  const [source = '', target = '', mode = '', ...more] = text.split(':')
  if (source === '' || target === '' || more.length > 0) {
    throw new BerthError('INVALID', `invalid volume specification: '${text}'`)
  }
  const options = mode.split(',').filter((option) => option !== '' && option !== 'z' && option !== 'Z')
  const propagation = propagations.find((name) => options.includes(name))
  const unknown = options.find((o) => o !== 'ro' && o !== 'rw' && o !== 'nocopy' && o !== propagation)
  if (unknown) throw new BerthError('INVALID', `invalid mode: ${mode}`)
  const isHost = source.startsWith('/')
  if (!isHost) checkVolumeName(source)
  return {
    kind: isHost ? 'bind' : 'volume',
    source,
    target: absolute(target),
    readOnly: options.includes('ro'),
    ...(propagation && { propagation }),
    ...(options.includes('nocopy') && { noCopy: true }),
    ...(isHost && { createSource: true }),
  }
}

/** Docker's rule for the names of volumes. */
export function checkVolumeName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= 255) return
  if (name.length === 1)
    throw new BerthError(
      'INVALID',
      `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
    )
  throw new BerthError(
    'INVALID',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
      'If you intended to pass a host directory, use absolute path',
  )
}

function mountRequest(mount: MountRequest): MountSetting {
  const { Type, Source, Target, ReadOnly, BindOptions, VolumeOptions, TmpfsOptions } = mount
  if (!['bind', 'volume', 'tmpfs'].includes(Type))
    throw new BerthError('INVALID', `invalid mount config: mount type unknown: "${Type}"`)
  if (!Target)
    throw new BerthError('INVALID', `invalid mount config for type "${Type}": field Target must not be empty`)
  if (Type === 'bind' && !Source?.startsWith('/')) {
    throw new BerthError(
      'INVALID',
      `invalid mount config for type "bind": invalid mount path: '${Source ?? ''}' mount path must be absolute`,
    )
  }
  if (Type === 'volume' && Source) checkVolumeName(Source)
  const propagation = propagations.find((name) => name === BindOptions?.Propagation)
  return {
    kind: Type,
    target: absolute(Target),
    readOnly: ReadOnly === true,
    ...(Source && Type !== 'tmpfs' && { source: Source }),
    ...(propagation && { propagation }),
    ...(BindOptions?.CreateMountpoint && { createSource: true }),
    ...(VolumeOptions?.NoCopy && { noCopy: true }),
    ...(VolumeOptions?.Subpath && { subPath: VolumeOptions.Subpath }),
    ...(TmpfsOptions?.SizeBytes && { sizeBytes: TmpfsOptions.SizeBytes }),
    ...(TmpfsOptions?.Mode && { mode: TmpfsOptions.Mode }),
  }
}

function tmpfs(target: string, text: string): MountSetting {
  let size: number | undefined
  let mode: number | undefined
  const options: string[] = []
  for (const option of text.split(',').filter((o) => o !== '')) {
    const bytes = /^size=(\d+)([kmg%]?)$/i.exec(option)
    const bits = /^mode=0?([0-7]+)$/.exec(option)
    if (bytes && bytes[2] !== '%')
      size = Number(bytes[1]) * 1024 ** ' kmg'.indexOf((bytes[2] || ' ').toLowerCase())
    else if (bits) mode = Number.parseInt(bits[1] ?? '', 8)
    else if (option !== 'rw' && option !== 'ro') options.push(option)
  }
  return {
    kind: 'tmpfs',
    target: absolute(target),
    readOnly: text.split(',').includes('ro'),
    ...(size !== undefined && { sizeBytes: size }),
    ...(mode !== undefined && { mode }),
    ...(options.length > 0 && { options }),
  }
}

function absolute(target: string): string {
  if (!target.startsWith('/')) {
    throw new BerthError('INVALID', `invalid mount path: '${target}' mount path must be absolute`)
  }
  const clean = target.replace(/\/+/g, '/').replace(/(.)\/$/, '$1')
  if (clean === '/') throw new BerthError('INVALID', "invalid volume specification: destination can't be '/'")
  return clean
}
