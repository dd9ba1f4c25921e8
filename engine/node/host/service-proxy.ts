import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/host/log.ts'
import type { NamedPod, NamedService } from '../../network/names.ts'
import type { ServiceAddress } from '../../network/types.ts'
import type { KubeObject } from '../../object/meta.ts'
import type { EndpointSlice, Pod, Service } from '../../object/types.generated.ts'
import { planServices, type ServicePlan } from '../services.ts'

export interface ServiceProxyOptions {
  readonly view: {
    services(): readonly Service[]
    slices(): readonly EndpointSlice[]
    pods(): readonly Pod[]
  }
  readonly network: {
    /** All ports of all services; replaces those of before. Gives the host's ports that others have. */
    setServices(services: readonly ServiceAddress[]): Promise<readonly { readonly error: Error }[]>
  }
  readonly names: {
    setServices(services: readonly NamedService[], pods: readonly NamedPod[]): void
  }
  readonly log: Log
  readonly signal: AbortSignal
}

const kinds = ['Service', 'EndpointSlice', 'Pod']
const retryMs = 1_000

/** Keeps firewall and DNS as Services and their endpoints are. Changes that come together are one change; one run at a time. */
export class ServiceProxy implements AsyncDisposable {
  readonly #options: ServiceProxyOptions
  #done: ServicePlan | undefined
  #run: Promise<void> | undefined
  #woken = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: ServiceProxyOptions) {
    this.#options = options
  }

  /** An object came, changed or went; the view shows that already. */
  notice(object: Pick<KubeObject, 'kind'>): void {
    if (!kinds.includes(object.kind) || this.#options.signal.aborted) return
    this.#woken = true
    this.#run ??= this.#work().finally(() => {
      this.#run = undefined
    })
  }

  /** Nothing is under way: what was noticed before is done, or was tried and will be tried again. */
  async settled(): Promise<void> {
    await this.#run
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await this.#run
  }

  async #work(): Promise<void> {
    const { view, network, names, log, signal } = this.#options
    while (this.#woken && !signal.aborted) {
      // What else changes in this turn of the event loop belongs to it.
      await new Promise((resolve) => setImmediate(resolve))
      this.#woken = false
      const plan = planServices(view.services(), view.slices(), view.pods())
      try {
        names.setServices(plan.names, plan.pods)
        if (isDeepStrictEqual(plan.addresses, this.#done?.addresses)) continue
        for (const { error } of await network.setServices(plan.addresses)) log('warn', messageOf(error))
        this.#done = plan
      } catch (error) {
        log('warn', `Cannot bring services on: ${messageOf(error)}`)
        this.#timer = setTimeout(() => this.notice({ kind: 'Service' }), retryMs)
        this.#timer.unref()
      }
    }
  }
}
