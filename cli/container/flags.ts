import type { Command } from 'commander'
import { list } from '../connect.ts'

/** `[flags, what it does, given several times]`, docker's names and words. */
const runFlags: readonly (readonly [string, string, 'many'?])[] = [
  ['-i, --interactive', 'keep stdin open even if not attached'],
  ['-t, --tty', 'allocate a terminal'],
  ['-d, --detach', 'run in the background and print the container id'],
  ['--rm', 'remove the container and its anonymous volumes when it exits'],
  ['--name <name>', 'name of the container'],
  ['-e, --env <entry>', 'set an environment variable, NAME=VALUE or NAME', 'many'],
  ['--env-file <file>', 'read environment variables from a file', 'many'],
  ['-p, --publish <ports>', 'publish a port to the host, [ADDRESS:][HOST:]CONTAINER[/udp]', 'many'],
  ['-P, --publish-all', 'publish all exposed ports to free ports'],
  ['--expose <port>', 'expose a port', 'many'],
  ['-v, --volume <mount>', 'mount a volume or a folder, SOURCE:TARGET[:ro]', 'many'],
  ['--mount <mount>', 'mount in the long form, type=bind,source=…,target=…', 'many'],
  ['--tmpfs <target>', 'mount a tmpfs, TARGET[:OPTIONS]', 'many'],
  ['-w, --workdir <folder>', 'working directory inside the container'],
  ['-u, --user <user>', 'user name or id, USER[:GROUP]'],
  ['--group-add <group>', 'further groups to join', 'many'],
  ['--entrypoint <program>', "overwrite the image's entrypoint"],
  ['-h, --hostname <name>', 'host name of the container'],
  ['--domainname <name>', 'domain name of the container'],
  ['--network <network>', 'network to connect to, or none, host, container:NAME', 'many'],
  ['--network-alias <alias>', 'further name on the network', 'many'],
  ['--ip <address>', 'IPv4 address on the network'],
  ['--add-host <host>', 'add to /etc/hosts, NAME:ADDRESS', 'many'],
  ['--dns <address>', 'set DNS servers', 'many'],
  ['--dns-search <domain>', 'set DNS search domains', 'many'],
  ['--dns-option <option>', 'set DNS options', 'many'],
  ['-m, --memory <bytes>', 'memory limit'],
  ['--memory-swap <bytes>', 'limit of memory and swap, -1 for unlimited swap'],
  ['--memory-reservation <bytes>', 'soft memory limit'],
  ['--cpus <number>', 'number of CPUs'],
  ['-c, --cpu-shares <weight>', 'relative weight of CPU time'],
  ['--cpu-period <us>', 'period of the CPU limit'],
  ['--cpu-quota <us>', 'CPU time within a period'],
  ['--cpuset-cpus <list>', 'CPUs to run on, 0-3 or 0,1'],
  ['--cpuset-mems <list>', 'memory nodes to use'],
  ['--pids-limit <count>', 'limit of processes, -1 for unlimited'],
  ['--ulimit <limit>', 'resource limits, NAME=SOFT[:HARD]', 'many'],
  ['--shm-size <bytes>', 'size of /dev/shm'],
  ['--oom-score-adj <score>', 'preference of the OOM killer, -1000 to 1000'],
  ['--restart <policy>', 'no, always, unless-stopped, on-failure[:COUNT]'],
  ['-l, --label <label>', 'set a label, KEY=VALUE', 'many'],
  ['--label-file <file>', 'read labels from a file', 'many'],
  ['--cap-add <capability>', 'add Linux capabilities', 'many'],
  ['--cap-drop <capability>', 'drop Linux capabilities', 'many'],
  ['--privileged', 'give all capabilities and devices'],
  ['--security-opt <option>', 'security options, no-new-privileges or seccomp=…', 'many'],
  ['--device <device>', 'add a device of the host', 'many'],
  ['--sysctl <setting>', 'set a sysctl, KEY=VALUE', 'many'],
  ['--read-only', 'mount the root file system read-only'],
  ['--init', 'run an init that forwards signals and reaps processes (not there yet: refused)'],
  ['--ipc <mode>', 'IPC namespace: private, host or container:NAME'],
  ['--pid <mode>', 'PID namespace: host or container:NAME'],
  ['--uts <mode>', 'UTS namespace: host'],
  ['--cgroupns <mode>', 'cgroup namespace: private or host'],
  ['--stop-signal <signal>', 'signal that stops the container'],
  ['--stop-timeout <seconds>', 'time until the container is killed on stop'],
  ['--log-driver <driver>', 'json-file or none'],
  ['--log-opt <option>', 'max-size and max-file of the log', 'many'],
  ['-a, --attach <stream>', 'attach to stdin, stdout or stderr only', 'many'],
  ['--pull <when>', 'pull before running: always, missing or never'],
  ['-q, --quiet', 'no output of the pull'],
  ['--platform <platform>', 'platform of the image, linux/amd64'],
  ['--cidfile <file>', 'write the container id to a file'],
  ['--detach-keys <keys>', 'keys that leave the container running, ctrl-p,ctrl-q'],
]

/** Adds the flags of `run` and `create`; words behind the image belong to the container. */
export function addRunFlags(command: Command): Command {
  command.passThroughOptions()
  for (const [flags, description, many] of runFlags) {
    if (many) command.option(flags, description, list)
    else command.option(flags, description)
  }
  return command
}
