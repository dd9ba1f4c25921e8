#define _GNU_SOURCE
#include "kernel.h"
#include "paths.h"
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* mount(2)'s flags of one mount, as mount_setattr(2) names them. */
static const struct {
  unsigned long flag;
  uint64_t attribute;
} attributes[] = {
    {MS_RDONLY, ATTRIBUTE_RDONLY},         {MS_NOSUID, ATTRIBUTE_NOSUID},
    {MS_NODEV, ATTRIBUTE_NODEV},           {MS_NOEXEC, ATTRIBUTE_NOEXEC},
    {MS_NOATIME, ATTRIBUTE_NOATIME},       {MS_STRICTATIME, ATTRIBUTE_STRICTATIME},
    {MS_NODIRATIME, ATTRIBUTE_NODIRATIME}, {1ul << 8 /* MS_NOSYMFOLLOW */, ATTRIBUTE_NOSYMFOLLOW},
};

static struct attribute_change attributes_of(unsigned long flags) {
  struct attribute_change found = {0};
  for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
    if (flags & attributes[i].flag) found.set |= attributes[i].attribute;
  }
  if (flags & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME)) found.clear = ATTRIBUTE_ATIME;
  return found;
}

static const char *or_null(const char *text) { return *text ? text : NULL; }

/*
 * Clones what is open as from, or without one (-1) what lies at source, changes it while nobody sees it, and puts it
 * over the open target.
 */
static int bind_onto(struct context *x, int from, const char *source, int target, unsigned long flags,
                     uint32_t propagation, uint32_t recursive) {
  unsigned deep = flags & MS_REC ? TREE_RECURSIVE : 0, clone = TREE_CLONE | TREE_CLOEXEC | deep;
  int tree = from < 0 ? sys_open_tree(AT_FDCWD, source, clone) : sys_open_tree(from, "", clone | SET_EMPTY_PATH);
  if (tree < 0) return fail(x, "open_tree %s", source);
  struct attribute_change top = attributes_of(flags), all = {.set = recursive}, 
                          spread = {.propagation = propagation & ~(uint32_t)MS_REC};
  int result = 0;
  if (top.set | top.clear && sys_mount_setattr(tree, "", SET_EMPTY_PATH, &top) < 0) {
    result = fail(x, "mount_setattr %s", source);
  } else if (recursive && sys_mount_setattr(tree, "", SET_EMPTY_PATH | SET_RECURSIVE, &all) < 0) {
    result = fail(x, "mount_setattr recursive %s", source);
  } else if (sys_move_mount(tree, "", target, "", MOVE_FROM_EMPTY | MOVE_TO_EMPTY) < 0) {
    result = fail(x, "move_mount %s", source);
  } else if (propagation && sys_mount_setattr(tree, "", SET_EMPTY_PATH | (propagation & MS_REC ? SET_RECURSIVE : 0),
                                          &spread) < 0) {
    result = fail(x, "mount_setattr propagation %s", source);
  }
  close(tree);
  return result;
}

int do_mount(struct context *x, struct cursor *c) {
  const char *source = take_text(c), *target = take_text(c), *type = take_text(c);
  unsigned long flags = take_u32(c);
  const char *data = take_text(c);
  if (complete(x, c) < 0) return -1;
  if (mount(source, target, or_null(type), flags, or_null(data)) == 0) return 0;
  return fail(x, "mount %s on %s", *type ? type : source, target);
}

int do_mount_in(struct context *x, struct cursor *c) {
  const char *rootfs = take_text(c), *source = take_text(c), *target = take_text(c), *type = take_text(c);
  unsigned long flags = take_u32(c);
  const char *data = take_text(c);
  uint8_t create = take_u8(c);
  uint32_t propagation = take_u32(c), recursive = take_u32(c);
  if (create > MAKE_FILE) c->bad = true;
  if (complete(x, c) < 0) return -1;
  int fd = open_in(rootfs, target, (enum make)create);
  if (fd < 0) return fail(x, "openat2 %s", target);
  char path[FD_PATH_SIZE];
  fd_path(path, fd);
  int result = 0;
  if ((flags & (MS_BIND | MS_REMOUNT)) == MS_BIND) {
    result = bind_onto(x, -1, source, fd, flags, propagation, recursive);
  } else if (mount(source, path, or_null(type), flags, or_null(data)) < 0) {
    result = fail(x, "mount %s on %s", type, target);
  } else if (propagation || recursive) {
    /* The descriptor is of the folder below; a fresh one is of the mount's top. */
    struct attribute_change more = {.set = recursive, .propagation = propagation & ~(uint32_t)MS_REC};
    int top = open_in(rootfs, target, MAKE_NONE);
    if (top < 0 || sys_mount_setattr(top, "", SET_EMPTY_PATH | SET_RECURSIVE, &more) < 0) {
      result = fail(x, "mount_setattr %s", target);
    }
    if (top >= 0) close(top);
  }
  close(fd);
  return result;
}

int do_bind_in(struct context *x, struct cursor *c) {
  const char *rootfs = take_text(c), *root = take_text(c), *source = take_text(c), *target = take_text(c);
  uint8_t create = take_u8(c);
  unsigned long flags = take_u32(c);
  uint32_t propagation = take_u32(c), recursive = take_u32(c);
  struct stat status;
  if (complete(x, c) < 0) return -1;
  /* From here on the descriptor is what counts: a container that swaps links in the volume changes nothing more. */
  int from = open_in(root, source, create ? MAKE_FOLDER : MAKE_NONE);
  if (from < 0) return fail(x, "openat2 %s in %s", source, root);
  int result = 0, onto = -1;
  if (fstat(from, &status) < 0) {
    result = fail(x, "fstat %s", source);
  } else if ((onto = open_in(rootfs, target, S_ISDIR(status.st_mode) ? MAKE_FOLDER : MAKE_FILE)) < 0) {
    result = fail(x, "openat2 %s", target);
  } else {
    result = bind_onto(x, from, source, onto, flags, propagation, recursive);
  }
  if (onto >= 0) close(onto);
  close(from);
  return result;
}

/* A missing path, or one whose parent is a file, has nothing to hide. */
static int open_present(const char *rootfs, const char *path, bool *missing) {
  int fd = open_in(rootfs, path, MAKE_NONE);
  *missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
  return fd;
}

int do_mask(struct context *x, struct cursor *c) {
  bool missing;
  struct stat status;
  const char *rootfs = take_text(c), *path = take_text(c);
  if (complete(x, c) < 0) return -1;
  int fd = open_present(rootfs, path, &missing);
  if (missing) return 0;
  if (fd < 0) return fail(x, "openat2 %s", path);
  int result = 0;
  if (fstat(fd, &status) < 0) {
    result = fail(x, "fstat %s", path);
  } else if (S_ISDIR(status.st_mode)) {
    char target[FD_PATH_SIZE];
    fd_path(target, fd);
    if (mount("tmpfs", target, "tmpfs", MS_RDONLY, "size=0k") < 0) result = fail(x, "mount tmpfs on %s", path);
  } else {
    result = bind_onto(x, -1, "/dev/null", fd, 0, 0, 0);
  }
  close(fd);
  return result;
}

int do_read_only(struct context *x, struct cursor *c) {
  bool missing;
  const char *rootfs = take_text(c), *path = take_text(c);
  if (complete(x, c) < 0) return -1;
  int fd = open_present(rootfs, path, &missing);
  if (missing) return 0;
  if (fd < 0) return fail(x, "openat2 %s", path);
  char source[FD_PATH_SIZE];
  fd_path(source, fd);
  int result = bind_onto(x, -1, source, fd, MS_REC | MS_RDONLY, 0, 0);
  close(fd);
  return result;
}

int do_pivot_root(struct context *x, struct cursor *c) {
  const char *rootfs = take_text(c);
  if (complete(x, c) < 0) return -1;
  if (chdir(rootfs) < 0) return fail(x, "chdir %s", rootfs);
  /*
   * pivot_root(2), "." twice: the old root is stacked on the new one and needs no folder inside the image. It must be
   * a slave before it is detached, or the unmounting would spread to the host.
   */
  if (syscall(SYS_pivot_root, ".", ".") < 0) return fail(x, "pivot_root %s", rootfs);
  if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0) return fail(x, "mount slave old root");
  if (umount2(".", MNT_DETACH) < 0) return fail(x, "umount2 old root");
  if (chdir("/") < 0) return fail(x, "chdir /");
  return 0;
}

int do_remount_root(struct context *x, struct cursor *c) {
  unsigned long flags = take_u32(c);
  if (complete(x, c) < 0) return -1;
  struct attribute_change top = attributes_of(flags);
  if (sys_mount_setattr(AT_FDCWD, "/", 0, &top) < 0) return fail(x, "mount_setattr /");
  return 0;
}

int do_propagation(struct context *x, struct cursor *c) {
  unsigned long flags = take_u32(c);
  if (complete(x, c) < 0) return -1;
  return mount(NULL, "/", NULL, flags, NULL) < 0 ? fail(x, "mount propagation /") : 0;
}
