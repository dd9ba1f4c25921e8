import type { ManifestDocument } from './manifest.ts'

const hookEvents = [
  'pre-install',
  'post-install',
  'pre-delete',
  'post-delete',
  'pre-upgrade',
  'post-upgrade',
  'pre-rollback',
  'post-rollback',
  'test',
] as const
export type HookEvent = (typeof hookEvents)[number]

const hookDeletePolicies = ['before-hook-creation', 'hook-succeeded', 'hook-failed'] as const
export type HookDeletePolicy = (typeof hookDeletePolicies)[number]

/** A rendered document that runs at events of the release instead of belonging to it. */
export interface Hook {
  readonly name: string
  readonly kind: string
  readonly path: string
  readonly manifest: string
  readonly events: readonly HookEvent[]
  readonly weight: number
  readonly deletePolicies: readonly HookDeletePolicy[]
  readonly outputLogPolicies: readonly string[]
}

const annotation = {
  hook: 'helm.sh/hook',
  weight: 'helm.sh/hook-weight',
  deletePolicy: 'helm.sh/hook-delete-policy',
  outputLogPolicy: 'helm.sh/hook-output-log-policy',
} as const

/**
 * The hook that a document declares, `undefined` for a plain one, `'unknown'` for one that names an event that
 * nobody knows (Helm leaves such a document out; the caller warns).
 */
export function hookOf(document: ManifestDocument): Hook | undefined | 'unknown' {
  const metadata = (
    document.value as { metadata?: { name?: string; annotations?: Record<string, unknown> } } | null
  )?.metadata
  const annotations = metadata?.annotations
  const declared = annotations?.[annotation.hook]
  if (typeof declared !== 'string') return undefined
  const words = (key: string) =>
    typeof annotations?.[key] === 'string'
      ? (annotations[key] as string).split(',').map((word) => word.trim().toLowerCase())
      : []
  const events = words(annotation.hook).map((word) => (word === 'test-success' ? 'test' : word))
  if (!events.every((event): event is HookEvent => (hookEvents as readonly string[]).includes(event)))
    return 'unknown'
  const weight = annotations?.[annotation.weight]
  return {
    name: metadata?.name ?? '',
    kind: document.kind,
    path: document.source,
    manifest: document.text,
    events,
    weight: typeof weight === 'string' && /^[+-]?\d+$/.test(weight) ? Number(weight) : 0,
    deletePolicies: words(annotation.deletePolicy).filter((word): word is HookDeletePolicy =>
      (hookDeletePolicies as readonly string[]).includes(word),
    ),
    outputLogPolicies: words(annotation.outputLogPolicy),
  }
}
