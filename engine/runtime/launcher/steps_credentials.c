#define _GNU_SOURCE
#include "io.h"
#include "plan.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CAPABILITY_COUNT 64

int do_map_ids(struct context *x, struct cursor *c) {
  char path[64];
  const char *maps[2] = {0}, *files[2] = {"uid_map", "gid_map"};
  maps[0] = take_text(c);
  maps[1] = take_text(c);
  if (complete(x, c) < 0) return -1;
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", (int)x->child, files[i]);
    if (write_file(path, maps[i], strlen(maps[i])) < 0) return fail(x, "write %s", path);
  }
  return 0;
}

int do_bounding(struct context *x, struct cursor *c) {
  uint64_t mask = take_u64(c);
  if (complete(x, c) < 0) return -1;
  for (int i = 0; i < CAPABILITY_COUNT; i++) {
    if (mask >> i & 1) continue;
    if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0) continue;
    /* The first number that this kernel does not know. */
    if (errno == EINVAL) break;
    return fail(x, "prctl PR_CAPBSET_DROP %d", i);
  }
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return fail(x, "prctl PR_SET_KEEPCAPS");
  return 0;
}

/* The user must be able to open /dev/stdout again; /dev/null is the host's and stays. */
static int give_stdio(struct context *x, uid_t uid) {
  struct stat status;
  for (int fd = 0; fd < 3; fd++) {
    if (fstat(fd, &status) < 0) return fail(x, "fstat %d", fd);
    if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3)) continue;
    if (status.st_uid != uid && fchown(fd, uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM) {
      return fail(x, "fchown %d", fd);
    }
  }
  return 0;
}

int do_credentials(struct context *x, struct cursor *c) {
  uint32_t uid = take_u32(c), gid = take_u32(c), count = take_u32(c);
  if (c->bad || count > (size_t)(c->end - c->at) / 4) {
    c->bad = true;
    return complete(x, c);
  }
  gid_t *groups = calloc((size_t)count + 1, sizeof *groups);
  if (!groups) return fail(x, "calloc");
  for (uint32_t i = 0; i < count; i++) groups[i] = take_u32(c);
  int result = complete(x, c);
  if (result == 0) result = give_stdio(x, uid);
  if (result == 0 && setgroups(count, groups) < 0) result = fail(x, "setgroups");
  if (result == 0 && setresgid(gid, gid, gid) < 0) result = fail(x, "setresgid %u", gid);
  if (result == 0 && setresuid(uid, uid, uid) < 0) result = fail(x, "setresuid %u", uid);
  free(groups);
  return result;
}

int do_capabilities(struct context *x, struct cursor *c) {
  uint64_t effective = take_u64(c), permitted = take_u64(c), inheritable = take_u64(c), ambient = take_u64(c);
  if (complete(x, c) < 0) return -1;
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct sets[2];
  for (int i = 0; i < 2; i++) {
    sets[i].effective = (uint32_t)(effective >> (32 * i));
    sets[i].permitted = (uint32_t)(permitted >> (32 * i));
    sets[i].inheritable = (uint32_t)(inheritable >> (32 * i));
  }
  if (syscall(SYS_capset, &header, sets) < 0) return fail(x, "capset");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return fail(x, "prctl PR_CAP_AMBIENT_CLEAR_ALL");
  for (int i = 0; i < CAPABILITY_COUNT; i++) {
    if (!(ambient >> i & 1)) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0) return fail(x, "prctl PR_CAP_AMBIENT_RAISE %d", i);
  }
  return 0;
}

int do_no_new_privileges(struct context *x, struct cursor *c) {
  if (complete(x, c) < 0) return -1;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(x, "prctl PR_SET_NO_NEW_PRIVS") : 0;
}

int do_seccomp(struct context *x, struct cursor *c) {
  uint32_t size;
  const void *bytes = take_bytes(c, &size);
  uint32_t flags = take_u32(c);
  if (size % sizeof(struct sock_filter) != 0 || size / sizeof(struct sock_filter) > BPF_MAXINSNS) c->bad = true;
  if (complete(x, c) < 0) return -1;
  struct sock_fprog program = {.len = (unsigned short)(size / sizeof(struct sock_filter))};
  program.filter = malloc(size);
  if (!program.filter) return fail(x, "malloc");
  memcpy(program.filter, bytes, size);
  int result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) < 0 ? fail(x, "seccomp") : 0;
  free(program.filter);
  return result;
}
