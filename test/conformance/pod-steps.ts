import { join } from 'node:path'
import type { Step } from './steps.ts'

export const shop = join(import.meta.dirname, 'objects/shop.yaml')
export const firstWeb = '$(kubectl get pod -l app=web -o name | head -1)'

/** kubectl on a whole daemon: pods really run, are reached by name, are started again, and go. */
export const podSteps: readonly Step[] = [
  { name: 'version', command: 'kubectl version', prints: [/Server Version: v1\.35\./] },
  {
    name: 'get nodes',
    command: 'kubectl get nodes -o wide',
    prints: [/^\S+ +Ready +control-plane .* berth:\/\//m],
  },
  {
    name: 'apply seven kinds',
    command: `kubectl apply -f ${shop}`,
    prints: [
      /^deployment.apps\/web created$/m,
      /^statefulset.apps\/db created$/m,
      /^job.batch\/once created$/m,
      /^persistentvolumeclaim\/files created$/m,
      /^secret\/key created$/m,
    ],
  },
  {
    name: 'rollout status of a Deployment',
    command: 'kubectl rollout status deploy/web --timeout 40s',
    prints: [/deployment "web" successfully rolled out/],
  },
  {
    name: 'rollout status of a StatefulSet',
    command: 'kubectl rollout status sts/db --timeout 40s',
    prints: [/partitioned roll out complete: 2 new pods/],
  },
  {
    name: 'wait for a Job',
    command: 'kubectl wait --for condition=complete job/once --timeout 30s',
    prints: [/condition met/],
  },
  {
    name: 'apply again',
    command: `kubectl apply -f ${shop}`,
    prints: [/^deployment.apps\/web unchanged$/m],
    lacks: [/created/],
  },
  { name: 'diff', command: `kubectl diff -f ${shop}`, lacks: [/./] },
  {
    name: 'get -A',
    command: 'kubectl get all -A',
    prints: [
      /^default +pod\/db-0 +1\/1 +Running +0 /m,
      /^default +deployment.apps\/web +2\/2 +2 +2 /m,
      /^default +statefulset.apps\/db +2\/2 /m,
      /^default +job.batch\/once +Complete +1\/1 /m,
      /^default +replicaset.apps\/web-\w+ +2 +2 +2 /m,
    ],
  },
  {
    name: 'get -o wide',
    command: 'kubectl get pods -o wide',
    prints: [/^db-1 +1\/1 +Running +0 +\w+ +10\.210\.\d+\.\d+ /m, /^once-\w{5} +0\/1 +Completed /m],
  },
  {
    name: 'get -o yaml',
    command: 'kubectl get pod db-0 -o yaml',
    prints: [
      /^ {2}- containerID: berth:\/\/[0-9a-f]{64}$/m,
      /^ {2}phase: Running$/m,
      /^ {2}podIP: 10\.210\./m,
      /^ {2}nodeName: /m,
    ],
  },
  {
    name: 'get by phase',
    command: 'kubectl get pods --field-selector status.phase=Succeeded -o name',
    prints: [/^pod\/once-\w{5}\n$/],
  },
  {
    name: 'get claims and volumes',
    command: 'kubectl get pvc,pv',
    prints: [
      /^persistentvolumeclaim\/data-db-1 +Bound +\S+ +1Mi +RWO/m,
      /^persistentvolume\/\S+ +1Mi +RWO +Delete +Bound +default\/files/m,
    ],
  },
  {
    name: 'describe a pod, with events',
    command: `kubectl describe ${firstWeb}`,
    prints: [
      /^Status: +Running$/m,
      /^Controlled By: +ReplicaSet\/web-/m,
      /Ready: +True/,
      /Normal +Pulled .*Successfully pulled image "busybox"|Container image "busybox" already present/,
      /Normal +Started .*Started container web/,
      /Volumes:\n {2}www:\n {4}Type: +EmptyDir/,
    ],
  },
  {
    name: 'describe a deployment',
    command: 'kubectl describe deploy web',
    prints: [
      /2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable/,
      /NewReplicaSet: +web-\w+ \(2\/2 replicas created\)/,
      /ScalingReplicaSet .*Scaled up replica set web-\w+ from 0 to 2/,
    ],
  },
  {
    name: 'describe a service',
    command: 'kubectl describe service web',
    prints: [/^IP: +10\.211\.\d+\.\d+$/m, /^Endpoints: +10\.210\.\d+\.\d+:8080,10\.210\.\d+\.\d+:8080$/m],
  },
  {
    name: 'describe the node',
    command: 'kubectl describe node',
    prints: [
      /Ready +True +\w+, \d+ \w+ 20.*KubeletReady/,
      /Non-terminated Pods: +\(4 in total\)/,
      /^Capacity:\n {2}cpu: +\d+$/m,
    ],
    lacks: [/Failed to get lease/, /0001/],
  },
  {
    name: 'describe a job, a claim, a set',
    command: 'kubectl describe job/once pvc/files sts/db',
    prints: [/1 Succeeded/, /^Used By: +once-/m, /Pods Status: +2 Running/],
  },
  {
    name: 'get events',
    command: 'kubectl get events --sort-by .lastTimestamp',
    prints: [
      /Normal +SuccessfulCreate +replicaset\/web-\w+ +Created pod: web-/,
      /Normal +Started +pod\/db-0 +Started container db/,
    ],
  },
  { name: 'events', command: 'kubectl events --for pod/db-0', prints: [/Normal +Started +Pod\/db-0/] },
  { name: 'top', command: 'kubectl top pods', code: 1, prints: [/Metrics API not available/] },
  {
    name: 'a Service by its name, from another pod',
    command: 'kubectl exec db-0 -- wget -qO- http://web/conf/greeting',
    prints: [/^hello from the config$/],
  },
  {
    name: 'by its whole name',
    command: 'kubectl exec db-0 -- wget -qO- http://web.default.svc.cluster.local/token',
    prints: [/^s3cret$/m],
  },
  {
    name: 'a pod of a StatefulSet by its name',
    command: 'kubectl exec db-0 -- wget -qO- http://db-1.db:9000/names',
    prints: [/^db-1$/m],
  },
  {
    name: 'both pods of the Service answer',
    command: 'for i in $(seq 20); do kubectl exec db-0 -- wget -qO- http://web/host; done | sort -u | wc -l',
    prints: [/^2$/m],
  },
  {
    name: 'a Service from the host',
    command: `"$NODE" -e "fetch('http://$(kubectl get svc web -o jsonpath={.spec.clusterIP})/token').then(r => r.text()).then(console.log)"`,
    prints: [/^s3cret$/m],
  },

  { name: 'logs', command: 'kubectl logs job/once', prints: [/^counted\n$/] },
  {
    name: 'logs -c with times',
    command: `kubectl logs ${firstWeb} -c web --timestamps`,
    prints: [/^20\S+Z started$/m],
  },
  {
    name: 'logs by label',
    command: 'kubectl logs -l app=web --prefix',
    prints: [/^\[pod\/web-\S+\/web\] started$/m],
  },
  { name: 'logs of nothing', command: 'kubectl logs nosuch', code: 1, prints: [/pods "nosuch" not found/] },
  {
    name: 'logs of a wrong container',
    command: 'kubectl logs db-0 -c nosuch',
    code: 1,
    prints: [/container nosuch is not valid for pod db-0/],
  },
  {
    name: 'logs --previous of one that never restarted',
    command: 'kubectl logs db-0 --previous',
    code: 1,
    prints: [/previous terminated container "db" in pod "db-0" not found/],
  },
  {
    name: 'logs -f',
    command:
      "kubectl run tick --image busybox --restart Never -- sh -c 'for i in 1 2 3; do echo t$i; sleep 1; done' && kubectl wait pod/tick --for jsonpath={.status.phase}=Running --timeout 20s && kubectl logs -f tick",
    prints: [/^t1\nt2\nt3$/m],
  },
  {
    name: 'run --rm -i',
    command: 'kubectl run asks --rm -i --image busybox --restart Never --quiet -- cat',
    input: 'typed\n',
    prints: [/^typed$/m],
  },
  {
    name: 'exec',
    command: "kubectl exec db-0 -- sh -c 'hostname; exit 7'",
    code: 7,
    prints: [/^db-0$/m, /command terminated with exit code 7/],
  },
  {
    name: 'exec with input',
    command: 'kubectl exec -i db-0 -- wc -c',
    input: 'x'.repeat(300_000),
    prints: [/^300000$/m],
  },
  {
    name: 'exec with a terminal',
    command: 'script -qec "kubectl exec -it db-0 -- sh -c \'tty; exit 4\'" /dev/null',
    code: 4,
    prints: [/\/dev\/pts\/\d/],
  },
  {
    name: 'exec of a program that is not there',
    command: 'kubectl exec db-0 -- nosuch',
    code: 1,
    prints: [/Internal error occurred: error executing command in container: .*nosuch/],
  },
  {
    name: 'exec in a wrong container',
    command: 'kubectl exec db-0 -c nosuch -- true',
    code: 1,
    prints: [/container nosuch is not valid for pod db-0/],
  },
  {
    name: 'cp',
    command:
      'kubectl cp /etc/hostname db-0:/tmp/name && kubectl exec db-0 -- cat /tmp/name | diff - /etc/hostname',
  },
  {
    name: 'attach',
    command:
      "kubectl run talks --image busybox --restart Never -- sh -c 'sleep 3; echo said; sleep 1' && kubectl wait pod/talks --for condition=Ready --timeout 20s && kubectl attach talks",
    prints: [/^said$/m],
  },
  {
    name: 'port-forward is refused',
    command: 'timeout 10 kubectl port-forward svc/web 18099:80',
    code: 1,
    prints: [/portforward/],
  },
]
