import type { ContainerStats } from '../../container/container.ts'

interface Context {
  readonly id: string
  readonly name: string
  readonly cpus: number
}

/** `GET /containers/ID/stats`: two readings, so that a client can tell the share of the CPUs between them. */
export function statsView(
  previous: ContainerStats,
  current: ContainerStats,
  { id, name, cpus }: Context,
): object {
  return {
    read: new Date(current.time).toISOString(),
    preread: new Date(previous.time).toISOString(),
    pids_stats: { current: current.pids, ...(current.pidsLimit > 0 && { limit: current.pidsLimit }) },
    blkio_stats: {
      io_service_bytes_recursive: current.blkio.map((b) => ({
        major: b.major,
        minor: b.minor,
        op: b.op,
        value: b.value,
      })),
      io_serviced_recursive: null,
      io_queue_recursive: null,
      io_service_time_recursive: null,
      io_wait_time_recursive: null,
      io_merged_recursive: null,
      io_time_recursive: null,
      sectors_recursive: null,
    },
    num_procs: 0,
    storage_stats: {},
    cpu_stats: cpuView(current, cpus),
    precpu_stats: cpuView(previous, cpus),
    memory_stats: {
      usage: current.memory.usageBytes,
      stats: current.memory.stats,
      limit: current.memory.limitBytes,
    },
    name: `/${name}`,
    id,
    networks: Object.fromEntries(
      Object.entries(current.networks).map(([interfaceName, n]) => [
        interfaceName,
        {
          rx_bytes: n.rxBytes,
          rx_packets: n.rxPackets,
          rx_errors: n.rxErrors,
          rx_dropped: n.rxDropped,
          tx_bytes: n.txBytes,
          tx_packets: n.txPackets,
          tx_errors: n.txErrors,
          tx_dropped: n.txDropped,
        },
      ]),
    ),
  }
}

/**
 * The machine's CPU time is taken as wall time × CPUs: only the difference of two readings matters, and
 * (container's ns ÷ system's ns) × CPUs × 100 is what docker prints.
 */
function cpuView({ cpu, time }: ContainerStats, cpus: number): object {
  return {
    cpu_usage: {
      total_usage: cpu.totalNs,
      usage_in_kernelmode: cpu.systemNs,
      usage_in_usermode: cpu.userNs,
    },
    system_cpu_usage: time * 1e6 * cpus,
    online_cpus: cpus,
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledNs,
    },
  }
}
