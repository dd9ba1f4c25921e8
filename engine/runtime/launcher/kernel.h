#ifndef BERTH_KERNEL_H
#define BERTH_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * System calls that are newer than the C libraries which berth is built with. Their numbers are the same on every
 * architecture; constants have names of their own, because <sys/mount.h> and <linux/mount.h> exclude each other.
 */
enum {
  NR_OPEN_TREE = 428,
  NR_MOVE_MOUNT = 429,
  NR_FSOPEN = 430,
  NR_FSCONFIG = 431,
  NR_FSMOUNT = 432,
  NR_CLONE3 = 435,
  NR_CLOSE_RANGE = 436,
  NR_MOUNT_SETATTR = 442,

  TREE_CLONE = 1,
  TREE_CLOEXEC = 02000000,
  TREE_RECURSIVE = 0x8000,
  MOVE_FROM_EMPTY = 0x04,
  MOVE_TO_EMPTY = 0x40,
  SET_EMPTY_PATH = 0x1000,
  SET_RECURSIVE = 0x8000,
  CONFIG_FLAG = 0,
  CONFIG_STRING = 1,
  CONFIG_CREATE = 6,
  ATTRIBUTE_RDONLY = 0x01,
  ATTRIBUTE_NOSUID = 0x02,
  ATTRIBUTE_NODEV = 0x04,
  ATTRIBUTE_NOEXEC = 0x08,
  ATTRIBUTE_ATIME = 0x70,
  ATTRIBUTE_NOATIME = 0x10,
  ATTRIBUTE_STRICTATIME = 0x20,
  ATTRIBUTE_NODIRATIME = 0x80,
  ATTRIBUTE_NOSYMFOLLOW = 0x200000,
  RANGE_CLOEXEC = 4,
};

/* Flag of clone3(2). */
#define INTO_CGROUP 0x200000000ull

struct attribute_change {
  uint64_t set, clear, propagation, user_namespace;
};

struct clone_settings {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static inline int sys_open_tree(int folder, const char *path, unsigned flags) {
  return (int)syscall(NR_OPEN_TREE, folder, path, flags);
}

static inline int sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags) {
  return (int)syscall(NR_MOVE_MOUNT, from, from_path, to, to_path, flags);
}

static inline int sys_fsopen(const char *type, unsigned flags) { return (int)syscall(NR_FSOPEN, type, flags); }

static inline int sys_fsconfig(int fs, unsigned command, const char *key, const char *value) {
  return (int)syscall(NR_FSCONFIG, fs, command, key, value, 0);
}

static inline int sys_fsmount(int fs, unsigned flags) { return (int)syscall(NR_FSMOUNT, fs, flags, 0); }

static inline int sys_mount_setattr(int folder, const char *path, unsigned flags, const struct attribute_change *change) {
  return (int)syscall(NR_MOUNT_SETATTR, folder, path, flags, change, sizeof *change);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(NR_CLOSE_RANGE, first, last, flags);
}

#endif
