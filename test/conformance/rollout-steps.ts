import { firstWeb, shop } from './pod-steps.ts'
import type { Step } from './steps.ts'

/** After the steps of pods: changes roll, what fails is started again and told, what is deleted goes without a trace. */
export const rolloutSteps: readonly Step[] = [
  {
    name: 'a change rolls',
    command: 'kubectl set env deploy/web COLOUR=blue && kubectl rollout status deploy/web --timeout 60s',
    prints: [/env updated/, /successfully rolled out/],
  },
  {
    name: 'its pods have it',
    command: `kubectl exec ${firstWeb} -- sh -c 'echo $COLOUR'`,
    prints: [/^blue$/m],
    withinMs: 5000,
  },
  {
    name: 'rollout history',
    command: 'kubectl rollout history deploy/web',
    prints: [/^REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>$/m],
  },
  {
    name: 'rollout history of a revision',
    command: 'kubectl rollout history deploy/web --revision 2',
    prints: [/COLOUR:\s+blue/],
  },
  {
    name: 'rollout undo',
    command: 'kubectl rollout undo deploy/web && kubectl rollout status deploy/web --timeout 60s',
    prints: [/rolled back/, /successfully rolled out/],
  },
  {
    name: 'it is the first again',
    command: 'kubectl rollout history deploy/web && kubectl get deploy web -o yaml',
    prints: [/\n2 +<none>\n3 +<none>$/m],
    lacks: [/COLOUR/],
  },
  {
    name: 'rollout restart',
    command:
      'kubectl rollout restart deploy/web sts/db && kubectl rollout status deploy/web --timeout 60s && kubectl rollout status sts/db --timeout 60s',
    prints: [
      /deployment.apps\/web restarted/,
      /statefulset.apps\/db restarted/,
      /successfully rolled out/,
      /statefulset rolling update complete|roll out complete/,
    ],
  },
  {
    name: 'a StatefulSet keeps its files',
    command: 'kubectl exec db-1 -- cat /data/names',
    prints: [/^db-1\ndb-1$/m],
  },
  {
    name: 'rollout pause and resume',
    command:
      'kubectl rollout pause deploy/web && kubectl set env deploy/web COLOUR=red && sleep 1 && kubectl get rs -l app=web -o name | wc -l && kubectl rollout resume deploy/web && kubectl rollout status deploy/web --timeout 60s',
    prints: [/paused/, /^3$/m, /successfully rolled out/],
  },
  {
    name: 'a roll that cannot end is told',
    command:
      'kubectl set image deploy/web web=busybox:nosuch && kubectl rollout status deploy/web --timeout 3s',
    code: 1,
    prints: [/timed out/],
  },
  {
    name: 'its pod says why',
    command: 'kubectl get pods -l app=web',
    prints: [/(ErrImagePull|ImagePullBackOff)/],
    withinMs: 10_000,
  },
  {
    name: 'the old pods serve meanwhile',
    command: 'kubectl exec db-0 -- wget -qO- http://web/token',
    prints: [/s3cret/],
  },
  {
    name: 'undo',
    command: 'kubectl rollout undo deploy/web && kubectl rollout status deploy/web --timeout 60s',
    prints: [/successfully rolled out/],
  },
  {
    name: 'scale up',
    command:
      'kubectl scale deploy/web --replicas 3 && kubectl rollout status deploy/web --timeout 40s && kubectl get deploy web',
    prints: [/^web +3\/3/m],
  },
  {
    name: 'scale down',
    command: 'kubectl scale deploy/web sts/db --replicas 1',
    prints: [/deployment.apps\/web scaled/, /statefulset.apps\/db scaled/],
  },
  {
    name: 'one of each is left',
    command: 'kubectl get pods -l "app in (web,db)" --no-headers | wc -l',
    prints: [/^2$/m],
    withinMs: 45_000,
  },
  {
    name: 'an image that is not there',
    command:
      'kubectl run missing --image busybox:nosuch && kubectl wait pod/missing --for jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff --timeout 40s && kubectl describe pod missing',
    prints: [
      /Warning +Failed .*Failed to pull image "busybox:nosuch"/,
      /Normal +BackOff .*Back-off pulling image "busybox:nosuch"/,
    ],
  },

  {
    name: 'it has no logs',
    command: 'kubectl logs missing',
    code: 1,
    prints: [
      /\(BadRequest\): container "missing" in pod "missing" is waiting to start: (trying and failing to pull image|image can't be pulled)/,
    ],
  },

  {
    name: 'a container that ends is started again',
    command:
      "kubectl run crash --image busybox --restart Always -- sh -c 'echo life; sleep 1; exit 3' && kubectl get pod crash",
    prints: [/pod\/crash created/],
  },
  {
    name: 'with back-off',
    command: 'kubectl get pod crash',
    prints: [/CrashLoopBackOff +[12] /],
    withinMs: 20_000,
  },
  {
    name: 'logs --previous',
    command: 'kubectl logs crash --previous',
    prints: [/^life$/m],
    withinMs: 15_000,
  },
  {
    name: 'describe tells of it',
    command: 'kubectl describe pod crash',
    prints: [
      /Last State: +Terminated\n +Reason: +Error\n +Exit Code: +3/,
      /Warning +BackOff .*Back-off restarting failed container crash in pod crash_default/,
    ],
    withinMs: 15_000,
  },
  {
    name: 'a process that is killed is started again',
    command:
      'docker kill $(docker ps -q --filter label=io.kubernetes.pod.name=db-0); sleep 1; kubectl wait pod/db-0 --for condition=Ready --timeout 30s && kubectl get pod db-0',
    prints: [/^db-0 +1\/1 +Running +1 /m],
    withinMs: 10_000,
  },

  {
    name: 'delete a pod: another takes its place',
    command: `old=$(kubectl get pod -l app=web -o name) && kubectl delete $old --wait=false && sleep 1 && kubectl rollout status deploy/web --timeout 40s && kubectl get pods -l app=web`,
    prints: [/"web-\S+" deleted/, /1\/1 +Running/],
  },
  {
    name: 'delete now',
    command: 'kubectl delete pod crash missing --grace-period 0 --force',
    prints: [/pod "crash" force deleted/, /pod "missing" force deleted/],
  },
  {
    name: 'delete all that was applied',
    command: `kubectl delete -f ${shop} --timeout 60s`,
    prints: [
      /deployment.apps "web" deleted/,
      /statefulset.apps "db" deleted/,
      /persistentvolumeclaim "files" deleted/,
    ],
  },
  {
    name: 'delete what is left',
    command: 'kubectl delete pods,pvc --all --timeout 60s',
    prints: [/persistentvolumeclaim "data-db-0" deleted/],
  },
  {
    name: 'no object is left',
    command: 'kubectl get pods,pvc,pv,deploy,rs,sts,jobs,endpointslices,cm,secrets --no-headers',
    prints: [/No resources found/],
    lacks: [/^(?!No resources found|.*endpointslice.*kubernetes|.*kube-root-ca).+$/m],
    withinMs: 45_000,
  },
  {
    name: 'no container, no volume',
    command: 'docker ps -aq; docker volume ls -q',
    lacks: [/./],
    withinMs: 10_000,
  },
  {
    name: 'no veth, no pinned namespace',
    command: 'ip -o link | grep -c " bv"; ls "$BERTH_RUN/ns" "$BERTH_RUN/s"',
    prints: [/^0$/m],
    lacks: [/-net|-ipc|-uts/],
    withinMs: 10_000,
  },
  {
    name: 'delete a namespace with a pod',
    command:
      'kubectl create ns side && kubectl -n side run p --image busybox -- sleep 100 && kubectl -n side wait pod/p --for condition=Ready --timeout 20s && kubectl delete ns side --timeout 60s && kubectl get ns side',
    code: 1,
    prints: [/namespace "side" deleted/, /namespaces "side" not found/],
  },
]
