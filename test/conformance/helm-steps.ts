import { join } from 'node:path'
import type { Step } from './steps.ts'

const charts = join(import.meta.dirname, 'charts')
const plain = join(charts, 'plain')
const bars = join(charts, 'bars')
const get = (revision: string) =>
  `kubectl exec deploy/bars -- cat /page/index.html | grep -q ${revision} && kubectl get deploy bars -o jsonpath={.spec.replicas}`

/** helm and berth on the same releases and the same registry; `bars` is berth's chart, `plain` has Go templates. */
export const helmSteps: readonly Step[] = [
  {
    name: 'berth installs',
    command: `berth install bars ${bars} --set colour=red --wait --timeout 60s`,
    prints: [/STATUS: deployed/i],
  },
  {
    name: 'helm list',
    command: 'helm list',
    prints: [
      /^NAME\s+NAMESPACE\s+REVISION\s+UPDATED\s+STATUS\s+CHART\s+APP VERSION/m,
      /^bars\s+default\s+1\s+20\S+ \S+ \S+ \S+\s+deployed\s+bars-0\.1\.0\s+7\.0/m,
    ],
  },
  {
    name: 'helm list -o json',
    command: 'helm list -A -o json',
    prints: [/"name":"bars","namespace":"default","revision":"1"/, /"status":"deployed"/],
  },
  {
    name: 'helm status',
    command: 'helm status bars',
    prints: [/^STATUS: deployed$/m, /^REVISION: 1$/m, /^NOTES:\nThe page is red$/m],
  },
  {
    name: 'helm get values',
    command: 'helm get values bars',
    prints: [/^USER-SUPPLIED VALUES:\ncolour: red$/m],
  },
  {
    name: 'helm get values --all',
    command: 'helm get values bars --all',
    prints: [/^colour: red$/m, /^replicas: 1$/m],
  },
  {
    name: 'helm get manifest',
    command: 'helm get manifest bars',
    prints: [/^# Source: bars\/templates\/bars\.yaml\.hbs$/m, /<p>red<\/p>/],
  },
  {
    name: 'it is what berth gets',
    command:
      'helm get manifest bars > "$WORK/a"; berth get manifest bars > "$WORK/b"; diff "$WORK/a" "$WORK/b"',
  },
  {
    name: 'helm get notes, hooks, metadata',
    command: 'helm get notes bars && helm get hooks bars && helm get metadata bars',
    prints: [
      /The page is red/,
      /"?helm.sh\/hook"?: "?post-install"?/,
      /^CHART: bars$/m,
      /^STATUS: deployed$/m,
    ],
  },
  { name: 'the hook ran', command: 'kubectl get events', prints: [/bars-hook/] },
  {
    name: 'berth upgrades',
    command: `berth upgrade bars ${bars} --set colour=blue --set replicas=2 --wait --timeout 60s`,
    prints: [/STATUS: deployed/i],
  },
  {
    name: 'helm history',
    command: 'helm history bars',
    prints: [
      /^1\s+.*superseded\s+bars-0\.1\.0\s+7\.0\s+Install complete/m,
      /^2\s+.*deployed\s+bars-0\.1\.0\s+7\.0\s+Upgrade complete/m,
    ],
  },
  {
    name: 'it is what berth tells',
    command:
      'helm history bars -o json > "$WORK/a"; berth history bars -o json > "$WORK/b"; diff "$WORK/a" "$WORK/b"',
  },
  {
    name: 'helm list and berth list are alike',
    command: 'helm list -o json > "$WORK/a"; berth list -o json > "$WORK/b"; diff "$WORK/a" "$WORK/b"',
  },
  {
    name: "helm status and berth's are alike",
    command: `for tool in helm berth; do $tool status bars | sed 's/ [0-9]*s$/ AGE/' | tr -s ' ' | sort > "$WORK/$tool"; done; diff "$WORK/helm" "$WORK/berth"`,
  },
  {
    name: "helm's values and berth's are alike",
    command:
      'helm get values bars -a > "$WORK/a"; berth get values bars -a > "$WORK/b"; diff "$WORK/a" "$WORK/b"',
  },
  {
    name: 'helm rolls back',
    command: 'helm rollback bars 1 --wait --timeout 60s',
    prints: [/Rollback was a success/],
  },
  { name: 'the pods are the first again', command: get('red'), prints: [/^1$/m], withinMs: 20_000 },
  {
    name: 'berth history',
    command: 'berth history bars',
    prints: [/^3\s+.*deployed\s+bars-0\.1\.0\s+7\.0\s+Rollback to 1/m],
  },
  {
    name: 'berth upgrades what helm rolled back',
    command: `berth upgrade bars ${bars} --reuse-values --set replicas=2 --wait --timeout 60s`,
    prints: [/STATUS: deployed/i],
  },
  {
    name: 'with the values of before',
    command: 'helm get values bars',
    prints: [/^colour: red$/m, /^replicas: 2$/m],
  },
  {
    name: "berth rolls back to helm's revision",
    command: 'berth rollback bars 3 --wait --timeout 60s',
    prints: [/success/i],
  },
  {
    name: 'helm uninstalls what berth installed',
    command: 'helm uninstall bars --wait --timeout 60s',
    prints: [/release "bars" uninstalled/],
  },
  {
    name: 'nothing is left of it',
    command: 'kubectl get deploy,rs,cm,secret,pods -l app=bars --no-headers; berth list -q',
    prints: [/No resources found/],
    lacks: [/bars/],
    withinMs: 45_000,
  },

  {
    name: 'helm installs',
    command: `helm install plain ${plain} --set colour=green --wait --timeout 60s`,
    prints: [/^STATUS: deployed$/m, /The page is green/],
  },
  {
    name: 'its pod serves',
    command: 'kubectl exec deploy/plain -- busybox wget -qO- http://plain/',
    prints: [/green/],
  },
  { name: 'helm test', command: 'helm test plain', prints: [/Phase: +Succeeded/] },
  {
    name: 'berth list',
    command: 'berth list',
    prints: [/^plain\s+default\s+1\s+.*deployed\s+plain-0\.2\.0/m],
  },
  {
    name: 'berth status',
    command: 'berth status plain',
    prints: [/^STATUS: deployed$/m, /The page is green/],
  },
  {
    name: 'berth get',
    command: 'berth get values plain; berth get manifest plain',
    prints: [/^colour: green$/m, /<p>green<\/p>/],
  },
  {
    name: 'helm upgrades',
    command: `helm upgrade plain ${plain} --set colour=grey --wait --timeout 60s`,
    prints: [/has been upgraded/],
  },
  { name: 'berth rolls back', command: 'berth rollback plain 1 --wait --timeout 60s', prints: [/success/i] },
  {
    name: 'helm sees it',
    command: 'helm history plain',
    prints: [/^3\s+.*deployed\s+plain-0\.2\.0\s+\S+\s+Rollback to 1/m],
  },
  {
    name: 'the pods are the first again',
    command: 'kubectl exec deploy/plain -- busybox wget -qO- http://plain/',
    prints: [/green/],
    withinMs: 20_000,
  },
  {
    name: 'helm upgrade waits in vain, and rolls back',
    command: `helm upgrade plain ${plain} --set image=busybox:nosuch --rollback-on-failure --wait --timeout 5s`,
    code: 1,
    prints: [/failed/],
  },
  {
    name: 'helm status after it',
    command: 'helm status plain',
    prints: [/^STATUS: deployed$/m, /^REVISION: 5$/m],
  },
  {
    name: 'berth uninstalls what helm installed',
    command: 'berth uninstall plain --wait --timeout 60s',
    prints: [/release "plain" uninstalled/],
  },
  {
    name: 'nothing is left of it',
    command: 'kubectl get deploy,rs,cm,pods -l app=plain --no-headers; helm list -q',
    prints: [/No resources found/],
    lacks: [/plain/],
    withinMs: 45_000,
  },
  {
    name: 'a name that exists',
    command: `berth install twice ${bars} && helm install twice ${plain}`,
    code: 1,
    prints: [/cannot reuse a name that is still in use/],
  },
  {
    name: 'and the reverse',
    command: `berth install twice ${bars}; code=$?; helm uninstall twice; exit $code`,
    code: 1,
    prints: [/in use|exists/],
  },

  {
    name: 'berth packs and pushes',
    command: `cd "$WORK" && berth package ${bars} && berth push bars-0.1.0.tgz oci://127.0.0.1:5000/charts`,
    prints: [/^Pushed: 127\.0\.0\.1:5000\/charts\/bars:0\.1\.0$/m, /^Digest: sha256:[0-9a-f]{64}$/m],
  },
  {
    name: 'helm pulls it',
    command:
      'mkdir -p "$WORK/h" && cd "$WORK/h" && helm pull oci://127.0.0.1:5000/charts/bars --version 0.1.0 --plain-http && cmp bars-0.1.0.tgz ../bars-0.1.0.tgz && helm show chart bars-0.1.0.tgz',
    prints: [/^name: bars$/m],
  },
  {
    name: 'helm shows it in the registry',
    command: 'helm show values oci://127.0.0.1:5000/charts/bars --plain-http',
    prints: [/^colour: white$/m],
  },
  {
    name: 'helm packs and pushes',
    command: `cd "$WORK" && helm package ${plain} && helm push plain-0.2.0.tgz oci://127.0.0.1:5000/charts --plain-http`,
    prints: [/Pushed: 127\.0\.0\.1:5000\/charts\/plain:0\.2\.0/],
  },
  {
    name: 'berth pulls it',
    command:
      'mkdir -p "$WORK/b2" && cd "$WORK/b2" && berth pull oci://127.0.0.1:5000/charts/plain --version 0.2.0 && cmp plain-0.2.0.tgz ../plain-0.2.0.tgz',
    prints: [/^Pulled: 127\.0\.0\.1:5000\/charts\/plain:0\.2\.0$/m],
  },
  {
    name: 'berth pull --untar',
    command: 'cd "$WORK/b2" && berth pull oci://127.0.0.1:5000/charts/plain --untar && cat plain/Chart.yaml',
    prints: [/^name: plain$/m],
  },
  {
    name: 'berth installs from the registry',
    command:
      'berth install far oci://127.0.0.1:5000/charts/bars --set colour=far --wait --timeout 60s && helm status far',
    prints: [/The page is far/],
  },
  {
    name: 'helm installs from the registry',
    command: 'helm install far2 oci://127.0.0.1:5000/charts/plain --plain-http --wait --timeout 60s',
    prints: [/STATUS: deployed/],
  },
  {
    name: 'berth uninstalls both',
    command: 'berth uninstall far far2 --wait',
    prints: [/"far" uninstalled/, /"far2" uninstalled/],
  },
  {
    name: 'helm template with the real server',
    command: `helm install dry ${plain} --dry-run=server`,
    prints: [/^STATUS: pending-install$/m, /kind: Deployment/],
  },
  {
    name: 'helm in a namespace of its own',
    command: `helm install n1 ${plain} -n own --create-namespace --wait --timeout 60s && berth list -n own && helm uninstall n1 -n own && kubectl delete ns own --timeout 60s`,
    prints: [/^n1\s+own\s+1/m, /namespace "own" deleted/],
  },
  {
    name: 'no pod, no container',
    command: 'kubectl get pods -A --no-headers; docker ps -aq',
    prints: [/No resources found/],
    lacks: [/^(?!No resources found).+$/m],
    withinMs: 45_000,
  },
]
