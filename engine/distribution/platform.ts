import { BerthError } from '../base/error.ts'
import type { Descriptor, Platform } from './media.ts'

/** Node's `process.arch` → what images call it. */
const architectures: Readonly<Record<string, Platform>> = {
  x64: { os: 'linux', architecture: 'amd64' },
  arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
}

/** The platform of a machine, from Node's name of its architecture. */
export function platformOf(nodeArchitecture: string): Platform {
  return architectures[nodeArchitecture] ?? { os: 'linux', architecture: nodeArchitecture }
}

/** Parses `linux/arm64/v8`, `linux/amd64` or `arm64`. Throws `INVALID`. */
export function parsePlatform(text: string): Platform {
  const parts = text.split('/')
  const [os, architecture, variant] = parts.length === 1 ? ['linux', parts[0]] : parts
  if (parts.length > 3 || !os || !architecture || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new BerthError('INVALID', `Cannot read ${JSON.stringify(text)} as a platform`, {
      hint: 'write linux/amd64 or linux/arm64/v8',
    })
  }
  return normalize({ os, architecture, ...(variant === undefined ? {} : { variant }) })
}

/** The form that a person reads: `linux/arm64/v8`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/')
}

/** Other names of the same thing, and the variant that one without a variant means. */
function normalize(platform: Platform): Platform {
  const architecture =
    { x86_64: 'amd64', 'x86-64': 'amd64', aarch64: 'arm64' }[platform.architecture] ?? platform.architecture
  const variant = platform.variant === undefined || platform.variant === '' ? undefined : platform.variant
  if (architecture === 'arm64')
    return { os: platform.os, architecture, variant: variant === '8' ? 'v8' : (variant ?? 'v8') }
  if (architecture === 'amd64' && variant === 'v1') return { os: platform.os, architecture }
  return { os: platform.os, architecture, ...(variant === undefined ? {} : { variant }) }
}

/**
 * The entry of an index for a platform: the same variant first, then one that this architecture also runs (an image
 * without a variant; arm64 runs v8 for v9). Attestations (`unknown/unknown`) are never chosen. Throws `NOT_FOUND` and
 * names what there is.
 */
export function choosePlatform(manifests: readonly Descriptor[], wanted: Platform, name: string): Descriptor {
  const want = normalize(wanted)
  const fitting = manifests
    .filter((one) => one.platform !== undefined)
    .map((one) => ({ one, has: normalize(one.platform as Platform) }))
    .filter(({ has }) => has.os === want.os && has.architecture === want.architecture)
  const version = (variant: string | undefined) => Number(/^v?(\d+)/.exec(variant ?? '')?.[1] ?? 1)
  const best = fitting
    .filter(({ has }) => version(has.variant) <= version(want.variant))
    .sort((a, b) => version(b.has.variant) - version(a.has.variant))[0]
  if (best) return best.one
  // An index of one manifest without a platform is what some builders write for an image of one platform.
  const [only, ...others] = manifests
  if (only && others.length === 0 && only.platform === undefined) return only
  const there = [
    ...new Set(
      manifests.flatMap((one) =>
        one.platform && one.platform.os !== 'unknown' ? [formatPlatform(one.platform)] : [],
      ),
    ),
  ]
  throw new BerthError(
    'NOT_FOUND',
    `Cannot use image "${name}": no match for platform ${formatPlatform(wanted)} in its manifest list`,
    {
      hint: there.length > 0 ? `it is made for ${there.join(', ')}` : 'its manifest list names no platform',
    },
  )
}
