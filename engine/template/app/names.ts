/** Annotations of berth's on what an App expands to. The release engine and, at boot, the node obey them. */
export const appAnnotations = {
  /** On a pod template: comma-separated workloads of the same namespace that are ready before this one starts. */
  needs: 'berth.dev/needs',
  /** On a Job: the workload that starts when the Job is done. */
  before: 'berth.dev/before',
  /** On a Job: the workload that is ready before the Job starts. */
  after: 'berth.dev/after',
  /** On a pod template: digest of the configuration files that it mounts, so that a change restarts it. */
  config: 'berth.dev/config',
  /** On a Secret: the number of characters that were drawn for it. */
  generated: 'berth.dev/generated',
} as const

/** `RELEASE-SERVICE`; for the App's other objects `RELEASE-NAME` alike. */
export function nameOf(release: string, part: string): string {
  return `${release}-${part}`
}

/** Labels of every object of an App, and of its pods. */
export function labelsOf(context: { release: string; chart: string; app: string }, component?: string) {
  return {
    'app.kubernetes.io/name': context.app,
    'app.kubernetes.io/instance': context.release,
    'app.kubernetes.io/managed-by': 'Helm',
    ...(component === undefined ? {} : { 'app.kubernetes.io/component': component }),
    'helm.sh/chart': context.chart.replaceAll('+', '_'),
  }
}

/** What selects a service's pods: labels that never change over upgrades. */
export function selectorOf(context: { release: string; app: string }, component: string) {
  return {
    'app.kubernetes.io/name': context.app,
    'app.kubernetes.io/instance': context.release,
    'app.kubernetes.io/component': component,
  }
}
