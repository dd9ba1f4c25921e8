/**
 * The pinned kubectl (and helm) against the API alone, in a temporary store: each step is a command line and what it must
 * print. Nothing runs pods here; where a controller would write a status, the step does.
 *
 *   node test/conformance/kubectl.ts [FOLDER OF kubectl AND helm, /tmp/peers/bin by default]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runControllers } from '../../engine/api/control/run.ts'
import { createKubernetesApi } from '../../engine/api/http.ts'
import { ensureNamespaces } from '../../engine/api/namespaces.ts'
import type { PodAccess } from '../../engine/api/pods.ts'
import { systemClock } from '../../engine/base/host/clock.ts'
import { garbageController } from '../../engine/control/garbage.ts'
import { namespaceController } from '../../engine/control/namespace.ts'
import { kinds } from '../../engine/object/kinds.ts'
import { Store } from '../../engine/store/store.ts'

interface Step {
  readonly name: string
  readonly command: string
  readonly input?: string
  /** Expected exit code, 0 by default. */
  readonly code?: number
  /** Each must match stdout and stderr together. */
  readonly prints?: readonly RegExp[]
  readonly lacks?: readonly RegExp[]
}

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

const steps: readonly Step[] = [
  { name: 'version', command: 'version', prints: [/Server Version: v1\.35\./] },
  {
    name: 'api-resources',
    command: 'api-resources',
    prints: [/^deployments +deploy +apps\/v1 +true +Deployment$/m],
  },
  { name: 'api-versions', command: 'api-versions', prints: [/^apps\/v1$/m, /^v1$/m] },
  { name: 'get namespaces', command: 'get ns', prints: [/^NAME +STATUS +AGE$/m, /^default +Active/m] },
  { name: 'apply makes', command: 'apply -f -', input: web(), prints: [/^deployment.apps\/web created$/m] },
  { name: 'apply again', command: 'apply -f -', input: web(), prints: [/^deployment.apps\/web unchanged$/m] },
  { name: 'diff sees nothing', command: 'diff -f -', input: web() },
  {
    name: 'diff sees a change',
    command: 'diff -f -',
    input: web({ image: '2' }),
    code: 1,
    prints: [/\+.*nginx:2/],
  },
  {
    name: 'apply changes and prunes a field',
    command: 'apply -f -',
    input: web({ image: '2', env: false }),
    prints: [/configured/],
  },
  {
    name: 'the field is gone',
    command: 'get deploy web -o yaml',
    prints: [/image: nginx:2/],
    lacks: [/^ +env:/m],
  },
  {
    name: 'get',
    command: 'get deploy',
    prints: [/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE$/m, /^web +0\/2/m],
  },
  {
    name: 'get wide',
    command: 'get deploy -o wide',
    prints: [/CONTAINERS +IMAGES +SELECTOR/, /nginx:2 +app=web/],
  },
  {
    name: 'get by selector',
    command: 'get deploy -l app=web,!no -o name',
    prints: [/^deployment.apps\/web$/m],
  },
  {
    name: 'get by field',
    command: 'get deploy --field-selector metadata.name=none',
    prints: [/No resources found/],
  },
  {
    name: 'get with chunks',
    command: 'get ns --chunk-size 1 -o name',
    prints: [/namespace\/default\nnamespace\/kube/],
  },
  {
    name: 'get sorted json',
    command: 'get ns -o jsonpath={.items[*].metadata.name}',
    prints: [/default kube-system/],
  },
  {
    name: 'get none',
    command: 'get pod none',
    code: 1,
    prints: [/^Error from server \(NotFound\): pods "none" not found$/m],
  },
  {
    name: 'get an unknown kind',
    command: 'get gizmo',
    code: 1,
    prints: [/doesn't have a resource type "gizmo"/],
  },
  {
    name: 'describe',
    command: 'describe deploy web',
    prints: [/^Selector: +app=web$/m, /25% max unavailable/, /Image: +nginx:2/],
  },
  {
    name: 'strategic patch',
    command: `patch deploy web -p {"spec":{"template":{"spec":{"containers":[{"name":"web","workingDir":"/w"}]}}}}`,
    prints: [/patched/],
  },
  {
    name: 'it kept the image',
    command: 'get deploy web -o jsonpath={..containers[0]}',
    prints: [/nginx:2/, /"\/w"/],
  },
  {
    name: 'merge patch',
    command: 'patch deploy web --type merge -p {"spec":{"paused":true}}',
    prints: [/patched/],
  },
  {
    name: 'json patch',
    command: 'patch deploy web --type json -p [{"op":"remove","path":"/spec/paused"}]',
    prints: [/patched/],
  },
  {
    name: 'json patch whose test fails',
    command: 'patch deploy web --type json -p [{"op":"test","path":"/spec/replicas","value":77}]',
    code: 1,
    prints: [/The request is invalid: /],
  },
  {
    name: 'patch nothing',
    command: 'patch deploy web --type merge -p {"spec":{"replicas":2}}',
    prints: [/no change/],
  },
  { name: 'label', command: 'label deploy web tier=front', prints: [/labeled/] },
  { name: 'label again', command: 'label deploy web tier=back', code: 1, prints: [/already has a value/] },
  { name: 'annotate', command: 'annotate deploy web note=x', prints: [/annotated/] },
  { name: 'set image', command: 'set image deploy/web web=nginx:3', prints: [/image updated/] },
  { name: 'scale', command: 'scale deploy web --replicas 3 --current-replicas 2', prints: [/scaled/] },
  {
    name: 'scale from a wrong number',
    command: 'scale deploy web --replicas 9 --current-replicas 2',
    code: 1,
    prints: [/Expected replicas to be 2, was 3/],
  },
  {
    name: 'rollout status waits',
    command: 'rollout status deploy web --timeout 1s',
    code: 1,
    prints: [/Waiting for deployment/, /timed out/],
  },
  {
    name: 'status through its subresource',
    command: `patch deploy web --subresource status --type merge -p ${JSON.stringify({ status: { ...status, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 } })}`,
    prints: [/patched/],
  },
  { name: 'rollout status', command: 'rollout status deploy web', prints: [/successfully rolled out/] },
  {
    name: 'wait',
    command: 'wait deploy web --for condition=Available --timeout 5s',
    prints: [/condition met/],
  },
  {
    name: 'explain',
    command: 'explain deploy.spec.strategy',
    prints: [/FIELD: strategy <DeploymentStrategy>/, /rollingUpdate/],
  },
  {
    name: 'explain recursively',
    command: 'explain pod --recursive',
    prints: [/livenessProbe/, /configMapRef/],
  },
  { name: 'create', command: 'create -f -', input: map, prints: [/configmap\/one created/] },
  {
    name: 'create twice',
    command: 'create -f -',
    input: map,
    code: 1,
    prints: [/\(AlreadyExists\).*configmaps "one" already exists/],
  },
  {
    name: 'create by protobuf',
    command: 'create configmap two --from-literal a=b',
    prints: [/configmap\/two created/],
  },
  {
    name: 'create a secret',
    command: 'create secret generic s --from-literal a=b',
    prints: [/secret\/s created/],
  },
  { name: 'its value', command: 'get secret s -o jsonpath={.data.a}', prints: [/^Yg==$/] },
  {
    name: 'create with a name that is made',
    command: 'create -f -',
    input: 'apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-}\n',
    prints: [/configmap\/made-\w{5} created/],
  },
  {
    name: 'replace',
    command: 'replace -f -',
    input: `${map}data: {x: z}\n`,
    prints: [/configmap\/one replaced/],
  },
  {
    name: 'dry run',
    command: 'create configmap dry --dry-run=server',
    prints: [/created \(server dry run\)/],
  },
  { name: 'it was one', command: 'get configmap dry', code: 1, prints: [/NotFound/] },
  {
    name: 'an unknown field',
    command: 'apply -f -',
    input: `${map}dtaa: {x: y}\n`,
    code: 1,
    prints: [/strict decoding error: unknown field "dtaa"/],
  },
  {
    name: 'a warning',
    command: 'apply --validate=warn -f -',
    input: `${map}dtaa: {x: y}\n`,
    prints: [/Warning: unknown field "dtaa"/],
  },
  {
    name: 'an invalid object',
    command: 'create -f -',
    input: web({ replicas: -1 }).replace('name: web', 'name: bad'),
    code: 1,
    prints: [/The Deployment "bad" is invalid: spec.replicas: Invalid value: -1/],
  },
  {
    name: 'server-side apply refuses what others set',
    command: 'apply --server-side --field-manager me -f -',
    input: web({ replicas: 7 }),
    code: 1,
    prints: [/Apply failed with \d+ conflicts/, /- \.spec\.replicas/],
  },
  {
    name: 'server-side apply by force',
    command: 'apply --server-side --field-manager me --force-conflicts -f -',
    input: web({ replicas: 7 }),
    prints: [/serverside-applied/],
  },
  {
    name: 'who sets what',
    command: 'get deploy web --show-managed-fields -o jsonpath={.metadata.managedFields[0]}',
    prints: [/"manager":"me","operation":"Apply"/],
  },
  { name: 'expose', command: 'expose deploy web --port 80 --type NodePort', prints: [/exposed/] },
  {
    name: 'get a service',
    command: 'get svc web',
    prints: [/^web +NodePort +10\.211\.\d+\.\d+ +<none> +80:3\d{4}\/TCP/m],
  },
  { name: 'describe a service', command: 'describe svc web', prints: [/^IP: +10\.211\./m] },
  { name: 'run', command: 'run p --image busybox --labels app=p', prints: [/pod\/p created/] },
  {
    name: 'get a pod',
    command: 'get pod',
    prints: [/^NAME +READY +STATUS +RESTARTS +AGE$/m, /^p +0\/1 +Pending +0/m],
  },
  { name: 'describe a pod', command: 'describe pod p', prints: [/^Status: +Pending$/m, /Image: +busybox/] },
  { name: 'logs', command: 'logs p --tail 2', prints: [/^2 lines of default\/p\/p$/m] },
  { name: 'exec', command: 'exec p -- echo hello', prints: [/^hello$/m] },
  { name: 'exec with an exit code', command: 'exec p -- false', code: 1, prints: [/exit code 1/] },
  {
    name: 'exec with stdin',
    command: 'exec -i p -- wc -c',
    input: 'x'.repeat(300_000),
    prints: [/^300000$/m],
  },
  { name: 'exec with much output', command: 'exec p -- seq 200000', prints: [/^199999\n200000$/m] },
  { name: 'exec in a wrong container', command: 'exec p -c q -- true', code: 1, prints: [/container.* q/] },
  { name: 'watch', command: 'get pod -w --request-timeout 2s', prints: [/^p +0\/1 +Pending/m] },
  { name: 'delete a pod', command: 'delete pod p', prints: [/pod "p" deleted/] },
  { name: 'events', command: 'get events', prints: [/No resources found/] },
  { name: 'delete what is not there', command: 'delete pod p', code: 1, prints: [/\(NotFound\)/] },
  { name: 'delete if there', command: 'delete pod p --ignore-not-found' },
  {
    name: 'delete in the foreground',
    command: 'delete deploy web --cascade=foreground',
    prints: [/deployment.apps "web" deleted/],
  },
  {
    name: 'delete all of a kind',
    command: 'delete configmap --all',
    prints: [/configmap "one" deleted/, /configmap "two" deleted/],
  },
  { name: 'create a namespace', command: 'create ns shop', prints: [/namespace\/shop created/] },
  { name: 'with something in it', command: '-n shop create configmap c', prints: [/created/] },
  {
    name: 'delete the namespace',
    command: 'delete ns shop --timeout 10s',
    prints: [/namespace "shop" deleted/],
  },
  { name: 'wait for it', command: 'wait ns/shop --for delete --timeout 5s' },
  { name: 'it took what was in it', command: 'get configmap -A -o name', lacks: [/configmap\/c$/m] },
]

/** Stands in for a node: commands run here, on this machine. */
const pods: PodAccess = {
  async *logs(pod, { tailLines }) {
    yield Buffer.from(`${tailLines} lines of ${pod.namespace}/${pod.name}/${pod.container}\n`)
  },
  async exec(_pod, { command, stdin }) {
    const [program = '', ...rest] = command
    const child = spawn(program, rest, { stdio: 'pipe' })
    if (!stdin) child.stdin.end()
    return {
      ...{ stdin: child.stdin, stdout: child.stdout, stderr: child.stderr },
      resize: async () => undefined,
      exited: once(child, 'exit').then(([code]) => ({ code: Number(code) })),
      close: () => child.kill(),
    }
  },
  attach: (pod, options, signal) => pods.exec(pod, { ...options, command: ['cat'] }, signal),
}

const bin = process.argv[2] ?? '/tmp/peers/bin'
const folder = await mkdtemp(join(tmpdir(), 'berth-kubectl-'))
const end = new AbortController()
const log = () => undefined
const store = await Store.open({
  folder: join(folder, 'db'),
  log,
  onFatal: (error) => {
    throw error
  },
})
const api = createKubernetesApi({
  objects: store.objects,
  kinds,
  clock: systemClock,
  log,
  serviceSubnet: '10.211.0.0/16',
  version: '0.0.0',
  pods,
})
await ensureNamespaces(store.objects, api.writes)
const controlling = runControllers(
  {
    objects: store.objects,
    writes: api.writes,
    controllers: [garbageController, namespaceController],
    clock: systemClock,
    log,
  },
  end.signal,
)
const server = createServer(api.handle).on('upgrade', api.upgrade)
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

let failed = 0
for (const step of steps) {
  const { code, output } = await kubectl(step)
  const wrong = [
    ...(code === (step.code ?? 0) ? [] : [`exit code ${code}, not ${step.code ?? 0}`]),
    ...(step.prints ?? [])
      .filter((pattern) => !pattern.test(output))
      .map((pattern) => `does not print ${pattern}`),
    ...(step.lacks ?? []).filter((pattern) => pattern.test(output)).map((pattern) => `prints ${pattern}`),
  ]
  if (wrong.length > 0) failed++
  console.log(`${wrong.length === 0 ? 'ok    ' : 'FAILED'} ${step.name}`)
  if (wrong.length > 0)
    console.log(`  kubectl ${step.command}\n  ${wrong.join('\n  ')}\n${output.replace(/^/gm, '  | ')}`)
}
console.log(`${steps.length - failed} of ${steps.length} steps are right`)
end.abort()
await controlling
server.closeAllConnections()
server.close()
await store.close()
await rm(folder, { recursive: true })
process.exitCode = failed === 0 ? 0 : 1

async function kubectl({ command, input }: Step): Promise<{ code: number; output: string }> {
  const child = spawn(join(bin, 'kubectl'), ['--server', url, ...command.split(' ')], {
    env: { HOME: folder, KUBECONFIG: '/dev/null', PATH: process.env.PATH },
    timeout: 20_000,
  })
  child.stdin.end(input ?? '')
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  const [code] = await once(child, 'close')
  return { code: Number(code), output: Buffer.concat(chunks).toString() }
}
