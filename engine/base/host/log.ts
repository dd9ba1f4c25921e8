/** The daemon's own log: one JSON object a line on stderr, which systemd's journal or a file takes. */
export type Level = 'debug' | 'info' | 'warn' | 'error'

export type Log = (level: Level, message: string, fields?: Readonly<Record<string, unknown>>) => void

const order: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/** A log that writes what is at least as severe as `least` with `write`, control characters escaped by JSON. */
export function openLog(least: Level, write: (line: string) => void): Log {
  return (level, message, fields = {}) => {
    if (order[level] < order[least]) return
    write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`)
  }
}
