import { readFileSync } from 'node:fs'
import type { ErrorObject } from 'ajv'
import { BerthError, errnoOf } from '../base/error.ts'
import { suggest } from '../base/suggest.ts'
import { type ConfigFile, configSchema } from './config.generated.ts'

/** What is asked of one registry, by its host. */
interface RegistryConfig {
  readonly mirrors?: readonly string[]
  readonly insecure?: boolean
  readonly ca?: string
}

/** `/etc/berth/config.json` with everything filled in. */
export interface Config {
  readonly root: string
  readonly run: string
  readonly group?: string
  readonly registries: Readonly<Record<string, RegistryConfig>>
  /** Of the registry inside the daemon; absent: there is none. */
  readonly registry?: { readonly address: string }
  readonly network: { readonly subnet: string; readonly serviceSubnet: string; readonly domain: string }
  readonly logs: { readonly maxSize: string | number; readonly maxFiles: number }
}

export const defaultRoot = '/var/lib/berth'
const defaultConfigFile = '/etc/berth/config.json'

/** What holds where the file says nothing. */
export function withDefaults(file: ConfigFile): Config {
  return {
    root: file.root ?? defaultRoot,
    run: file.run ?? '/run/berth',
    ...(file.group !== undefined && { group: file.group }),
    registries: (file.registries as Config['registries'] | undefined) ?? {},
    ...(file.registry !== undefined && { registry: file.registry }),
    network: {
      subnet: '10.210.0.0/16',
      serviceSubnet: '10.211.0.0/16',
      domain: 'cluster.local',
      ...file.network,
    },
    logs: { maxSize: '10Mi', maxFiles: 3, ...file.logs },
  }
}

/**
 * Reads and checks the configuration. The default file may be missing; one that was named may not. Everything that is
 * wrong is CONFIGURATION (exit 78, which the keeper does not restart), with the key's path and "did you mean".
 */
export async function readConfig(path: string | undefined): Promise<Config> {
  const file = path ?? defaultConfigFile
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (path === undefined && errnoOf(error) === 'ENOENT') return withDefaults({})
    throw new BerthError('CONFIGURATION', `Cannot read the configuration "${file}"`, { cause: error })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new BerthError('CONFIGURATION', `The configuration "${file}" is not JSON`, {
      where: { file, ...lineOf(text, error) },
      cause: error,
    })
  }
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const validate = new Ajv2020({ allErrors: true, verbose: true, allowUnionTypes: true }).compile<ConfigFile>(
    configSchema,
  )
  if (validate(value)) return withDefaults(value)
  throw invalid(file, validate.errors ?? [])
}

function invalid(file: string, errors: readonly ErrorObject[]): BerthError {
  const [first, ...more] = errors
  const place = first?.instancePath.replace(/^\//, '').replaceAll('/', '.') ?? ''
  const others = more.length > 0 ? ` (and ${more.length} more)` : ''
  if (first?.keyword === 'additionalProperties') {
    const key = String(first.params.additionalProperty)
    const known = Object.keys((first.parentSchema?.properties ?? {}) as object).filter((k) => k !== '$schema')
    const near = suggest(key, known)
    const full = place === '' ? key : `${place}.${key}`
    return new BerthError('CONFIGURATION', `Unknown key "${full}" in the configuration${others}`, {
      where: { file, path: full },
      hint: near ? `did you mean "${near}"?` : `known here: ${known.join(', ')}`,
    })
  }
  return new BerthError(
    'CONFIGURATION',
    `The configuration's "${place}" ${first?.message ?? 'is wrong'}${others}`,
    {
      where: { file, path: place },
      ...(first?.parentSchema?.description && { hint: `for example ${first.parentSchema.description}` }),
    },
  )
}

/** The line that JSON's error names. */
function lineOf(text: string, error: unknown): { line?: number } {
  const at = /position (\d+)/.exec(String(error))?.[1]
  return at === undefined ? {} : { line: text.slice(0, Number(at)).split('\n').length }
}
