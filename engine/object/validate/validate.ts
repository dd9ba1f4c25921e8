import { type KindName, type KindTypes, kindOf } from '../kinds.ts'
import type { KubeObject } from '../meta.ts'
import { type Cause, Causes } from './causes.ts'
import { checkMetadata, checkMetadataUpdate, usualName } from './meta.ts'
import { dns1035Label, dnsLabel, type FormCheck } from './names.ts'
import { checkPodSpec, checkPodUpdate } from './pod.ts'
import * as service from './service.ts'
import * as simple from './simple.ts'
import * as workload from './workload.ts'

interface Rules<T> {
  /** The form of names; most kinds' are DNS subdomains. */
  readonly name?: FormCheck
  check?(object: T, causes: Causes): void
  checkUpdate?(next: T, previous: T, causes: Causes): void
}

const rules: { readonly [K in KindName]?: Rules<KindTypes[K]> } = {
  Namespace: { name: dnsLabel },
  Pod: { check: (pod, causes) => checkPodSpec('spec', pod.spec, [], causes), checkUpdate: checkPodUpdate },
  Service: { name: dns1035Label, check: service.checkService, checkUpdate: service.checkServiceUpdate },
  EndpointSlice: { check: service.checkEndpointSlice, checkUpdate: service.checkEndpointSliceUpdate },
  Deployment: { check: workload.checkDeployment, checkUpdate: workload.checkDeploymentUpdate },
  ReplicaSet: { check: workload.checkReplicaSet, checkUpdate: workload.checkReplicaSetUpdate },
  StatefulSet: { check: workload.checkStatefulSet, checkUpdate: workload.checkStatefulSetUpdate },
  Job: { check: workload.checkJob, checkUpdate: workload.checkJobUpdate },
  ConfigMap: { check: simple.checkConfigMap, checkUpdate: simple.checkConfigMapUpdate },
  Secret: { check: simple.checkSecret, checkUpdate: simple.checkSecretUpdate },
  PersistentVolumeClaim: { check: simple.checkClaim, checkUpdate: simple.checkClaimUpdate },
  PersistentVolume: { check: simple.checkVolume },
  ControllerRevision: {
    check: simple.checkControllerRevision,
    checkUpdate: simple.checkControllerRevisionUpdate,
  },
}

/** Every rule that a new object breaks, after defaults and `prepareCreate`. None means that it may be stored. */
export function validateCreate(object: KubeObject): readonly Cause[] {
  const causes = new Causes()
  const rule = rulesOf(object)
  const namespaced = kindOf(object.apiVersion, object.kind)?.namespaced ?? true
  checkMetadata(object, namespaced, rule.name ?? usualName, causes)
  rule.check?.(object, causes)
  return causes.list
}

/** Every rule that the change of an object breaks, after defaults and `prepareUpdate`. */
export function validateUpdate(next: KubeObject, previous: KubeObject): readonly Cause[] {
  const causes = new Causes()
  const rule = rulesOf(next)
  checkMetadataUpdate(next, previous, causes)
  rule.check?.(next, causes)
  rule.checkUpdate?.(next, previous, causes)
  return causes.list
}

function rulesOf(object: KubeObject): Rules<KubeObject> {
  return (rules[object.kind as KindName] ?? {}) as Rules<KubeObject>
}
