import { BerthError } from '../base/error.ts'
import { defaultPath } from '../runtime/oci/defaults.ts'
import { signalNumber } from '../runtime/oci/linux.ts'
import type { ContainerSettings, MountPoint, MountSetting, ResolvedProcess } from './container.ts'
import type { ImageConfig } from './ports.ts'

/**
 * docker's rules: an entrypoint that is given drops the image's command; `['']` clears the image's entrypoint; the
 * image's environment comes first and is overridden by name; `NAME` without `=` takes the variable away.
 */
export function resolveProcess(settings: ContainerSettings, image: ImageConfig): ResolvedProcess {
  const cleared = settings.entrypoint?.length === 1 && settings.entrypoint[0] === ''
  const entrypoint = cleared ? [] : (settings.entrypoint ?? image.Entrypoint ?? [])
  const imageCmd = settings.entrypoint === undefined ? (image.Cmd ?? []) : []
  const cmd = settings.cmd?.length ? settings.cmd : imageCmd
  if (entrypoint.length + cmd.length === 0) {
    throw new BerthError('INVALID', 'No command specified', {
      hint: `the image "${settings.image}" has none of its own: name a program after it`,
    })
  }
  const stopSignal = settings.stopSignal || image.StopSignal || 'SIGTERM'
  if (signalNumber(stopSignal) === undefined) throw new BerthError('INVALID', `Invalid signal: ${stopSignal}`)
  const workingDir = settings.workingDir || image.WorkingDir || '/'
  if (!workingDir.startsWith('/')) {
    throw new BerthError(
      'INVALID',
      `the working directory '${workingDir}' is invalid, it needs to be an absolute path`,
    )
  }
  return {
    entrypoint,
    cmd,
    env: mergeEnv([defaultPath, ...(image.Env ?? [])], settings.env),
    workingDir: normalizePath(workingDir),
    user: settings.user || image.User || '',
    labels: { ...image.Labels, ...settings.labels },
    stopSignal,
    exposedPorts: [
      ...new Set([
        ...Object.keys(image.ExposedPorts ?? {}),
        ...settings.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`),
      ]),
    ],
  }
}

/** `base` overridden by `over`, each name once, in the place where it first stood. */
export function mergeEnv(base: readonly string[], over: readonly string[]): string[] {
  const values = new Map<string, string>()
  for (const entry of [...base, ...over]) {
    const name = entry.split('=', 1)[0] ?? ''
    if (entry.includes('=')) values.set(name, entry)
    else values.delete(name)
  }
  return [...values.values()]
}

/** `//a/./b/../c/` → `/a/c`. */
export function normalizePath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** A mount before its volume's folder is known. */
export type MountPlan = Omit<MountPoint, 'source'> & { readonly source: string | undefined }

/**
 * What is asked, then the image's own volumes that nothing covers, as anonymous ones; parents before children.
 * `newName` draws an anonymous volume's name.
 */
export function planMounts(
  settings: ContainerSettings,
  image: ImageConfig,
  newName: () => string,
): MountPlan[] {
  const seen = new Set<string>()
  const plan: MountPlan[] = settings.mounts.map((setting) => {
    const target = checkTarget(setting, seen)
    const anonymous = setting.kind === 'volume' && !setting.source
    const name = setting.kind === 'volume' ? (setting.source ?? newName()) : undefined
    return {
      kind: setting.kind,
      ...(name !== undefined && { name }),
      source: setting.kind === 'bind' ? checkSource(setting) : undefined,
      target,
      readOnly: setting.readOnly,
      anonymous,
      setting,
    }
  })
  for (const path of Object.keys(image.Volumes ?? {})) {
    const target = normalizePath(path)
    if (seen.has(target) || target === '/') continue
    seen.add(target)
    plan.push({
      kind: 'volume',
      name: newName(),
      source: undefined,
      target,
      readOnly: false,
      anonymous: true,
      setting: { kind: 'volume', target, readOnly: false },
    })
  }
  return plan.sort((a, b) => a.target.split('/').length - b.target.split('/').length)
}

function checkTarget({ target }: MountSetting, seen: Set<string>): string {
  if (!target.startsWith('/')) {
    throw new BerthError(
      'INVALID',
      `Invalid mount config: mount path ${JSON.stringify(target)} must be absolute`,
    )
  }
  const path = normalizePath(target)
  if (path === '/') {
    throw new BerthError('INVALID', "Invalid mount config: destination can't be '/'")
  }
  if (seen.has(path)) throw new BerthError('INVALID', `Duplicate mount point: ${path}`)
  seen.add(path)
  return path
}

function checkSource({ source }: MountSetting): string {
  if (!source?.startsWith('/')) {
    throw new BerthError(
      'INVALID',
      `Invalid mount config for type "bind": source path ${JSON.stringify(source ?? '')} must be absolute`,
    )
  }
  return normalizePath(source)
}
