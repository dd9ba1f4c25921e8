import type { Command } from 'commander'
import type { Output } from './output.ts'

/** Whose command this is: decides the exit code of a wrong command line. */
export type Manners = 'berth' | 'helm' | 'docker'

export type Group = 'release' | 'chart' | 'container' | 'image' | 'system'

/** What a command's file exports; `output` is where its action writes. */
interface CommandModule {
  command(output: Output): Command
}

export interface CommandEntry {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly group: Group
  readonly manners: Manners
  /** One line for `berth --help`, sentence case, no full stop. */
  readonly summary: string
  /** Commands are loaded late: only the one that runs costs its start. */
  readonly load: () => Promise<CommandModule>
}

/** The headings of `berth --help`, in order. */
export const groups: Readonly<Record<Group, string>> = {
  release: 'Releases',
  chart: 'Charts',
  container: 'Containers',
  image: 'Images',
  system: 'System',
}

/** Every command of berth, in the order of its help. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'install',
    group: 'release',
    manners: 'helm',
    summary: 'Install a chart',
    load: () => import('./release/install.ts'),
  },
  {
    name: 'upgrade',
    group: 'release',
    manners: 'helm',
    summary: 'Upgrade a release',
    load: () => import('./release/upgrade.ts'),
  },
  {
    name: 'rollback',
    group: 'release',
    manners: 'helm',
    summary: 'Roll a release back to an earlier revision',
    load: () => import('./release/rollback.ts'),
  },
  {
    name: 'uninstall',
    aliases: ['delete', 'un'],
    group: 'release',
    manners: 'helm',
    summary: 'Uninstall releases',
    load: () => import('./release/uninstall.ts'),
  },
  {
    name: 'list',
    aliases: ['ls'],
    group: 'release',
    manners: 'helm',
    summary: 'List releases',
    load: () => import('./release/list.ts'),
  },
  {
    name: 'status',
    group: 'release',
    manners: 'helm',
    summary: 'Print the state of a release',
    load: () => import('./release/status.ts'),
  },
  {
    name: 'history',
    aliases: ['hist'],
    group: 'release',
    manners: 'helm',
    summary: 'List the revisions of a release',
    load: () => import('./release/history.ts'),
  },
  {
    name: 'get',
    group: 'release',
    manners: 'helm',
    summary: 'Print parts of a release: values, manifest, notes, hooks, all',
    load: () => import('./release/get.ts'),
  },
  {
    name: 'template',
    group: 'chart',
    manners: 'helm',
    summary: 'Render a chart and print its objects',
    load: () => import('./chart/template.ts'),
  },
  {
    name: 'lint',
    group: 'chart',
    manners: 'helm',
    summary: 'Examine a chart for possible issues',
    load: () => import('./chart/lint.ts'),
  },
  {
    name: 'show',
    group: 'chart',
    manners: 'helm',
    summary: 'Print what a chart says of itself: chart, values, readme, all',
    load: () => import('./chart/show.ts'),
  },
  {
    name: 'package',
    group: 'chart',
    manners: 'helm',
    summary: 'Pack a chart folder into a chart archive',
    load: () => import('./chart/package.ts'),
  },
  {
    name: 'push',
    group: 'chart',
    manners: 'helm',
    summary: 'Push a packed chart to a registry',
    load: () => import('./chart/push.ts'),
  },
  {
    name: 'run',
    group: 'container',
    manners: 'docker',
    summary: 'Create and start a container from an image',
    load: () => import('./container/run.ts'),
  },
  {
    name: 'exec',
    group: 'container',
    manners: 'docker',
    summary: 'Run a command in a running container',
    load: () => import('./container/exec.ts'),
  },
  {
    name: 'ps',
    group: 'container',
    manners: 'docker',
    summary: 'List containers',
    load: () => import('./container/ps.ts'),
  },
  {
    name: 'logs',
    group: 'container',
    manners: 'docker',
    summary: 'Print the logs of a container',
    load: () => import('./container/logs.ts'),
  },
  {
    name: 'attach',
    group: 'container',
    manners: 'docker',
    summary: 'Join the input and output of a running container',
    load: () => import('./container/attach.ts'),
  },
  {
    name: 'start',
    group: 'container',
    manners: 'docker',
    summary: 'Start stopped containers',
    load: () => import('./container/start.ts'),
  },
  {
    name: 'stop',
    group: 'container',
    manners: 'docker',
    summary: 'Stop running containers',
    load: () => import('./container/stop.ts'),
  },
  {
    name: 'restart',
    group: 'container',
    manners: 'docker',
    summary: 'Restart containers',
    load: () => import('./container/restart.ts'),
  },
  {
    name: 'kill',
    group: 'container',
    manners: 'docker',
    summary: 'Send a signal to running containers',
    load: () => import('./container/kill.ts'),
  },
  {
    name: 'wait',
    group: 'container',
    manners: 'docker',
    summary: 'Wait until containers stop and print their exit codes',
    load: () => import('./container/wait.ts'),
  },
  {
    name: 'rm',
    group: 'container',
    manners: 'docker',
    summary: 'Remove containers',
    load: () => import('./container/rm.ts'),
  },
  {
    name: 'inspect',
    group: 'container',
    manners: 'docker',
    summary: 'Print all that is known of containers and other objects, or a launch plan',
    load: () => import('./container/inspect.ts'),
  },
  {
    name: 'container',
    group: 'container',
    manners: 'docker',
    summary: "Containers in docker's grouped spelling",
    load: () => import('./container/container.ts'),
  },
  {
    name: 'images',
    group: 'image',
    manners: 'docker',
    summary: 'List images',
    load: () => import('./image/images.ts'),
  },
  {
    name: 'pull',
    group: 'image',
    manners: 'docker',
    summary: 'Pull an image from a registry',
    load: () => import('./image/pull.ts'),
  },
  {
    name: 'rmi',
    group: 'image',
    manners: 'docker',
    summary: 'Remove images',
    load: () => import('./image/rmi.ts'),
  },
  {
    name: 'tag',
    group: 'image',
    manners: 'docker',
    summary: 'Give an image a further name',
    load: () => import('./image/tag.ts'),
  },
  {
    name: 'image',
    group: 'image',
    manners: 'docker',
    summary: "Images in docker's grouped spelling",
    load: () => import('./image/image.ts'),
  },
  {
    name: 'volume',
    group: 'system',
    manners: 'docker',
    summary: 'Volumes: create, ls, inspect, rm',
    load: () => import('./system/volume.ts'),
  },
  {
    name: 'network',
    group: 'system',
    manners: 'docker',
    summary: 'Networks: create, ls, inspect, connect, disconnect, rm',
    load: () => import('./system/network.ts'),
  },
  {
    name: 'registry',
    group: 'system',
    manners: 'helm',
    summary: 'OCI registries: serve one, log in, log out',
    load: () => import('./system/registry.ts'),
  },
  {
    name: 'daemon',
    group: 'system',
    manners: 'berth',
    summary: 'Start the daemon, in the foreground',
    load: () => import('./system/daemon.ts'),
  },
  {
    name: 'kubeconfig',
    group: 'system',
    manners: 'berth',
    summary: 'Print a kubeconfig for kubectl and helm',
    load: () => import('./system/kubeconfig.ts'),
  },
  {
    name: 'system',
    group: 'system',
    manners: 'berth',
    summary: 'The whole of this machine: reset',
    load: () => import('./system/system.ts'),
  },
  {
    name: 'version',
    group: 'system',
    manners: 'berth',
    summary: "Print berth's version",
    load: () => import('./system/version.ts'),
  },
]
