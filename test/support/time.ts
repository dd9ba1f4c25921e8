/**
 * A time limit of a test, longer on a machine that says it is slow: `BERTH_TIME_SCALE`, which the virtual machine of
 * test/guest sets. Only limits are scaled, never what a test asserts about durations.
 */
export function scaledMs(ms: number): number {
  return ms * Number(process.env.BERTH_TIME_SCALE ?? 1)
}
