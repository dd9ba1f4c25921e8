/** Times what several sides do, in turn, so that a noisy machine is noisy for all. */
export interface Figure {
  readonly name: string
  /** Milliseconds, sorted. */
  readonly samples: readonly number[]
}

export interface Contender {
  readonly name: string
  readonly once: () => Promise<void>
  /** Puts things back, outside of the time. */
  readonly after?: () => Promise<void>
}

export interface Regime {
  /** Of idle before each. */
  readonly pauseMs?: number
  /** Rounds that do not count. */
  readonly warmUp?: number
}

/** Runs each contender `rounds` times in turn. */
export async function compete(
  contenders: readonly Contender[],
  rounds: number,
  { pauseMs = 0, warmUp = 2 }: Regime = {},
): Promise<Figure[]> {
  const samples = contenders.map((): number[] => [])
  for (let round = -warmUp; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      const started = process.hrtime.bigint()
      await contender.once()
      const ms = Number(process.hrtime.bigint() - started) / 1e6
      if (round >= 0) samples[i]?.push(ms)
      await contender.after?.()
    }
  }
  return contenders.map(({ name }, i) => ({ name, samples: (samples[i] ?? []).sort((a, b) => a - b) }))
}

/** The value below which a share (0 to 1) of the sorted samples lies. */
function quantile(samples: readonly number[], share: number): number {
  return samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? Number.NaN
}

/** One line for each figure: minimum, median, 90th percentile, and the median's ratio to the first one's. */
export function lines(figures: readonly Figure[]): string[] {
  const first = quantile(figures[0]?.samples ?? [], 0.5)
  return figures.map(({ name, samples }) => {
    const [min, median, p90] = [0, 0.5, 0.9].map((share) => quantile(samples, share).toFixed(1).padStart(8))
    const ratio = (quantile(samples, 0.5) / first).toFixed(2)
    return `  ${name.padEnd(44)} min ${min}  median ${median}  p90 ${p90} ms   ×${ratio}  (n=${samples.length})`
  })
}
