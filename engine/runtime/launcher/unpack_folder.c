#define _GNU_SOURCE
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH = 40, ATTRIBUTES = 1 << 16 };

struct layer layer;

static struct {
  struct folder {
    char *path;
    struct timespec modified;
  } *folders;
  size_t count, capacity;
} times;

static int open_at(int root, const char *path, uint64_t flags) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  for (int attempt = 0;; attempt++) {
    int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
    /* EAGAIN: something was renamed elsewhere in the system while ".." was resolved. */
    if (fd >= 0 || errno != EAGAIN || attempt == 100) return fd;
  }
}

int open_below(const char *path, uint64_t flags) { return open_at(layer.root, path, flags); }

int remember_folder(const char *path, struct timespec modified) {
  if (times.count == times.capacity) {
    size_t capacity = times.capacity ? 2 * times.capacity : 256;
    struct folder *grown = realloc(times.folders, capacity * sizeof *grown);
    if (!grown) return -1;
    times.folders = grown;
    times.capacity = capacity;
  }
  char *copy = strdup(path);
  if (!copy) return -1;
  times.folders[times.count++] = (struct folder){copy, modified};
  return 0;
}

/* What the layers below show at a path: its kind, 0 for nothing, and a descriptor (O_PATH) of it. */
static mode_t look_below(const char *path, int *fd) {
  for (int i = 0; i < layer.lower_count; i++) {
    *fd = open_at(layer.lowers[i], path, O_PATH | O_NOFOLLOW);
    struct stat found;
    if (*fd >= 0 && fstat(*fd, &found) == 0) {
      if (S_ISDIR(found.st_mode) || S_ISLNK(found.st_mode)) return found.st_mode & S_IFMT;
      close(*fd);
      return 0;
    }
    /* A whiteout or a file on the way hides what is further below. */
    if (errno != ENOENT) return 0;
  }
  return 0;
}

int inherit(int to, int from, const char *path) {
  static char names[ATTRIBUTES], value[ATTRIBUTES];
  struct stat found;
  int source = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int target = openat(to, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = source < 0 || target < 0 || fstat(source, &found) < 0 ? -1 : 0;
  if (result == 0) result = fchown(target, found.st_uid, found.st_gid);
  if (result == 0) result = fchmod(target, found.st_mode & 07777);
  ssize_t size = result == 0 ? flistxattr(source, names, sizeof names) : 0;
  for (ssize_t at = 0; result == 0 && at < size; at += (ssize_t)strlen(names + at) + 1) {
    if (strncmp(names + at, "trusted.overlay.", 16) == 0) continue;
    ssize_t length = fgetxattr(source, names + at, value, sizeof value);
    if (length < 0 || (fsetxattr(target, names + at, value, (size_t)length, 0) < 0 && errno != ENOTSUP)) result = -1;
  }
  if (result == 0) result = remember_folder(path, found.st_mtim);
  int error = errno;
  if (source >= 0) close(source);
  if (target >= 0) close(target);
  close(from);
  errno = error;
  return result;
}

static int open_to(const char *path, int depth);

/* Opens the folder that a link at `parent` leads to, made where missing. */
static int follow(const char *parent, const char *target, int depth) {
  char next[2 * PATH_MAX];
  bool absolute = target[0] == '/';
  snprintf(next, sizeof next, "%s%s%s", absolute ? "" : parent, absolute || !*parent ? "" : "/", target);
  return open_to(next, depth + 1);
}

static int read_link(int folder, const char *name, char target[PATH_MAX]) {
  ssize_t n = readlinkat(folder, name, target, PATH_MAX - 1);
  if (n >= 0) target[n] = 0;
  return n < 0 ? -1 : 0;
}

static int open_to(const char *path, int depth) {
  int fd = open_below(path, O_PATH | O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  char parent[PATH_MAX], last[NAME_MAX + 1], target[PATH_MAX];
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') length--;
  if (depth > DEPTH + (int)length / 2 || length == 0 || length >= sizeof parent) {
    errno = length == 0 ? ENOENT : length >= sizeof parent ? ENAMETOOLONG : ELOOP;
    return -1;
  }
  memcpy(parent, path, length);
  parent[length] = 0;
  char *slash = strrchr(parent, '/');
  const char *name = slash ? slash + 1 : parent;
  if (strlen(name) > NAME_MAX) return errno = ENAMETOOLONG, -1;
  strcpy(last, name);
  if (slash) *slash = 0;
  else parent[0] = 0;
  int above = open_to(parent, depth + 1);
  if (above < 0) return -1;
  if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
    close(above);
    return open_below(path, O_PATH | O_DIRECTORY);
  }
  struct stat found;
  int result = -1, below = -1;
  if (fstatat(above, last, &found, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISLNK(found.st_mode)) result = openat(above, last, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    else if (read_link(above, last, target) == 0) result = follow(parent, target, depth);
  } else {
    mode_t kind = look_below(path, &below);
    if (kind == S_IFLNK) {
      if (read_link(below, "", target) == 0) result = follow(parent, target, depth);
      close(below);
    } else if (mkdirat(above, last, 0755) == 0) {
      result = openat(above, last, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (kind == S_IFDIR && (result < 0 || inherit(result, below, path) < 0)) result = -1;
    }
  }
  int error = errno;
  close(above);
  errno = error;
  return result;
}

int open_folder(const char *path) { return open_to(path, 0); }

int remove_tree(int parent, const char *name) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR && errno != EPERM) return -1;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  uint8_t block[8192];
  for (;;) {
    /* Read anew after each pass: entries that are removed may shift those that follow. */
    lseek(fd, 0, SEEK_SET);
    ssize_t n = syscall(SYS_getdents64, fd, block, sizeof block);
    bool found = false;
    for (ssize_t at = 0; n > 0 && at < n;) {
      uint16_t step;
      memcpy(&step, block + at + 16, sizeof step);
      const char *child = (const char *)block + at + 19;
      at += step;
      if (strcmp(child, ".") == 0 || strcmp(child, "..") == 0) continue;
      found = true;
      if (remove_tree(fd, child) < 0) n = -1;
    }
    if (n < 0) {
      int error = errno;
      close(fd);
      errno = error;
      return -1;
    }
    if (!found) break;
  }
  close(fd);
  return unlinkat(parent, name, AT_REMOVEDIR);
}

int finish_folders(const char **step, const char **path) {
  for (size_t i = 0; i < times.count; i++) {
    *path = times.folders[i].path;
    *step = "open";
    int fd = open_below(*path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0) {
      /* A later entry replaced it. */
      if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) continue;
      return -1;
    }
    *step = "futimens";
    struct timespec both[2] = {times.folders[i].modified, times.folders[i].modified};
    int result = futimens(fd, both);
    close(fd);
    if (result < 0) return -1;
  }
  *step = "syncfs";
  *path = "/";
  return syncfs(layer.root);
}
