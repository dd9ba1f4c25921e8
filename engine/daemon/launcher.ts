import { isBerthError } from '../base/error.ts'
import type { Launcher } from '../container/ports.ts'
import type { PortHolder } from '../network/host/ports.ts'
import { readExit } from '../runtime/host/exit.ts'
import type { Keeper } from '../runtime/host/keeper.ts'
import { launch } from '../runtime/host/launcher.ts'
import { Supervisor } from '../runtime/host/supervisor.ts'
import { portTaken } from './port-owner.ts'

/** Supervisors are made by the keeper; without one (tests) by this process, detached. */
export function launcherOf(keeper: Keeper | undefined): Launcher {
  return {
    launch: (plan, signal) => (keeper ? keeper.launch(plan, signal) : launch(plan, {}, signal)),
    connect: (socketPath, signal) => Supervisor.connect(socketPath, signal),
    readExit,
  }
}

/** Published ports are held by the keeper, which outlives the daemon. SCTP is not: the kernel's module may be absent. */
export function portHolder(keeper: Keeper): PortHolder {
  const keyOf = ({ protocol, address, port }: { protocol: string; address: string; port: number }) =>
    `${protocol} ${address} ${port}`
  return {
    async bind(hold) {
      const { protocol, address, port } = hold
      if (protocol !== 'tcp' && protocol !== 'udp') return
      try {
        await keeper.bind({ key: keyOf(hold), protocol, address, port })
      } catch (error) {
        if (!isBerthError(error, 'CONFLICT')) throw error
        throw await portTaken({ hostIp: address, hostPort: port, protocol })
      }
    },
    async release(hold) {
      if (hold.protocol === 'tcp' || hold.protocol === 'udp') await keeper.release(keyOf(hold))
    },
  }
}
