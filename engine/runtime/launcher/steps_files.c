#define _GNU_SOURCE
#include "io.h"
#include "paths.h"
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int do_mkdir(struct context *x, struct cursor *c) {
  const char *path = take_text(c);
  mode_t mode = take_u32(c);
  if (complete(x, c) < 0) return -1;
  if (mkdir(path, mode) == 0 || errno == EEXIST) return 0;
  return fail(x, "mkdir %s", path);
}

int do_write(struct context *x, struct cursor *c) {
  const char *path = take_text(c), *text = take_text(c);
  uint32_t ignored = take_u32(c);
  struct cursor errors = *c;
  for (uint32_t i = 0; i < ignored && !c->bad; i++) take_u32(c);
  if (complete(x, c) < 0) return -1;
  if (write_file(path, text, strlen(text)) == 0) return 0;
  for (uint32_t i = 0; i < ignored; i++) {
    if ((int)take_u32(&errors) == errno) return 0;
  }
  return fail(x, "write %s", path);
}

/* Replaces what is there, but never a folder: that is the image's and may be a mount. */
static int make_way(int parent, const char *name) {
  return unlinkat(parent, name, 0) < 0 && errno != ENOENT ? -1 : 0;
}

int do_mknod_in(struct context *x, struct cursor *c) {
  char name[NAME_MAX + 1];
  const char *rootfs = take_text(c), *path = take_text(c);
  mode_t mode = take_u32(c);
  uint32_t major_number = take_u32(c), minor_number = take_u32(c), uid = take_u32(c), gid = take_u32(c);
  if (complete(x, c) < 0) return -1;
  int parent = open_parent_in(rootfs, path, name, sizeof name);
  if (parent < 0) return fail(x, "openat2 %s", path);
  dev_t device = makedev(major_number, minor_number);
  int made = mknodat(parent, name, mode, device);
  if (made < 0 && errno == EEXIST && make_way(parent, name) == 0) made = mknodat(parent, name, mode, device);
  if (made == 0) made = fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
  int result = made < 0 ? fail(x, "mknod %s", path) : 0;
  close(parent);
  return result;
}

int do_symlink_in(struct context *x, struct cursor *c) {
  char name[NAME_MAX + 1];
  const char *rootfs = take_text(c), *path = take_text(c), *target = take_text(c);
  if (complete(x, c) < 0) return -1;
  int parent = open_parent_in(rootfs, path, name, sizeof name);
  if (parent < 0) return fail(x, "openat2 %s", path);
  int made = symlinkat(target, parent, name);
  if (made < 0 && errno == EEXIST && make_way(parent, name) == 0) made = symlinkat(target, parent, name);
  int result = made < 0 ? fail(x, "symlink %s", path) : 0;
  close(parent);
  return result;
}

int do_write_in(struct context *x, struct cursor *c) {
  char name[NAME_MAX + 1];
  const char *rootfs = take_text(c), *path = take_text(c), *text = take_text(c);
  mode_t mode = take_u32(c);
  if (complete(x, c) < 0) return -1;
  int parent = open_parent_in(rootfs, path, name, sizeof name);
  if (parent < 0) return fail(x, "openat2 %s", path);
  int fd = -1;
  if (make_way(parent, name) == 0) {
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  }
  int result = fd < 0 || write_full(fd, text, strlen(text)) < 0 ? fail(x, "write %s", path) : 0;
  if (fd >= 0) close(fd);
  close(parent);
  return result;
}

int do_umask(struct context *x, struct cursor *c) {
  mode_t mask = take_u32(c);
  if (complete(x, c) < 0) return -1;
  /* In force only at exec: until then every mode of the plan is meant exactly. */
  umask(mask);
  x->umask_given = true;
  return 0;
}

int do_chdir(struct context *x, struct cursor *c) {
  const char *path = take_text(c);
  bool create = take_u8(c) != 0;
  if (complete(x, c) < 0) return -1;
  if (chdir(path) == 0) return 0;
  if (!create || errno != ENOENT) return fail(x, "chdir %s", path);
  int fd = open_in("/", path, MAKE_FOLDER);
  if (fd < 0) return fail(x, "mkdir %s", path);
  int result = fchdir(fd) < 0 ? fail(x, "chdir %s", path) : 0;
  close(fd);
  return result;
}
