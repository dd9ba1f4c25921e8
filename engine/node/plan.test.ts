import { describe, expect, it } from 'vitest'
import { Machine } from './plan.testkit.ts'

const web = { name: 'web', image: 'web:1' }

describe('a pod', () => {
  it('starts: image, volumes, sandbox, then the container; and then there is nothing to do', () => {
    const machine = new Machine({ containers: [web] }).run(60_000)
    expect(machine.log).toEqual(['prepare-volumes', 'make-sandbox', 'pull web', 'run web'])
    expect(machine.statuses).toEqual(['0/1 ContainerCreating Pending', '1/1 Running Running'])
    expect(machine.pod.status?.conditions?.map((c) => `${c.type}=${c.status}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ])
    expect(machine.pod.status).toMatchObject({
      podIP: '10.210.0.9',
      hostIP: '192.0.2.1',
      qosClass: 'BestEffort',
    })
  })

  it('runs init containers one after the other, a sidecar beside them, then the rest', () => {
    const sidecar = {
      name: 'proxy',
      image: 'proxy:1',
      restartPolicy: 'Always',
      startupProbe: { tcpSocket: { port: 1 } },
    }
    const initContainers = [{ name: 'first', image: 'i:1' }, sidecar, { name: 'second', image: 'i:1' }]
    const machine = new Machine(
      { initContainers, containers: [web] },
      { first: { runMs: 100 }, second: { runMs: 100 } },
    ).run(5_000)
    expect(machine.log.filter((line) => line.startsWith('run'))).toEqual(['run first', 'run proxy'])
    expect(machine.summary).toBe('0/2 Init:1/3 Pending')
    machine.probe('proxy', 'startup', true).run(5_000)
    expect(machine.log.filter((line) => line.startsWith('run'))).toEqual([
      'run first',
      'run proxy',
      'run second',
      'run web',
    ])
    expect(machine.summary).toBe('2/2 Running Running')
  })

  it('fails when an init container fails for good, without running the rest', () => {
    const spec = {
      restartPolicy: 'Never',
      initContainers: [{ name: 'first', image: 'i:1' }],
      containers: [web],
    }
    const machine = new Machine(spec, { first: { runMs: 10, exitCode: 3 } }).run(60_000)
    expect(machine.pod.status?.phase).toBe('Failed')
    expect(machine.log).not.toContain('run web')
    expect(machine.log).toContain('remove-sandbox')
  })

  it('restarts a container that ends: at once, then after 10 s, 20 s, up to 5 min', () => {
    const machine = new Machine({ containers: [web] }, { web: { runMs: 1_000, exitCode: 1 } }).run(3_600_000)
    const runs = machine.log.filter((line) => line === 'run web').length
    // 0, 10, 20, 40, 80, 160, 300, 300 … s and one second each: 6 until 316 s, then one in 301 s.
    expect(runs).toBe(17)
    expect(machine.summary).toBe('0/1 CrashLoopBackOff Running')
    expect(machine.log.filter((line) => line === 'event BackOff')).toHaveLength(16)
    expect(machine.pod.status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 16,
      state: {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: 'back-off 5m0s restarting failed container=web pod=p_shop(u)',
        },
      },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    })
    expect(machine.observed.containers).toHaveLength(2)
  })

  it('forgets failures after ten good minutes', () => {
    const machine = new Machine({ containers: [web] }, { web: { runMs: 700_000, exitCode: 1 } }).run(
      3_600_000,
    )
    expect(machine.log.filter((line) => line === 'run web')).toHaveLength(6)
    expect(machine.log).not.toContain('event BackOff')
  })

  it.each([
    ['OnFailure', 0, '0/1 Completed Succeeded'],
    ['Never', 0, '0/1 Completed Succeeded'],
    ['Never', 2, '0/1 Error Failed'],
  ])('with %s ends after exit code %i as %s', (restartPolicy, exitCode, summary) => {
    const machine = new Machine({ restartPolicy, containers: [web] }, { web: { runMs: 10, exitCode } }).run(
      60_000,
    )
    expect(machine.summary).toBe(summary)
    expect(machine.log.slice(-2)).toEqual(['run web', 'remove-sandbox'])
    expect(machine.observed.containers).toHaveLength(1)
  })

  it('pulls again later when a pull fails, and says what it waits for', () => {
    const machine = new Machine({ containers: [web] }, { web: { pullFails: 2 } })
    expect(machine.run(5_000).summary).toBe('0/1 ImagePullBackOff Pending')
    expect(machine.run(60_000).summary).toBe('1/1 Running Running')
    expect(machine.log.filter((line) => line === 'pull web')).toHaveLength(3)
  })

  it('never pulls what must be there', () => {
    const machine = new Machine({ containers: [{ ...web, imagePullPolicy: 'Never' }] }).run(60_000)
    expect(machine.summary).toBe('0/1 ErrImageNeverPull Pending')
    expect(machine.log).not.toContain('pull web')
  })

  it('pulls for each run with Always', () => {
    const always = { ...web, imagePullPolicy: 'Always' }
    const machine = new Machine({ containers: [always] }, { web: { runMs: 1_000, exitCode: 0 } }).run(5_000)
    expect(machine.log.filter((line) => line === 'pull web')).toHaveLength(2)
  })

  it('waits for what its configuration refers to', () => {
    const machine = new Machine({ containers: [web] }, { web: { runFails: 'configmap "c" not found' } }).run(
      60_000,
    )
    expect(machine.pod.status?.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'CreateContainerConfigError', message: 'configmap "c" not found' },
    })
    expect(machine.log.filter((line) => line === 'run web').length).toBeGreaterThan(5)
  })

  it('is ready by its readiness probe, and stays when that fails', () => {
    const container = { ...web, readinessProbe: { tcpSocket: { port: 1 }, failureThreshold: 2 } }
    const machine = new Machine({ containers: [container] }).run(1_000)
    expect(machine.summary).toBe('0/1 Running Running')
    expect(machine.probe('web', 'readiness', true).run(0).summary).toBe('1/1 Running Running')
    expect(machine.probe('web', 'readiness', false).run(0).summary).toBe('1/1 Running Running')
    expect(machine.probe('web', 'readiness', false).run(0).summary).toBe('0/1 Running Running')
    expect(machine.log).not.toContain('stop web')
  })

  it('is stopped and started again when its liveness or startup probe fails', () => {
    const container = { ...web, livenessProbe: { tcpSocket: { port: 1 }, terminationGracePeriodSeconds: 7 } }
    const machine = new Machine({ containers: [container] }).run(1_000)
    machine.probe('web', 'liveness', false, false).run(1_000)
    expect(machine.log).not.toContain('stop web')
    machine.probe('web', 'liveness', false).run(1_000)
    expect(machine.log.slice(-3)).toEqual(['stop web', 'grace 7', 'run web'])
  })

  it('is restarted when its image is another one', () => {
    const machine = new Machine({ containers: [web] }).run(1_000)
    machine.pod = {
      ...machine.pod,
      spec: {
        ...machine.pod.spec,
        containers: [{ ...(machine.pod.spec.containers[0] ?? web), image: 'web:2' }],
      },
    }
    machine.run(1_000)
    expect(machine.log.slice(-4)).toEqual(['stop web', 'grace 30', 'pull web', 'run web'])
  })

  it('ends in order: containers, sidecars in reverse, what was made, then the object', () => {
    const sidecars = ['a', 'b'].map((name) => ({ name, image: 's:1', restartPolicy: 'Always' }))
    const machine = new Machine({ initContainers: sidecars, containers: [web] }).run(5_000)
    machine.log.length = 0
    machine.delete(20).run(60_000)
    expect(machine.log).toEqual([
      ...['stop web', 'grace 20', 'stop b', 'grace 19', 'stop a', 'grace 18'],
      ...['remove', 'remove', 'remove', 'remove-sandbox', 'remove-volumes', 'finish'],
    ])
    expect(machine.pod.status?.phase).toBe('Failed')
    expect(machine.pod.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(143)
  })

  it('that never began ends too', () => {
    expect(new Machine({ containers: [web] }).delete(0).run(60_000).log).toEqual(['finish'])
  })

  it('lets sidecars go when the work is done', () => {
    const initContainers = [{ name: 'proxy', image: 's:1', restartPolicy: 'Always' }]
    const machine = new Machine(
      { restartPolicy: 'Never', initContainers, containers: [web] },
      { web: { runMs: 100 } },
    ).run(60_000)
    expect(machine.log.filter((line) => line.startsWith('stop'))).toEqual(['stop proxy'])
    expect(machine.pod.status?.phase).toBe('Succeeded')
  })

  it('fails when it was active for too long', () => {
    const machine = new Machine({ activeDeadlineSeconds: 30, containers: [web] }).run(60_000)
    expect(machine.pod.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
  })

  it('is initialized and started anew after a restart of the machine', () => {
    const spec = { initContainers: [{ name: 'first', image: 'i:1' }], containers: [web] }
    const machine = new Machine(spec, { first: { runMs: 100 } }).run(5_000)
    machine.log.length = 0
    machine.reboot().run(60_000)
    expect(machine.log).toEqual(['make-sandbox', 'run first', 'run web'])
    expect(machine.summary).toBe('1/1 Running Running')
    expect(machine.pod.status?.containerStatuses?.[0]?.restartCount).toBe(1)
  })

  it('comes to the same end when the daemon forgets everything after any step', () => {
    const spec = {
      initContainers: [
        { name: 'first', image: 'i:1' },
        { name: 'proxy', image: 's:1', restartPolicy: 'Always' },
      ],
      containers: [web, { name: 'side', image: 'web:1', imagePullPolicy: 'Always' }],
    }
    const whole = (forgetAfter: number) => {
      const machine = new Machine(spec, { first: { runMs: 100 }, web: { runMs: 50_000, exitCode: 1 } })
      machine.forgetAfter = forgetAfter
      const running = machine.run(55_000).summary
      machine.delete(5).run(120_000)
      return {
        running,
        finished: machine.finished,
        left: machine.observed.containers,
        sandbox: machine.observed.sandbox,
      }
    }
    const undisturbed = whole(Number.POSITIVE_INFINITY)
    expect(undisturbed).toMatchObject({
      running: '3/3 Running Running',
      finished: true,
      left: [],
      sandbox: undefined,
    })
    for (let k = 1; k < 30; k++) expect(whole(k), `after step ${k}`).toEqual(undisturbed)
  })
})
