/** Whether the promise settles in time; its rejection is the caller's. Without a limit it is waited for. */
export async function within(promise: Promise<unknown>, limitMs: number | undefined): Promise<boolean> {
  if (limitMs === undefined) return promise.then(() => true)
  const { promise: limit, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(() => resolve(false), limitMs)
  try {
    return await Promise.race([promise.then(() => true), limit])
  } finally {
    clearTimeout(timer)
  }
}
