import { type CgroupLayout, cgroupAttachSteps, cgroupFolders, cgroupSteps } from '../runtime/oci/cgroups.ts'
import { CLONE, MS } from '../runtime/oci/linux.ts'
import type { LaunchPlan } from '../runtime/plan.ts'

/** Who is nobody else: what Kubernetes' own pause image runs as. */
const nobody = 65535

export interface PausePlaces {
  readonly socket: string
  readonly state: string
  /** An empty folder. */
  readonly root: string
}

/**
 * The first process of a PID namespace that a pod's containers share: the launcher itself, which reaps what their
 * processes leave and does nothing else. All of them see it, so it has no files, no powers and is nobody.
 */
export function pausePlan(id: string, places: PausePlaces, cgroups: CgroupLayout): LaunchPlan {
  return {
    version: 1,
    id,
    supervisor: {
      socket: places.socket,
      stateFolder: places.state,
      terminal: false,
      stdin: false,
      stdinOnce: false,
      pauseOnly: true,
      cgroups: cgroupFolders(cgroups, id),
    },
    join: [],
    cloneFlags: CLONE.NEWNS | CLONE.NEWPID | CLONE.NEWNET | CLONE.NEWIPC | CLONE.NEWUTS,
    host: cgroupSteps(cgroups, id, {}),
    parent: cgroupAttachSteps(cgroups, id, {}),
    child: [
      { do: 'setsid', why: "signals of berth's terminal do not reach it" },
      { do: 'propagation', flags: MS.SLAVE | MS.REC, why: 'mounts made here stay here' },
      {
        do: 'mount',
        source: 'none',
        target: places.root,
        type: 'tmpfs',
        flags: MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC,
        data: 'size=4k,mode=555',
        why: 'no files: who looks at /proc/1/root finds nothing',
      },
      { do: 'pivot-root', rootfs: places.root, why: "the host's files are gone" },
      { do: 'barrier', why: 'created; waits until its namespace is pinned' },
      { do: 'bounding', mask: 0n, why: 'no powers' },
      { do: 'credentials', uid: nobody, gid: nobody, groups: [], why: 'nobody else' },
      {
        do: 'capabilities',
        effective: 0n,
        permitted: 0n,
        inheritable: 0n,
        ambient: 0n,
        why: 'no powers',
      },
      { do: 'no-new-privileges', why: 'nor any later' },
    ],
  }
}
