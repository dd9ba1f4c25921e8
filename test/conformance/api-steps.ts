import type { Step } from './steps.ts'

const web = (more: { image?: string; env?: boolean; replicas?: number } = {}) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${more.replicas ?? 2}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "nginx:${more.image ?? '1'}", ports: [{containerPort: 80}]${more.env === false ? '' : ', env: [{name: A, value: "1"}]'}}
`
const status = {
  observedGeneration: 99,
  replicas: 2,
  updatedReplicas: 2,
  readyReplicas: 2,
  availableReplicas: 2,
  conditions: [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }],
}
const map = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n'

/** kubectl against the API alone: where a controller or a node would write a status, the step does. */
export const apiSteps: readonly Step[] = [
  { name: 'version', command: 'kubectl version', prints: [/Server Version: v1\.35\./] },
  {
    name: 'api-resources',
    command: 'kubectl api-resources',
    prints: [/^deployments +deploy +apps\/v1 +true +Deployment$/m],
  },
  { name: 'api-versions', command: 'kubectl api-versions', prints: [/^apps\/v1$/m, /^v1$/m] },
  {
    name: 'get namespaces',
    command: 'kubectl get ns',
    prints: [/^NAME +STATUS +AGE$/m, /^default +Active/m],
  },
  {
    name: 'apply makes',
    command: 'kubectl apply -f -',
    input: web(),
    prints: [/^deployment.apps\/web created$/m],
  },
  {
    name: 'apply again',
    command: 'kubectl apply -f -',
    input: web(),
    prints: [/^deployment.apps\/web unchanged$/m],
  },
  { name: 'diff sees nothing', command: 'kubectl diff -f -', input: web() },
  {
    name: 'diff sees a change',
    command: 'kubectl diff -f -',
    input: web({ image: '2' }),
    code: 1,
    prints: [/\+.*nginx:2/],
  },
  {
    name: 'apply changes and prunes a field',
    command: 'kubectl apply -f -',
    input: web({ image: '2', env: false }),
    prints: [/configured/],
  },
  {
    name: 'the field is gone',
    command: 'kubectl get deploy web -o yaml',
    prints: [/image: nginx:2/],
    lacks: [/^ +env:/m],
  },
  {
    name: 'get',
    command: 'kubectl get deploy',
    prints: [/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE$/m, /^web +0\/2/m],
  },
  {
    name: 'get wide',
    command: 'kubectl get deploy -o wide',
    prints: [/CONTAINERS +IMAGES +SELECTOR/, /nginx:2 +app=web/],
  },
  {
    name: 'get by selector',
    command: 'kubectl get deploy -l app=web,!no -o name',
    prints: [/^deployment.apps\/web$/m],
  },
  {
    name: 'get by field',
    command: 'kubectl get deploy --field-selector metadata.name=none',
    prints: [/No resources found/],
  },
  {
    name: 'get with chunks',
    command: 'kubectl get ns --chunk-size 1 -o name',
    prints: [/namespace\/default\nnamespace\/kube/],
  },
  {
    name: 'get sorted json',
    command: 'kubectl get ns -o jsonpath={.items[*].metadata.name}',
    prints: [/default kube-node-lease kube-system/],
  },
  {
    name: 'get none',
    command: 'kubectl get pod none',
    code: 1,
    prints: [/^Error from server \(NotFound\): pods "none" not found$/m],
  },
  {
    name: 'get an unknown kind',
    command: 'kubectl get gizmo',
    code: 1,
    prints: [/doesn't have a resource type "gizmo"/],
  },
  {
    name: 'describe',
    command: 'kubectl describe deploy web',
    prints: [/^Selector: +app=web$/m, /25% max unavailable/, /Image: +nginx:2/],
  },
  {
    name: 'strategic patch',
    command: `kubectl patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","workingDir":"/w"}]}}}}'`,
    prints: [/patched/],
  },
  {
    name: 'it kept the image',
    command: 'kubectl get deploy web -o jsonpath={..containers[0]}',
    prints: [/nginx:2/, /"\/w"/],
  },
  {
    name: 'merge patch',
    command: `kubectl patch deploy web --type merge -p '{"spec":{"paused":true}}'`,
    prints: [/patched/],
  },
  {
    name: 'json patch',
    command: `kubectl patch deploy web --type json -p '[{"op":"remove","path":"/spec/paused"}]'`,
    prints: [/patched/],
  },
  {
    name: 'json patch whose test fails',
    command: `kubectl patch deploy web --type json -p '[{"op":"test","path":"/spec/replicas","value":77}]'`,
    code: 1,
    prints: [/The request is invalid: /],
  },
  {
    name: 'patch nothing',
    command: `kubectl patch deploy web --type merge -p '{"spec":{"replicas":2}}'`,
    prints: [/no change/],
  },
  { name: 'label', command: 'kubectl label deploy web tier=front', prints: [/labeled/] },
  {
    name: 'label again',
    command: 'kubectl label deploy web tier=back',
    code: 1,
    prints: [/already has a value/],
  },
  { name: 'annotate', command: 'kubectl annotate deploy web note=x', prints: [/annotated/] },
  { name: 'set image', command: 'kubectl set image deploy/web web=nginx:3', prints: [/image updated/] },
  {
    name: 'scale',
    command: 'kubectl scale deploy web --replicas 3 --current-replicas 2',
    prints: [/scaled/],
  },
  {
    name: 'scale from a wrong number',
    command: 'kubectl scale deploy web --replicas 9 --current-replicas 2',
    code: 1,
    prints: [/Expected replicas to be 2, was 3/],
  },
  {
    name: 'rollout status waits',
    command: 'kubectl rollout status deploy web --timeout 1s',
    code: 1,
    prints: [/Waiting for deployment/, /timed out/],
  },
  {
    name: 'status through its subresource',
    command: `kubectl patch deploy web --subresource status --type merge -p '${JSON.stringify({ status: { ...status, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 } })}'`,
    prints: [/patched/],
  },
  {
    name: 'rollout status',
    command: 'kubectl rollout status deploy web',
    prints: [/successfully rolled out/],
  },
  {
    name: 'wait',
    command: 'kubectl wait deploy web --for condition=Available --timeout 5s',
    prints: [/condition met/],
  },
  {
    name: 'explain',
    command: 'kubectl explain deploy.spec.strategy',
    prints: [/FIELD: strategy <DeploymentStrategy>/, /rollingUpdate/],
  },
  {
    name: 'explain recursively',
    command: 'kubectl explain pod --recursive',
    prints: [/livenessProbe/, /configMapRef/],
  },
  { name: 'create', command: 'kubectl create -f -', input: map, prints: [/configmap\/one created/] },
  {
    name: 'create twice',
    command: 'kubectl create -f -',
    input: map,
    code: 1,
    prints: [/\(AlreadyExists\).*configmaps "one" already exists/],
  },
  {
    name: 'create by protobuf',
    command: 'kubectl create configmap two --from-literal a=b',
    prints: [/configmap\/two created/],
  },
  {
    name: 'create a secret',
    command: 'kubectl create secret generic s --from-literal a=b',
    prints: [/secret\/s created/],
  },
  { name: 'its value', command: 'kubectl get secret s -o jsonpath={.data.a}', prints: [/^Yg==$/] },
  {
    name: 'create with a name that is made',
    command: 'kubectl create -f -',
    input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-}\n',
    prints: [/configmap\/made-\w{5} created/],
  },
  {
    name: 'replace',
    command: 'kubectl replace -f -',
    input: `${map}data: {x: z}\n`,
    prints: [/configmap\/one replaced/],
  },
  {
    name: 'dry run',
    command: 'kubectl create configmap dry --dry-run=server',
    prints: [/created \(server dry run\)/],
  },
  { name: 'it was one', command: 'kubectl get configmap dry', code: 1, prints: [/NotFound/] },
  {
    name: 'an unknown field',
    command: 'kubectl apply -f -',
    input: `${map}dtaa: {x: y}\n`,
    code: 1,
    prints: [/strict decoding error: unknown field "dtaa"/],
  },
  {
    name: 'a warning',
    command: 'kubectl apply --validate=warn -f -',
    input: `${map}dtaa: {x: y}\n`,
    prints: [/Warning: unknown field "dtaa"/],
  },
  {
    name: 'an invalid object',
    command: 'kubectl create -f -',
    input: web({ replicas: -1 }).replace('name: web', 'name: bad'),
    code: 1,
    prints: [/The Deployment "bad" is invalid: spec.replicas: Invalid value: -1/],
  },
  {
    name: 'server-side apply refuses what others set',
    command: 'kubectl apply --server-side --field-manager me -f -',
    input: web({ replicas: 7 }),
    code: 1,
    prints: [/Apply failed with \d+ conflicts/, /- \.spec\.replicas/],
  },
  {
    name: 'server-side apply by force',
    command: 'kubectl apply --server-side --field-manager me --force-conflicts -f -',
    input: web({ replicas: 7 }),
    prints: [/serverside-applied/],
  },
  {
    name: 'who sets what',
    command: 'kubectl get deploy web --show-managed-fields -o jsonpath={.metadata.managedFields[0]}',
    prints: [/"manager":"me","operation":"Apply"/],
  },
  { name: 'expose', command: 'kubectl expose deploy web --port 80 --type NodePort', prints: [/exposed/] },
  {
    name: 'get a service',
    command: 'kubectl get svc web',
    prints: [/^web +NodePort +10\.211\.\d+\.\d+ +<none> +80:3\d{4}\/TCP/m],
  },
  { name: 'describe a service', command: 'kubectl describe svc web', prints: [/^IP: +10\.211\./m] },
  { name: 'run', command: 'kubectl run p --image busybox --labels app=p', prints: [/pod\/p created/] },
  {
    name: 'get a pod',
    command: 'kubectl get pod',
    prints: [/^NAME +READY +STATUS +RESTARTS +AGE$/m, /^p +0\/1 +Pending +0/m],
  },
  {
    name: 'describe a pod',
    command: 'kubectl describe pod p',
    prints: [/^Status: +Pending$/m, /Image: +busybox/],
  },
  { name: 'logs', command: 'kubectl logs p --tail 2', prints: [/^2 lines of default\/p\/p$/m] },
  { name: 'exec', command: 'kubectl exec p -- echo hello', prints: [/^hello$/m] },
  { name: 'exec with an exit code', command: 'kubectl exec p -- false', code: 1, prints: [/exit code 1/] },
  {
    name: 'exec with stdin',
    command: 'kubectl exec -i p -- wc -c',
    input: 'x'.repeat(300_000),
    prints: [/^300000$/m],
  },
  { name: 'exec with much output', command: 'kubectl exec p -- seq 200000', prints: [/^199999\n200000$/m] },
  {
    name: 'exec in a wrong container',
    command: 'kubectl exec p -c q -- true',
    code: 1,
    prints: [/container.* q/],
  },
  { name: 'watch', command: 'kubectl get pod -w --request-timeout 2s', prints: [/^p +0\/1 +Pending/m] },
  { name: 'delete a pod', command: 'kubectl delete pod p', prints: [/pod "p" deleted/] },
  { name: 'events', command: 'kubectl get events', prints: [/No resources found/] },
  { name: 'delete what is not there', command: 'kubectl delete pod p', code: 1, prints: [/\(NotFound\)/] },
  { name: 'delete if there', command: 'kubectl delete pod p --ignore-not-found' },
  {
    name: 'delete in the foreground',
    command: 'kubectl delete deploy web --cascade=foreground',
    prints: [/deployment.apps "web" deleted/],
  },
  {
    name: 'delete all of a kind',
    command: 'kubectl delete configmap --all',
    prints: [/configmap "one" deleted/, /configmap "two" deleted/],
  },
  { name: 'create a namespace', command: 'kubectl create ns shop', prints: [/namespace\/shop created/] },
  { name: 'with something in it', command: 'kubectl -n shop create configmap c', prints: [/created/] },
  {
    name: 'delete the namespace',
    command: 'kubectl delete ns shop --timeout 10s',
    prints: [/namespace "shop" deleted/],
  },
  { name: 'wait for it', command: 'kubectl wait ns/shop --for delete --timeout 5s' },
  { name: 'it took what was in it', command: 'kubectl get configmap -A -o name', lacks: [/configmap\/c$/m] },
]
