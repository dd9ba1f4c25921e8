import type { DockerEngine } from './engine.ts'
import { eventRoute } from './events.ts'
import type { Route } from './router.ts'

/** The newest API version that is spoken, and the oldest. */
export const newestVersion = '1.47'
export const oldestVersion = '1.24'

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

/** `_ping`, `version`, `info`, `events`, `auth` and what else concerns the engine as a whole. */
export function systemRoutes(engine: DockerEngine): Route[] {
  const { facts, views, images, streams } = engine
  return [
    {
      method: 'GET',
      pattern: '/_ping',
      answer: (x) => {
        x.response.writeHead(200, {
          'Content-Type': 'text/plain; charset=utf-8',
          'Cache-Control': 'no-cache, no-store, must-revalidate',
          Pragma: 'no-cache',
          'Builder-Version': '1',
          'Content-Length': 2,
        })
        x.response.end(x.request.method === 'HEAD' ? undefined : 'OK')
      },
    },
    {
      method: 'GET',
      pattern: '/version',
      answer: (x) => {
        const common = {
          ApiVersion: newestVersion,
          MinAPIVersion: oldestVersion,
          GitCommit: '',
          GoVersion: '',
          Os: 'linux',
          Arch: architectures[process.arch] ?? process.arch,
          KernelVersion: facts.kernel,
          BuildTime: '',
        }
        const details = Object.fromEntries(
          Object.entries({ ...common, Node: process.versions.node }).filter(([, value]) => value !== ''),
        )
        x.json({
          Platform: { Name: 'berth' },
          Components: [{ Name: 'Engine', Version: facts.version, Details: details }],
          Version: facts.version,
          ...common,
        })
      },
    },
    {
      method: 'GET',
      pattern: '/info',
      answer: (x) => {
        const count = (status: string) => views.list().filter((c) => c.state.status === status).length
        const [total, running, paused] = [views.list().length, count('running'), count('paused')]
        x.json({
          ID: facts.id,
          Containers: total,
          ContainersRunning: running,
          ContainersPaused: paused,
          ContainersStopped: total - running - paused,
          Images: images.list().length,
          Driver: 'overlay2',
          DriverStatus: [['Backing', 'overlayfs']],
          Plugins: {
            Volume: ['local'],
            Network: ['bridge', 'host', 'null'],
            Authorization: null,
            Log: ['json-file', 'none'],
          },
          MemoryLimit: true,
          SwapLimit: true,
          CpuCfsPeriod: true,
          CpuCfsQuota: true,
          CPUShares: true,
          CPUSet: true,
          PidsLimit: true,
          IPv4Forwarding: true,
          BridgeNfIptables: true,
          BridgeNfIp6tables: true,
          Debug: false,
          NFd: 0,
          OomKillDisable: false,
          NGoroutines: 0,
          SystemTime: new Date().toISOString(),
          LoggingDriver: 'json-file',
          CgroupDriver: 'cgroupfs',
          CgroupVersion: String(facts.cgroupVersion),
          NEventsListener: 0,
          KernelVersion: facts.kernel,
          OperatingSystem: facts.system,
          OSVersion: '',
          OSType: 'linux',
          Architecture: { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch,
          IndexServerAddress: 'https://index.docker.io/v1/',
          RegistryConfig: {
            AllowNondistributableArtifactsCIDRs: null,
            AllowNondistributableArtifactsHostnames: null,
            InsecureRegistryCIDRs: ['127.0.0.0/8'],
            IndexConfigs: {
              'docker.io': {
                Name: 'docker.io',
                Mirrors: facts.registryMirrors,
                Secure: true,
                Official: true,
              },
            },
            Mirrors: facts.registryMirrors,
          },
          NCPU: facts.cpus,
          MemTotal: facts.memoryBytes,
          GenericResources: null,
          DockerRootDir: facts.root,
          HttpProxy: '',
          HttpsProxy: '',
          NoProxy: '',
          Name: facts.hostname,
          Labels: [],
          ExperimentalBuild: false,
          ServerVersion: facts.version,
          Runtimes: { berth: { path: 'berth' } },
          DefaultRuntime: 'berth',
          Swarm: {
            NodeID: '',
            NodeAddr: '',
            LocalNodeState: 'inactive',
            ControlAvailable: false,
            Error: '',
            RemoteManagers: null,
          },
          LiveRestoreEnabled: true,
          Isolation: '',
          InitBinary: '',
          ContainerdCommit: { ID: '', Expected: '' },
          RuncCommit: { ID: '', Expected: '' },
          InitCommit: { ID: '', Expected: '' },
          SecurityOptions: [
            'name=seccomp,profile=builtin',
            ...(facts.cgroupVersion === 2 ? ['name=cgroupns'] : []),
          ],
          Warnings: null,
        })
      },
    },
    eventRoute(streams),
    {
      method: 'POST',
      pattern: '/auth',
      answer: (x) => x.json({ Status: 'Login Succeeded', IdentityToken: '' }),
    },
  ]
}
