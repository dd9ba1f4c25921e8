import type { Shell, Step } from './steps.ts'

/** Docker's own client; where a step has a `like`, a real dockerd must answer the same. */
export const dockerSteps = (dockerd: Shell): readonly Step[] => [
  {
    name: 'version',
    command: 'docker version',
    prints: [/^Server: berth\n Engine:\n {2}Version:/m, /API version: +1\.4/],
  },
  { name: 'info', command: 'docker info', prints: [/Storage Driver: overlay2/, /Cgroup Version: [12]/] },
  { name: 'pull', command: 'docker pull busybox', prints: [/Downloaded newer image for busybox:latest/] },
  { name: 'pull again', command: 'docker pull busybox:latest', prints: [/Image is up to date/] },
  {
    name: 'pull what is not there',
    command: 'docker pull busybox:none',
    code: 1,
    prints: [/not found|unknown/],
  },
  { name: 'pull with a wrong name', command: 'docker pull Busybox', code: 1, like: dockerd },
  {
    name: 'images',
    command: 'docker images',
    prints: [/^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$/m, /^busybox +latest +[0-9a-f]{12} /m],
  },
  { name: 'images by name', command: 'docker images -q nosuch', like: dockerd },
  { name: 'tag and rmi', command: 'docker tag busybox two:1 && docker rmi two:1', like: dockerd },
  { name: 'rmi of nothing', command: 'docker rmi nosuch', code: 1, like: dockerd },
  {
    name: 'image inspect',
    command: "docker image inspect -f '{{.Config.Cmd}} {{.Os}} {{.RootFS.Type}}' busybox",
    like: dockerd,
  },
  { name: 'history', command: 'docker history -q busybox', prints: [/./] },

  { name: 'run --rm', command: 'docker run --rm busybox echo hi', prints: [/^hi$/m] },
  {
    name: 'its exit code',
    command: "docker run --rm --network none busybox sh -c 'exit 7'",
    code: 7,
    like: dockerd,
  },
  {
    name: 'a program that is not there',
    command: 'docker run --rm --network none busybox nosuch',
    code: 127,
    prints: [/"nosuch": executable file not found in \$PATH/],
  },
  {
    name: 'a file that is no program',
    command: 'docker run --rm --network none busybox /etc/passwd',
    code: 126,
    prints: [/permission denied/],
  },
  {
    name: 'an image that is not there',
    command: 'docker run --rm --pull never nosuch',
    code: 125,
    prints: [/No such image: nosuch:latest/],
  },
  {
    name: 'input',
    command: 'docker run --rm -i --network none busybox wc -c',
    input: 'x'.repeat(100_000),
    prints: [/^100000$/m],
    like: dockerd,
  },
  {
    name: 'output kept apart',
    command: "docker run --rm --network none busybox sh -c 'echo out; echo err >&2' 2>/dev/null",
    lacks: [/err/],
    like: dockerd,
  },
  {
    name: 'a terminal',
    command: 'script -qec "docker run --rm -it --network none busybox sh -c \'tty; exit 5\'" /dev/null',
    code: 5,
    prints: [/\/dev\/pts\/0/],
  },
  {
    name: 'a terminal that is typed at',
    command:
      "(sleep 2; echo 'echo $((40+2)); exit 3'; sleep 2) | script -qec 'docker run --rm -it --network none busybox sh' /dev/null",
    code: 3,
    prints: [/^42\r?$/m],
  },
  {
    name: 'environment, folder, user, host name',
    command:
      "docker run --rm --network none -e A=1 -w /tmp -u nobody -h box busybox sh -c 'echo $A $PWD $(id -u) $(hostname)'",
    prints: [/^1 \/tmp 65534 box$/m],
    like: dockerd,
  },
  {
    name: 'entrypoint',
    command: 'docker run --rm --network none --entrypoint /bin/echo busybox a b',
    prints: [/^a b$/m],
    like: dockerd,
  },
  {
    name: 'a read-only root and a tmpfs',
    command: "docker run --rm --network none --read-only --tmpfs /t busybox sh -c 'touch /t/a && touch /b'",
    code: 1,
    like: dockerd,
  },
  {
    name: 'capabilities',
    command: "docker run --rm --network none --cap-drop ALL busybox sh -c 'grep CapEff /proc/self/status'",
    like: dockerd,
  },
  {
    name: 'a memory limit',
    command:
      'docker run --rm --network none -m 64m busybox sh -c "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null"',
    prints: [/^67108864$/m],
    code: 1,
  },
  { name: 'a flag that is wrong', command: 'docker run --memory 1x busybox', code: 125, like: dockerd },
  {
    name: 'a network that is not there',
    command: 'docker run --rm --network nosuch busybox true',
    code: 125,
    prints: [/docker: Error response from daemon: network nosuch not found\./],
    lacks: [/Unable to find image/],
  },
  {
    name: 'a wrong container name',
    command: 'docker run --rm --name a/b busybox true',
    code: 125,
    like: dockerd,
  },
  {
    name: 'a wrong working folder',
    command: 'docker run --rm -w rel busybox true',
    code: 125,
    like: dockerd,
  },
  {
    name: 'a wrong volume name',
    command: 'docker run --rm -v rel/x:/y busybox true',
    code: 125,
    like: dockerd,
  },

  {
    name: 'run -d',
    command: "docker run -d --name one --network none busybox sh -c 'echo first; echo oops >&2; sleep 300'",
    prints: [/^[0-9a-f]{64}$/m],
    like: dockerd,
  },
  {
    name: 'a name that is taken',
    command: 'docker run -d --name one --network none busybox true',
    code: 125,
    like: dockerd,
  },
  {
    name: 'ps',
    command: 'docker ps',
    prints: [
      /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/m,
      /busybox +"sh -c 'echo first; …" .*Up .* one$/m,
    ],
  },
  {
    name: 'ps formatted',
    command: "docker ps --no-trunc --format '{{.Image}} {{.Command}} {{.Names}} {{.Networks}} {{.State}}'",
    like: dockerd,
  },
  {
    name: 'ps filtered',
    command:
      "docker ps -a --filter name=one --filter status=running --format '{{.Names}}'; docker ps -q --filter label=x",
    like: dockerd,
  },
  {
    name: 'ps with a filter that is not there',
    command: 'docker ps --filter nosuch=1',
    code: 1,
    prints: [/Error response from daemon: invalid filter 'nosuch'/],
  },
  { name: 'logs', command: 'docker logs one', prints: [/^first$/m, /^oops$/m], withinMs: 3000 },
  { name: 'logs, the last line', command: 'docker logs --tail 1 one 2>&1', prints: [/^(first|oops)\n$/] },
  { name: 'logs with times', command: 'docker logs -t one', prints: [/^20\d\d-\d\d-\d\dT[\d:.]+Z first$/m] },
  {
    name: 'logs -f',
    command:
      "docker run -d --name tick --network none busybox sh -c 'for i in 1 2 3; do echo t$i; sleep 0.3; done' && docker logs -f tick",
    prints: [/^t1\nt2\nt3$/m],
  },
  { name: 'logs of nothing', command: 'docker logs nosuch', code: 1, like: dockerd },
  {
    name: 'inspect',
    command:
      "docker inspect -f '{{.Name}} {{.State.Status}} {{.Config.Image}} {{.Path}} {{len .Args}} {{.HostConfig.NetworkMode}} {{.RestartCount}} {{.Config.Hostname}}' one | cut -d' ' -f1-7",
    like: dockerd,
  },
  { name: 'inspect of nothing', command: 'docker inspect nosuch', code: 1, like: dockerd },
  {
    name: 'exec',
    command: "docker exec -e A=1 -w /tmp -u nobody one sh -c 'echo $A $PWD $(id -u); exit 4'",
    code: 4,
    prints: [/^1 \/tmp 65534$/m],
    like: dockerd,
  },
  {
    name: 'exec with input',
    command: 'docker exec -i one cat',
    input: 'typed',
    prints: [/^typed$/],
    like: dockerd,
  },
  {
    name: 'exec with a terminal',
    command: 'script -qec "docker exec -it one sh -c \'tty; exit 6\'" /dev/null',
    code: 6,
    prints: [/\/dev\/pts\//],
  },
  {
    name: 'exec -d',
    command: 'docker exec -d one touch /made; sleep 0.5; docker exec one ls /made',
    like: dockerd,
  },
  { name: 'exec of nothing', command: 'docker exec nosuch true', code: 1, like: dockerd },
  { name: 'top', command: 'docker top one', prints: [/PID/, /sleep 300/] },
  { name: 'stats', command: 'docker stats --no-stream one', prints: [/CPU %/, / one /] },
  {
    name: 'rm of one that runs',
    command: 'docker rm one',
    code: 1,
    prints: [
      /Cannot remove container "one": container is running: stop the container before removing or force remove/,
    ],
  },
  { name: 'rename', command: 'docker rename one uno && docker rename uno one', like: dockerd },
  {
    name: 'pause is refused by name',
    command: 'docker pause one',
    code: 1,
    prints: [/POST \/containers\/one\/pause is not there yet in berth/],
  },
  {
    name: 'restart',
    command: "docker restart -t 0 one && docker inspect -f '{{.State.Status}}' one",
    like: dockerd,
  },
  {
    name: 'stop',
    command:
      "docker stop -t 0 one && docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' one",
    like: dockerd,
  },
  { name: 'ps -a', command: 'docker ps -a', prints: [/Exited \(137\) .* one$/m] },
  { name: 'exec in one that is stopped', command: 'docker exec one true', code: 1, like: dockerd },
  { name: 'kill of one that is stopped', command: 'docker kill one', code: 1, like: dockerd },
  { name: 'start', command: "docker start one && docker inspect -f '{{.State.Status}}' one", like: dockerd },
  {
    name: 'kill',
    command: "docker kill one && docker wait one && docker inspect -f '{{.State.ExitCode}}' one",
    like: dockerd,
  },
  { name: 'start -a', command: 'docker start -a tick', prints: [/^t1$/m, /^t3$/m] },
  {
    name: 'cp is refused by name',
    command: 'docker cp one:/etc/passwd -',
    code: 1,
    prints: [/archive is not there yet in berth/],
  },
  { name: 'rm', command: 'docker rm one tick', prints: [/^one$/m, /^tick$/m] },
  { name: 'rm of nothing', command: 'docker rm nosuch', code: 1, like: dockerd },
  { name: 'start of nothing', command: 'docker start nosuch', code: 1, like: dockerd },
  { name: 'stop of nothing', command: 'docker stop nosuch', code: 1, like: dockerd },
  {
    name: 'create',
    command:
      'docker create --name made --network none busybox true && docker start -a made && docker rm made',
    prints: [/^made$/m],
  },
  {
    name: 'run with a port',
    command:
      'docker run -d --name web -p 18080:80 busybox sh -c "mkdir /w; echo served > /w/f; exec httpd -f -h /w"',
    prints: [/^[0-9a-f]{64}$/m],
  },
  {
    name: 'it is reached',
    command: `"$NODE" -e "fetch('http://127.0.0.1:18080/f').then(r => r.text()).then(console.log)"`,
    prints: [/^served$/m],
    withinMs: 5000,
  },
  { name: 'port', command: 'docker port web', prints: [/^80\/tcp -> 0\.0\.0\.0:18080$/m] },
  {
    name: 'a port that is taken',
    command: 'docker run --rm -p 18080:80 busybox true',
    code: 125,
    prints: [/Cannot publish port 18080\/tcp: a container or service has it/],
  },
]
