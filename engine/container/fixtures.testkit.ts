import type { ContainerRecord, ContainerSettings, ContainerState, Progress } from './container.ts'

/** What unit tests of the engine's rules share: settings and a record with docker's defaults. */
export function settings(over: Partial<ContainerSettings> = {}): ContainerSettings {
  return {
    name: 'web',
    image: 'busybox',
    labels: {},
    env: [],
    terminal: false,
    stdin: false,
    stdinOnce: false,
    mounts: [],
    networkMode: 'bridge',
    networks: [],
    ports: [],
    resources: {},
    restart: { name: 'no', maximumRetryCount: 0 },
    autoRemove: false,
    ...over,
  }
}

/** A container at rest. */
export function record(
  over: Partial<Omit<ContainerRecord, 'state' | 'progress'>> & {
    state?: Partial<ContainerState>
    progress?: Partial<Progress>
  } = {},
): ContainerRecord {
  return {
    id: 'a'.repeat(64),
    created: 0,
    settings: settings(),
    imageId: 'sha256:1',
    process: {
      entrypoint: [],
      cmd: ['sh'],
      env: ['PATH=/bin'],
      workingDir: '/',
      user: '',
      labels: {},
      stopSignal: 'SIGTERM',
      exposedPorts: [],
    },
    mounts: [],
    hostname: 'aaaaaaaaaaaa',
    logPath: '/log',
    networks: {},
    ports: [],
    ...over,
    state: {
      status: 'created',
      pid: 0,
      exitCode: 0,
      error: '',
      oomKilled: false,
      restartCount: 0,
      ...over.state,
    },
    progress: { step: 'idle', run: 0, stopped: false, failures: 0, ...over.progress },
  }
}
