#ifndef BERTH_PLAN_H
#define BERTH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The flat form of a plan is drawn in ../encode.ts. Strings point into the received bytes and end with NUL. */

#define PLAN_VERSION 1
#define PLAN_LIMIT (8u << 20)
#define CGROUP_LIMIT 16

enum op {
  OP_MKDIR = 1,
  OP_WRITE = 2,
  OP_CGROUP_ATTACH = 3,
  OP_CGROUP_DEVICES = 4,
  OP_MAP_IDS = 5,
  OP_OVERLAY = 6,
  OP_MOUNT = 7,
  OP_MOUNT_IN = 8,
  OP_MASK = 9,
  OP_READ_ONLY = 10,
  OP_MKNOD_IN = 11,
  OP_SYMLINK_IN = 12,
  OP_WRITE_IN = 13,
  OP_CONSOLE = 14,
  OP_PIVOT_ROOT = 15,
  OP_REMOUNT_ROOT = 16,
  OP_PROPAGATION = 17,
  OP_HOSTNAME = 18,
  OP_DOMAINNAME = 19,
  OP_LOOPBACK_UP = 20,
  OP_SETSID = 21,
  OP_RLIMIT = 22,
  OP_OOM_SCORE_ADJ = 23,
  OP_UMASK = 24,
  OP_BARRIER = 25,
  OP_CHDIR = 26,
  OP_BOUNDING = 27,
  OP_CREDENTIALS = 28,
  OP_CAPABILITIES = 29,
  OP_NO_NEW_PRIVILEGES = 30,
  OP_SECCOMP = 31,
  OP_EXEC = 32,
  OP_BIND_IN = 33,
  OP_END,
};

/* Reads forward; after the first thing that is not there, bad is set and every further read gives zero or "". */
struct cursor {
  const uint8_t *at, *end;
  bool bad;
};

uint8_t take_u8(struct cursor *c);
uint16_t take_u16(struct cursor *c);
uint32_t take_u32(struct cursor *c);
uint64_t take_u64(struct cursor *c);
const char *take_text(struct cursor *c);
const void *take_bytes(struct cursor *c, uint32_t *size);

struct steps {
  uint32_t count;
  struct cursor bytes;
};

struct joins {
  uint32_t count;
  struct cursor bytes;
};

struct settings {
  const char *id, *socket, *state_folder, *log_path;
  uint64_t log_max_size;
  uint32_t log_max_files;
  bool terminal, stdin_open, stdin_once, pause_only;
  uint32_t cgroup_count;
  const char *cgroups[CGROUP_LIMIT];
};

struct plan {
  struct settings settings;
  /* Where the settings end: what is behind is not needed once the process runs. */
  size_t settings_size;
  struct joins joins;
  uint64_t clone_flags;
  struct steps host, parent, child;
};

/* -1 with EPROTO when the bytes are not a plan, EPROTONOSUPPORT when they are one of another version. */
int plan_decode(struct plan *plan, const void *bytes, size_t size);
int plan_decode_exec(struct plan *plan, const void *bytes, size_t size);

enum phase { PHASE_HOST, PHASE_PARENT, PHASE_CHILD, PHASE_SUPERVISOR };

/* A system call that failed, as it travels from child to supervisor to client: fixed numbers, then three texts. */
struct failure {
  int32_t error;
  uint32_t phase, index, op;
  char call[192], why[160], at[96];
};

/*
 * The way into the cgroups of the parent steps, without the wait (RCU, about 11 ms) that moving another process costs:
 * opened before the process is made, which may not see the folders any more. It is made in its v2 cgroup
 * (CLONE_INTO_CGROUP) and goes into v1's by itself, by "0" into `tasks`.
 */
struct attach {
  /* v1, in the steps' order; -1 where the folder is v2's. */
  int tasks[CGROUP_LIMIT];
  /* v2; -1 without. */
  int folder;
  uint32_t count, entered;
  bool entering;
};

struct context {
  enum phase phase;
  /* While cgroups are opened and entered: no other step is performed. */
  struct attach *attach;
  /* In parent steps: it could not be made in its v2 cgroup. */
  bool outside;
  /* The new process, in parent steps. */
  pid_t child;
  /* To the supervisor, in child steps; -1 otherwise. */
  int channel;
  bool exec, umask_given;
  struct failure *failure;
  /* The step at work. */
  uint32_t index, op;
  const char *why, *at;
};

/* Records errno and the call; always -1. */
int fail(struct context *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* To be called when a step has read its fields, before it acts: -1 unless they were all there and nothing is left. */
int complete(struct context *x, struct cursor *c);

/* Executes steps in order up to the first that fails: -1, and x->failure says everything. */
int steps_run(struct context *x, const struct steps *steps);

/* One function an op: 0, or -1 by fail(). They read their fields from the cursor. */
typedef int step_function(struct context *x, struct cursor *c);
step_function do_mkdir, do_write, do_cgroup_attach, do_cgroup_devices, do_map_ids, do_overlay, do_mount, do_mount_in,
    do_mask, do_read_only, do_mknod_in, do_symlink_in, do_write_in, do_console, do_pivot_root, do_remount_root,
    do_propagation, do_hostname, do_domainname, do_loopback_up, do_setsid, do_rlimit, do_oom_score_adj, do_umask,
    do_barrier, do_chdir, do_bounding, do_credentials, do_capabilities, do_no_new_privileges, do_seccomp, do_exec, do_bind_in;

#endif
