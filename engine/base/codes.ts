/** How each error code reaches the outside: exit code of the command line, HTTP status of the APIs, one line of documentation. */
export interface CodeEntry {
  readonly exit: number
  readonly http: number
  readonly about: string
}

/** Every code a `BerthError` may carry. `docs/errors.md` is generated from this table. */
export const codes = {
  INVALID: { exit: 1, http: 400, about: 'An argument, a reference or a document is not well formed' },
  UNPROCESSABLE: { exit: 1, http: 422, about: 'An object is well formed but breaks a rule of its kind' },
  USAGE: {
    exit: 64,
    http: 400,
    about: 'The command line is wrong: an unknown command, flag or number of arguments',
  },
  NOT_FOUND: { exit: 1, http: 404, about: 'What was named does not exist' },
  ALREADY_EXISTS: { exit: 1, http: 409, about: 'The name is taken' },
  CONFLICT: { exit: 1, http: 409, about: 'The state does not allow this now, or somebody else changed it' },
  GONE: { exit: 1, http: 410, about: 'The resource version asked for is too old: list again' },
  UNAUTHORIZED: { exit: 1, http: 401, about: 'Credentials are missing or wrong' },
  FORBIDDEN: { exit: 1, http: 403, about: 'Policy or permissions do not allow it' },
  UNSUPPORTED: { exit: 1, http: 501, about: 'berth, or this kernel, cannot do what was asked' },
  UNAVAILABLE: { exit: 1, http: 503, about: 'A daemon, a registry or another peer does not answer' },
  TIMEOUT: { exit: 1, http: 504, about: 'It took longer than allowed' },
  DIGEST_MISMATCH: {
    exit: 1,
    http: 502,
    about: 'Content does not have the digest or size that was promised',
  },
  REGISTRY: { exit: 1, http: 502, about: 'A registry answered with an error' },
  KERNEL: { exit: 1, http: 500, about: 'A system call failed; step, call and errno are named' },
  NO_SPACE: { exit: 1, http: 507, about: 'The disk is full' },
  CONFIGURATION: { exit: 78, http: 500, about: 'The configuration of the daemon is wrong' },
  INTERRUPTED: { exit: 130, http: 499, about: 'Ended by Ctrl-C or by the caller' },
  INTERNAL: { exit: 70, http: 500, about: 'A defect of berth' },
} as const satisfies Record<string, CodeEntry>

export type Code = keyof typeof codes
