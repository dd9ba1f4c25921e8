import type { Readable, Writable } from 'node:stream'

/** What the API needs of whoever runs pods. Errors are `BerthError`s; NOT_FOUND for what does not run. */
export interface PodAccess {
  /** A container's log, raw lines as `kubectl logs` prints them. Ends when the container did, or `signal` aborts. */
  logs(pod: PodReference, options: LogOptions, signal: AbortSignal): AsyncIterable<Uint8Array>
  exec(pod: PodReference, options: ExecOptions, signal: AbortSignal): Promise<PodSession>
  attach(pod: PodReference, options: Omit<ExecOptions, 'command'>, signal: AbortSignal): Promise<PodSession>
}

export interface PodReference {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Which container; the only or the default one when it was not said. */
  readonly container: string
}

export interface LogOptions {
  readonly follow: boolean
  readonly previous: boolean
  readonly timestamps: boolean
  readonly tailLines?: number
  readonly sinceSeconds?: number
  readonly sinceTime?: string
  readonly limitBytes?: number
}

export interface ExecOptions {
  readonly command: readonly string[]
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  readonly tty: boolean
}

export interface PodSession {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  resize(rows: number, columns: number): Promise<void>
  readonly exited: Promise<{ readonly code: number }>
  close(): void
}
