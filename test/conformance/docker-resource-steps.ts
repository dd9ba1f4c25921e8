import type { Shell, Step } from './steps.ts'

/** Networks, volumes, events and the end of all, after the steps of containers: `web` runs. */
export const dockerResourceSteps = (dockerd: Shell): readonly Step[] => [
  {
    name: 'network create',
    command: 'docker network create --subnet 10.77.0.0/24 --label a=b net',
    prints: [/^[0-9a-f]{64}$/m],
  },
  {
    name: 'network create twice',
    command: 'docker network create net',
    code: 1,
    prints: [/network with name net already exists/],
  },
  {
    name: 'network ls',
    command: 'docker network ls',
    prints: [
      /^NETWORK ID +NAME +DRIVER +SCOPE$/m,
      / bridge +bridge +local$/m,
      / host +host +local$/m,
      / none +null +local$/m,
      / net +bridge +local$/m,
    ],
  },
  {
    name: 'network connect',
    command:
      'docker network connect --alias site net web && docker run --rm --network net busybox wget -qO- http://site/f http://web/f',
    prints: [/served\s+served/],
  },
  {
    name: 'network connect twice',
    command: 'docker network connect net web',
    code: 1,
    prints: [/already exists in network net/],
  },
  {
    name: 'network inspect',
    command:
      "docker network inspect -f '{{(index .IPAM.Config 0).Subnet}} {{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}' net",
    prints: [/^10\.77\.0\.0\/24 web 10\.77\.0\.\d+\/24$/m],
  },
  {
    name: 'network rm that is used',
    command: 'docker network rm net',
    code: 1,
    prints: [/has active endpoints/],
  },
  {
    name: 'network disconnect and rm',
    command: 'docker network disconnect net web && docker network rm net',
    prints: [/^net$/m],
  },
  { name: 'network rm of nothing', command: 'docker network rm nosuch', code: 1, like: dockerd },
  { name: 'network rm of a given one', command: 'docker network rm host', code: 1, like: dockerd },
  {
    name: 'volume create',
    command: 'docker volume create --label a=b files',
    prints: [/^files$/m],
    like: dockerd,
  },
  {
    name: 'volume is used',
    command:
      "docker run --rm --network none -v files:/d busybox sh -c 'echo kept > /d/f' && docker run --rm --network none -v files:/d:ro busybox sh -c 'cat /d/f; touch /d/x'",
    code: 1,
    prints: [/^kept$/m, /Read-only/],
    like: dockerd,
  },
  {
    name: 'volume ls',
    command: 'docker volume ls --filter name=files',
    prints: [/^DRIVER +VOLUME NAME$/m, /^local +files$/m],
    like: dockerd,
  },
  {
    name: 'volume inspect',
    command: "docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}}' files",
    like: dockerd,
  },
  { name: 'volume rm', command: 'docker volume rm files', like: dockerd },
  { name: 'volume rm of nothing', command: 'docker volume rm files', code: 1, like: dockerd },
  { name: 'volume with a wrong name', command: 'docker volume create a', code: 1, like: dockerd },
  {
    name: 'events',
    command: 'docker events --since 60s --until 0s --filter container=web',
    prints: [/container start [0-9a-f]{64} .*name=web/],
  },
  {
    name: 'restart policy',
    command: "docker run -d --name again --network none --restart on-failure:2 busybox sh -c 'exit 1'",
    prints: [/./],
    like: dockerd,
  },
  {
    name: 'it was started again',
    command: "docker inspect -f '{{.RestartCount}} {{.State.Status}}' again",
    prints: [/^2 exited$/m],
    withinMs: 10_000,
    like: dockerd,
  },
  { name: 'rm -f', command: 'docker rm -f again', like: dockerd },
  { name: 'rm -f of all', command: 'docker rm -f -v $(docker ps -aq)', prints: [/./] },
  { name: 'nothing is left', command: 'docker ps -a -q', lacks: [/./] },
  {
    name: 'rmi',
    command: 'docker rmi busybox',
    prints: [/^Untagged: busybox:latest$/m, /^Deleted: sha256:/m],
  },
]
