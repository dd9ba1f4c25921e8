/** What the API that a chart is rendered for can do, as templates ask for it. */
export interface Capabilities {
  readonly KubeVersion: { readonly Version: string; readonly Major: string; readonly Minor: string }
  readonly APIVersions: readonly string[]
}

/** Without a cluster: what Helm 4.1 assumes for `helm template`. */
export const defaultCapabilities: Capabilities = {
  KubeVersion: { Version: 'v1.35.0', Major: '1', Minor: '35' },
  APIVersions: [
    'v1',
    'admissionregistration.k8s.io/v1',
    'admissionregistration.k8s.io/v1alpha1',
    'admissionregistration.k8s.io/v1beta1',
    'internal.apiserver.k8s.io/v1alpha1',
    'apps/v1',
    'apps/v1beta1',
    'apps/v1beta2',
    'authentication.k8s.io/v1',
    'authentication.k8s.io/v1alpha1',
    'authentication.k8s.io/v1beta1',
    'authorization.k8s.io/v1',
    'authorization.k8s.io/v1beta1',
    'autoscaling/v1',
    'autoscaling/v2',
    'autoscaling/v2beta1',
    'autoscaling/v2beta2',
    'batch/v1',
    'batch/v1beta1',
    'certificates.k8s.io/v1',
    'certificates.k8s.io/v1beta1',
    'certificates.k8s.io/v1alpha1',
    'coordination.k8s.io/v1alpha2',
    'coordination.k8s.io/v1beta1',
    'coordination.k8s.io/v1',
    'discovery.k8s.io/v1',
    'discovery.k8s.io/v1beta1',
    'events.k8s.io/v1',
    'events.k8s.io/v1beta1',
    'extensions/v1beta1',
    'flowcontrol.apiserver.k8s.io/v1',
    'flowcontrol.apiserver.k8s.io/v1beta1',
    'flowcontrol.apiserver.k8s.io/v1beta2',
    'flowcontrol.apiserver.k8s.io/v1beta3',
    'networking.k8s.io/v1',
    'networking.k8s.io/v1beta1',
    'node.k8s.io/v1',
    'node.k8s.io/v1alpha1',
    'node.k8s.io/v1beta1',
    'policy/v1',
    'policy/v1beta1',
    'rbac.authorization.k8s.io/v1',
    'rbac.authorization.k8s.io/v1beta1',
    'rbac.authorization.k8s.io/v1alpha1',
    'resource.k8s.io/v1',
    'resource.k8s.io/v1beta2',
    'resource.k8s.io/v1beta1',
    'resource.k8s.io/v1alpha3',
    'scheduling.k8s.io/v1alpha1',
    'scheduling.k8s.io/v1beta1',
    'scheduling.k8s.io/v1',
    'storage.k8s.io/v1beta1',
    'storage.k8s.io/v1',
    'storage.k8s.io/v1alpha1',
    'storagemigration.k8s.io/v1beta1',
    'apiextensions.k8s.io/v1beta1',
    'apiextensions.k8s.io/v1',
  ],
}

/** Capabilities for `--kube-version` and `--api-versions`. */
export function capabilitiesFor(options: {
  kubeVersion?: string
  apiVersions?: readonly string[]
}): Capabilities {
  const match = /^v?(\d+)\.(\d+)/.exec(options.kubeVersion ?? '')
  return {
    KubeVersion: match
      ? {
          Version: `v${options.kubeVersion?.replace(/^v/, '')}`,
          Major: match[1] ?? '',
          Minor: match[2] ?? '',
        }
      : defaultCapabilities.KubeVersion,
    APIVersions: [...defaultCapabilities.APIVersions, ...(options.apiVersions ?? [])],
  }
}
