/**
 * A launch plan: what a container is, as a list of system calls that were decided before anything happens.
 * `compile` makes it from an OCI `config.json`; `encode` writes it in the flat format of `launcher/plan.h`; the
 * launcher executes it and knows no policy of its own.
 *
 * Order of execution: `host` (supervisor, host's namespaces) → clone with `cloneFlags`, after joining `join` →
 * `parent` (supervisor, the child waits) → `child` (in the new namespaces, last step is `exec`).
 */
export interface LaunchPlan {
  readonly version: 1
  /** 64 hex digits, or any name under berth-runtime. */
  readonly id: string
  readonly supervisor: SupervisorSettings
  /** Existing namespaces to join before the clone, in this order (user first). */
  readonly join: readonly NamespaceJoin[]
  /** CLONE_NEW* flags of `clone3`. */
  readonly cloneFlags: number
  readonly host: readonly Step[]
  readonly parent: readonly Step[]
  readonly child: readonly Step[]
}

export interface NamespaceJoin {
  /** A pinned namespace or `/proc/PID/ns/KIND`. */
  readonly path: string
  /** The CLONE_NEW* flag of its kind. */
  readonly kind: number
  readonly why: string
}

/** What the supervisor does around the container's process. Paths are absolute and of the host. */
export interface SupervisorSettings {
  /** Its own Unix socket (at most 107 bytes): attach, exec, signals, status. */
  readonly socket: string
  /** Folder for `state` and `exit`, written atomically, in the flat text form `key value\n`. */
  readonly stateFolder: string
  /** Log file in CRI's format, or none. */
  readonly log?: { readonly path: string; readonly maxSizeBytes: number; readonly maxFiles: number }
  readonly terminal: boolean
  /** Keep the process's stdin open for attach. */
  readonly stdin: boolean
  /** Close stdin after the first attached client leaves (docker's StdinOnce). */
  readonly stdinOnce: boolean
  /** Cgroup folders of the container, killed and removed after the exit. On v2 one, on v1 one a controller. */
  readonly cgroups: readonly string[]
  /** Be a child subreaper and PID 1 of a shared PID namespace: no `exec`, reap only. */
  readonly pauseOnly: boolean
}

interface Reason {
  /** Why, for `berth inspect --plan` and for errors. One short sentence without a full stop. */
  readonly why: string
  /** Place in the OCI configuration, such as `mounts[3]`. */
  readonly at?: string
}

/**
 * One system call or small fixed group of them. Paths marked "in rootfs" are resolved below the root file system's
 * folder with openat2(RESOLVE_IN_ROOT), so that a link inside an image never leads out of it.
 */
export type Step = Reason &
  (
    | { readonly do: 'mkdir'; readonly path: string; readonly mode: number }
    | {
        readonly do: 'write'
        readonly path: string
        readonly text: string /** ignore these errnos */
        readonly ignore?: readonly number[]
      }
    /**
     * Counts a process in the folder: the new one as a `parent` step, the supervisor as a `host` step. The new one is
     * made in v2's and goes into v1's by itself, for a move by another waits about 11 ms. A cgroup namespace in
     * `cloneFlags` is made after it, so that this folder is its root.
     */
    | { readonly do: 'cgroup-attach'; readonly path: string }
    /** cgroup v2 device policy: attach this eBPF program (instructions, 8 bytes each) to the folder. */
    | { readonly do: 'cgroup-devices'; readonly path: string; readonly program: Uint8Array }
    /** `/proc/PID/{setgroups,uid_map,gid_map}` of the child. */
    | { readonly do: 'map-ids'; readonly uidMap: string; readonly gidMap: string }
    /** Overlay by fsconfig `lowerdir+` or, without it, mount(2) with relative paths from `folder`. */
    | {
        readonly do: 'overlay'
        readonly folder: string
        readonly lower: readonly string[]
        readonly upper?: string
        readonly work?: string
        readonly target: string
        readonly data?: string
      }
    /** mount(2) on a host path (before the pivot). */
    | {
        readonly do: 'mount'
        readonly source: string
        readonly target: string
        readonly type: string
        readonly flags: number
        readonly data?: string
      }
    /**
     * mount(2) on a path in rootfs, made if missing (`create`); binds are done on an open tree, then remounted with
     * their flags, then given their propagation; `recursive` are MOUNT_ATTR_* for the whole tree (ro, rro…).
     */
    | {
        readonly do: 'mount-in'
        readonly rootfs: string
        readonly source: string
        readonly target: string
        readonly type: string
        readonly flags: number
        readonly data?: string
        readonly create: 'folder' | 'file' | 'none'
        readonly propagation?: number
        readonly recursive?: number
      }
    /**
     * Bind what `source` leads to below the folder `sourceRoot` of the host, resolved as "in rootfs" is: a container
     * that can write there cannot make a link lead out. Whether it is a file or a folder shows once it is open;
     * `createSource`: a missing one is made as a folder.
     */
    | {
        readonly do: 'bind-in'
        readonly rootfs: string
        readonly sourceRoot: string
        readonly source: string
        readonly target: string
        readonly createSource: boolean
        readonly flags: number
        readonly propagation?: number
        readonly recursive?: number
      }
    /** Bind `/dev/null` (file) or an empty read-only tmpfs (folder) over a path in rootfs; missing is fine. */
    | { readonly do: 'mask'; readonly rootfs: string; readonly path: string }
    /** Make a path in rootfs read-only by a bind on itself; missing is fine. */
    | { readonly do: 'read-only'; readonly rootfs: string; readonly path: string }
    | {
        readonly do: 'mknod-in'
        readonly rootfs: string
        readonly path: string
        readonly kind: 'c' | 'b' | 'p'
        readonly major: number
        readonly minor: number
        readonly mode: number
        readonly uid: number
        readonly gid: number
      }
    | { readonly do: 'symlink-in'; readonly rootfs: string; readonly path: string; readonly target: string }
    /** Make a file in rootfs with this content, replacing what is there (for /etc/hosts when not bound). */
    | {
        readonly do: 'write-in'
        readonly rootfs: string
        readonly path: string
        readonly text: string
        readonly mode: number
      }
    /**
     * Open the console in the new devpts, bind it on /dev/console (not for an exec), make it the controlling terminal
     * and standard input, output and error. After `setsid`.
     */
    | { readonly do: 'console'; readonly rootfs: string }
    | { readonly do: 'pivot-root'; readonly rootfs: string }
    | { readonly do: 'remount-root'; readonly flags: number }
    | { readonly do: 'propagation'; readonly flags: number }
    | { readonly do: 'hostname'; readonly name: string }
    | { readonly do: 'domainname'; readonly name: string }
    | { readonly do: 'loopback-up' }
    /** Dots or slashes between the words of the key, as sysctl(8) reads it. */
    | { readonly do: 'sysctl'; readonly key: string; readonly value: string }
    | { readonly do: 'setsid' }
    /** -1 is unlimited. */
    | { readonly do: 'rlimit'; readonly resource: number; readonly soft: number; readonly hard: number }
    /** Of the new process, as a `parent` step, or of oneself, as a `child` step. */
    | { readonly do: 'oom-score-adj'; readonly value: number }
    | { readonly do: 'umask'; readonly mask: number }
    /** Wait until the supervisor is told to start (create and start are two commands of the OCI runtime). */
    | { readonly do: 'barrier' }
    | { readonly do: 'chdir'; readonly path: string; readonly create: boolean }
    /** Bounding set down to `bounding`; keep capabilities over setuid. */
    | { readonly do: 'bounding'; readonly mask: bigint }
    | {
        readonly do: 'credentials'
        readonly uid: number
        readonly gid: number
        readonly groups: readonly number[]
      }
    | {
        readonly do: 'capabilities'
        readonly effective: bigint
        readonly permitted: bigint
        readonly inheritable: bigint
        readonly ambient: bigint
      }
    | { readonly do: 'no-new-privileges' }
    /** A classic BPF program (8 bytes an instruction) for seccomp(SECCOMP_SET_MODE_FILTER). */
    | { readonly do: 'seccomp'; readonly program: Uint8Array; readonly flags: number }
    /** Search `argv[0]` in the PATH of `env` unless it holds a slash; ENOENT → exit 127, any other error → 126. */
    | { readonly do: 'exec'; readonly argv: readonly string[]; readonly env: readonly string[] }
  )

/** A further process in a running container: joins its namespaces and cgroups, then `child`. */
export interface ExecPlan {
  readonly version: 1
  readonly id: string
  readonly terminal: boolean
  readonly stdin: boolean
  readonly join: readonly NamespaceJoin[]
  readonly parent: readonly Step[]
  readonly child: readonly Step[]
}
