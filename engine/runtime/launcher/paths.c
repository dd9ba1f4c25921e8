#define _GNU_SOURCE
#include "paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_LIMIT 40

static int openat2_in(int root, const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  int fd, tries = 0;
  /* EAGAIN: a rename somewhere raced with "..", so the kernel cannot tell whether it stayed inside. */
  do fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
  while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < 128);
  return fd;
}

/*
 * Makes the part of path from start to end, which is missing in the folder parent. 1: it is a link to nothing, and
 * path was replaced by where that leads.
 */
static int make_part(int parent, char path[PATH_MAX], size_t start, size_t end, enum make make) {
  char part[PATH_MAX], target[PATH_MAX], whole[2 * PATH_MAX];
  snprintf(part, sizeof part, "%.*s", (int)(end - start), path + start);
  ssize_t length = readlinkat(parent, part, target, sizeof target - 1);
  if (length >= 0) {
    target[length] = 0;
    int before = target[0] == '/' ? 0 : (int)start;
    int size = snprintf(whole, sizeof whole, "%.*s%s%s", before, path, target, path + end);
    if (size >= PATH_MAX) {
      errno = ENAMETOOLONG;
      return -1;
    }
    memcpy(path, whole, (size_t)size + 1);
    return 1;
  }
  if (make == MAKE_FOLDER) return mkdirat(parent, part, 0755) < 0 && errno != EEXIST ? -1 : 0;
  int fd = openat(parent, part, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
  if (fd >= 0) close(fd);
  return fd < 0 && errno != EEXIST ? -1 : 0;
}

static int walk(int root, const char *given, enum make make) {
  char path[PATH_MAX], prefix[PATH_MAX];
  if (snprintf(path, sizeof path, "%s", given) >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int links = 0;
  size_t end = 0;
  int parent = openat2_in(root, ".");
  while (parent >= 0) {
    size_t start = end + strspn(path + end, "/");
    if (path[start] == 0) return parent;
    end = start + strcspn(path + start, "/");
    snprintf(prefix, sizeof prefix, "%.*s", (int)end, path);
    int next = openat2_in(root, prefix);
    if (next < 0 && errno == ENOENT) {
      bool last = path[end + strspn(path + end, "/")] == 0;
      int made = make_part(parent, path, start, end, last ? make : MAKE_FOLDER);
      if (made == 1 && ++links > LINKS_LIMIT) {
        errno = ELOOP;
      } else if (made == 1) {
        end = 0;
        next = openat2_in(root, ".");
      } else if (made == 0) {
        next = openat2_in(root, prefix);
      }
    }
    int error = errno;
    close(parent);
    errno = error;
    parent = next;
  }
  return -1;
}

static int open_folder(const char *root) { return open(root, O_PATH | O_DIRECTORY | O_CLOEXEC); }

int open_in(const char *root, const char *path, enum make make) {
  int folder = open_folder(root);
  if (folder < 0) return -1;
  path += strspn(path, "/");
  int fd = openat2_in(folder, path);
  if (fd < 0 && errno == ENOENT && make != MAKE_NONE) fd = walk(folder, path, make);
  int error = errno;
  close(folder);
  errno = error;
  return fd;
}

int open_parent_in(const char *root, const char *path, char *name, size_t name_size) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  const char *last = slash ? slash + 1 : path;
  if (*last == 0 || strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
    errno = EINVAL;
    return -1;
  }
  if (snprintf(folder, sizeof folder, "%.*s", (int)(last - path), path) >= PATH_MAX ||
      (size_t)snprintf(name, name_size, "%s", last) >= name_size) {
    errno = ENAMETOOLONG;
    return -1;
  }
  return open_in(root, folder, MAKE_FOLDER);
}

void fd_path(char text[FD_PATH_SIZE], int fd) { snprintf(text, FD_PATH_SIZE, "/proc/self/fd/%d", fd); }
