import { resolve } from 'node:path'
import { BerthError } from '../../engine/base/error.ts'
import type { MountRequest } from '../../engine/client/docker/types.ts'
import { parseBytes } from '../units.ts'

/** `-v`: a path alone is an anonymous volume; else a bind for the API, its source absolute. */
export function parseVolume(text: string, folder: string): { anonymous: string } | { bind: string } {
  const [source = '', target, ...rest] = text.split(':')
  if (text === '' || rest.length > 1)
    throw new BerthError('USAGE', `Cannot read volume "${text}"`, { hint: 'write SOURCE:TARGET[:ro]' })
  if (target === undefined) return { anonymous: source }
  const isPath = source.startsWith('/') || source.startsWith('.') || source.startsWith('~')
  return { bind: [isPath ? resolve(folder, source) : source, target, ...rest].join(':') }
}

type Setter = (value: string, flag: string) => Partial<MountRequest>

const bool = (value: string) => value === '' || value === 'true' || value === '1'

/** The keys of `--mount`; `undefined` marks what berth does not have. */
const keys: Readonly<Record<string, Setter>> = {
  type: (value) => ({ Type: value as MountRequest['Type'] }),
  source: (value) => ({ Source: value }),
  src: (value) => ({ Source: value }),
  target: (value) => ({ Target: value }),
  dst: (value) => ({ Target: value }),
  destination: (value) => ({ Target: value }),
  readonly: (value) => ({ ReadOnly: bool(value) }),
  ro: (value) => ({ ReadOnly: bool(value) }),
  'bind-propagation': (value) => ({ BindOptions: { Propagation: value } }),
  'volume-nocopy': (value) => ({ VolumeOptions: { NoCopy: bool(value) } }),
  'volume-subpath': (value) => ({ VolumeOptions: { Subpath: value } }),
  'tmpfs-size': (value, flag) => ({ TmpfsOptions: { SizeBytes: parseBytes(value, flag) } }),
  'tmpfs-mode': (value) => ({ TmpfsOptions: { Mode: Number.parseInt(value, 8) } }),
}

/** `--mount type=bind,source=/a,target=/b,readonly`. */
export function parseMount(text: string, folder: string): MountRequest {
  let mount: Partial<MountRequest> = {}
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    const key = (at < 0 ? part : part.slice(0, at)).toLowerCase()
    const set = keys[key]
    if (!set) throw wrong(text, `unknown key "${key}"`)
    const given = set(at < 0 ? '' : part.slice(at + 1), `--mount ${key}`)
    mount = {
      ...mount,
      ...given,
      ...(given.VolumeOptions && { VolumeOptions: { ...mount.VolumeOptions, ...given.VolumeOptions } }),
      ...(given.TmpfsOptions && { TmpfsOptions: { ...mount.TmpfsOptions, ...given.TmpfsOptions } }),
    }
  }
  const { Type = 'volume', Target, Source } = mount
  if (!['bind', 'volume', 'tmpfs'].includes(Type))
    throw wrong(text, `type "${Type}" is not bind, volume or tmpfs`)
  if (!Target) throw wrong(text, 'the target is missing')
  if (Type === 'bind' && !Source) throw wrong(text, 'the source of a bind is missing')
  return { ...mount, Type, Target, ...(Type === 'bind' && { Source: resolve(folder, Source ?? '') }) }
}

function wrong(text: string, reason: string): BerthError {
  return new BerthError('USAGE', `Cannot read mount "${text}": ${reason}`, {
    hint: 'write type=bind,source=/from,target=/to[,readonly] (or type=volume, type=tmpfs)',
  })
}
