#define _GNU_SOURCE
#include "io.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

enum { OPTIONS_PAGE = 4096 };

static int write_sysctl(struct request *r, const char *name, const char *value) {
  char path[512];
  int slashes = strchr(name, '/') != NULL;
  if (strstr(name, "..") || snprintf(path, sizeof path, "/proc/sys/%s", name) >= (int)sizeof path) {
    errno = EINVAL;
    return failed(r, "sysctl", name);
  }
  /* As sysctl(8): with a slash in the name, a dot belongs to an interface's name. */
  for (char *c = path + 10; !slashes && *c; c++)
    if (*c == '.')
      *c = '/';
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return failed(r, "sysctl", name);
  ssize_t n = write(fd, value, strlen(value));
  int error = errno;
  close(fd);
  errno = error;
  return n < 0 ? failed(r, "sysctl", name) : 0;
}

static int loopback_up(struct request *r) {
  struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
    return failed(r, "SIOCSIFFLAGS", "lo");
  return close(fd);
}

static int pin(struct request *r, const char *kind, const char *path) {
  char source[64];
  struct statfs there;
  snprintf(source, sizeof source, "/proc/self/ns/%s", kind);
  int fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return failed(r, "open", path);
  int known = fstatfs(fd, &there);
  close(fd);
  if (known == 0 && there.f_type == NSFS_MAGIC) {
    errno = EEXIST;
    return failed(r, "pin", path);
  }
  return mount(source, path, NULL, MS_BIND, NULL) < 0 ? failed(r, "bind", path) : 0;
}

/*
 * text net | text ipc | text uts (files to bind to, empty: not unshared) | text hostname |
 * u32 count of sysctls, each text name | text value. In a child, so that this process never leaves its own.
 */
static void pin_in_child(struct request *r) {
  const char *net = take_text(&r->fields), *ipc = take_text(&r->fields), *uts = take_text(&r->fields);
  const char *name = take_text(&r->fields);
  if (!whole(r))
    return;
  int kinds = (*net ? CLONE_NEWNET : 0) | (*ipc ? CLONE_NEWIPC : 0) | (*uts ? CLONE_NEWUTS : 0);
  if (unshare(kinds) < 0) {
    failed(r, "unshare", "");
    return;
  }
  if (*name && sethostname(name, strlen(name)) < 0)
    failed(r, "sethostname", name);
  if (*net)
    loopback_up(r);
  for (uint32_t count = take_u32(&r->fields); count > 0 && whole(r); count--) {
    const char *key = take_text(&r->fields), *value = take_text(&r->fields);
    if (whole(r))
      write_sysctl(r, key, value);
  }
  const char *const pins[][2] = { { "net", net }, { "ipc", ipc }, { "uts", uts } };
  size_t made = 0;
  while (made < 3 && r->error == 0 && (!*pins[made][1] || pin(r, pins[made][0], pins[made][1]) == 0))
    made++;
  if (r->error == 0)
    return;
  while (made-- > 0) {
    if (*pins[made][1] && umount2(pins[made][1], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
      unlink(pins[made][1]);
  }
}

/* Runs `work` in a child that may change its namespaces, and takes over its error. */
static void in_child(struct request *r, void (*work)(struct request *)) {
  int ends[2], status;
  if (pipe2(ends, O_CLOEXEC) < 0) {
    failed(r, "pipe", "");
    return;
  }
  pid_t child = fork();
  if (child == 0) {
    work(r);
    _exit(write_full(ends[1], r, sizeof *r) < 0);
  }
  close(ends[1]);
  if (child < 0)
    failed(r, "fork", "");
  else if (read_full(ends[0], r, sizeof *r) < 0) {
    errno = ECHILD;
    failed(r, "wait for child", "");
  }
  close(ends[0]);
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
}

static void unmount_all(struct request *r, const char *path, int flags) {
  /* EINVAL: not a mount point. Once for each mount on top of another. */
  while (umount2(path, flags | UMOUNT_NOFOLLOW) == 0)
    ;
  if (errno != EINVAL && errno != ENOENT && errno != ENOTDIR)
    failed(r, "umount", path);
}

/* text path */
void relay_unpin(struct request *r) {
  const char *path = take_text(&r->fields);
  if (whole(r))
    unmount_all(r, path, MNT_DETACH);
  if (r->error == 0 && unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
    failed(r, "unlink", path);
}

/* u64 flags | text source | text target | text type | text options */
void relay_mount(struct request *r) {
  unsigned long flags = (unsigned long)take_u64(&r->fields);
  const char *source = take_text(&r->fields), *target = take_text(&r->fields);
  const char *type = take_text(&r->fields), *options = take_text(&r->fields);
  if (whole(r) &&
      mount(*source ? source : "none", target, *type ? type : NULL, flags, *options ? options : NULL) < 0)
    failed(r, "mount", target);
}

/*
 * text folder | text target | text options, whose paths are relative to the folder: with long names the options
 * of many layers overflow the kernel's page and mount(2) succeeds on what is left, hence also the refusal at 4,095.
 */
void relay_overlay(struct request *r) {
  const char *folder = take_text(&r->fields), *target = take_text(&r->fields);
  const char *options = take_text(&r->fields);
  if (!whole(r))
    return;
  if (strlen(options) >= OPTIONS_PAGE) {
    errno = E2BIG;
    failed(r, "mount overlay", target);
  } else if (chdir(folder) < 0)
    failed(r, "chdir", folder);
  else if (mount("overlay", target, "overlay", 0, options) < 0)
    failed(r, "mount overlay", target);
  if (chdir("/") < 0)
    abort();
}

/* text netns | text name | text value */
static void sysctl_in_child(struct request *r) {
  const char *netns = take_text(&r->fields), *name = take_text(&r->fields), *value = take_text(&r->fields);
  if (!whole(r))
    return;
  if (*netns) {
    int fd = open(netns, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
      failed(r, "setns", netns);
      return;
    }
  }
  write_sysctl(r, name, value);
}

/* u8 lazy | text path */
void relay_unmount(struct request *r) {
  int flags = take_u8(&r->fields) ? MNT_DETACH : 0;
  const char *path = take_text(&r->fields);
  if (whole(r))
    unmount_all(r, path, flags);
}

void relay_pin(struct request *r) {
  in_child(r, pin_in_child);
}

void relay_sysctl(struct request *r) {
  in_child(r, sysctl_in_child);
}
