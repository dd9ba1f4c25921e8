#define _GNU_SOURCE
#include "channel.h"
#include "io.h"
#include "kernel.h"
#include "paths.h"
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

int do_hostname(struct context *x, struct cursor *c) {
  const char *name = take_text(c);
  if (complete(x, c) < 0) return -1;
  return sethostname(name, strlen(name)) < 0 ? fail(x, "sethostname %s", name) : 0;
}

int do_domainname(struct context *x, struct cursor *c) {
  const char *name = take_text(c);
  if (complete(x, c) < 0) return -1;
  return setdomainname(name, strlen(name)) < 0 ? fail(x, "setdomainname %s", name) : 0;
}

int do_loopback_up(struct context *x, struct cursor *c) {
  struct ifreq request = {.ifr_name = "lo"};
  if (complete(x, c) < 0) return -1;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(x, "socket");
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  int result = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? fail(x, "ioctl SIOCSIFFLAGS lo") : 0;
  close(fd);
  return result;
}

int do_setsid(struct context *x, struct cursor *c) {
  if (complete(x, c) < 0) return -1;
  return setsid() < 0 ? fail(x, "setsid") : 0;
}

int do_rlimit(struct context *x, struct cursor *c) {
  uint32_t resource = take_u32(c);
  uint64_t soft = take_u64(c), hard = take_u64(c);
  if (complete(x, c) < 0) return -1;
  struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};
  return setrlimit((int)resource, &limit) < 0 ? fail(x, "setrlimit %u", resource) : 0;
}

int do_oom_score_adj(struct context *x, struct cursor *c) {
  char path[64] = "/proc/self/oom_score_adj";
  const char *value = take_text(c);
  if (complete(x, c) < 0) return -1;
  if (x->phase == PHASE_PARENT) snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)x->child);
  return write_file(path, value, strlen(value)) < 0 ? fail(x, "write %s", path) : 0;
}

int do_barrier(struct context *x, struct cursor *c) {
  struct packet packet;
  int descriptor;
  if (complete(x, c) < 0) return -1;
  if (channel_send(x->channel, MESSAGE_CREATED, NULL, 0, -1) < 0) return fail(x, "send created");
  int type = channel_receive(x->channel, &packet, &descriptor, true);
  if (type == MESSAGE_START) return 0;
  if (type >= 0) errno = ECANCELED;
  return fail(x, "wait for start");
}

/* Binds the terminal over /dev/console of the container, where programs expect it. */
static int bind_console(struct context *x, const char *rootfs, int terminal) {
  int target = open_in(rootfs, "dev/console", MAKE_FILE);
  if (target < 0) return fail(x, "openat2 dev/console");
  char source[FD_PATH_SIZE];
  fd_path(source, terminal);
  int tree = sys_open_tree(AT_FDCWD, source, TREE_CLONE | TREE_CLOEXEC);
  int result = tree < 0 ? fail(x, "open_tree terminal") : 0;
  if (result == 0 && sys_move_mount(tree, "", target, "", MOVE_FROM_EMPTY | MOVE_TO_EMPTY) < 0) {
    result = fail(x, "move_mount dev/console");
  }
  if (tree >= 0) close(tree);
  close(target);
  return result;
}

int do_console(struct context *x, struct cursor *c) {
  const char *rootfs = take_text(c);
  if (complete(x, c) < 0) return -1;
  char path[FD_PATH_SIZE];
  int unlock = 0, result = 0, terminal = -1, master = -1;
  int found = open_in(rootfs, "dev/pts/ptmx", MAKE_NONE);
  if (found < 0) return fail(x, "openat2 dev/pts/ptmx");
  fd_path(path, found);
  master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  close(found);
  if (master < 0) return fail(x, "open dev/pts/ptmx");
  /* The peer is asked of the master itself: a path below /dev/pts could have been put there by the image. */
  if (ioctl(master, TIOCSPTLCK, &unlock) < 0) {
    result = fail(x, "ioctl TIOCSPTLCK");
  } else if ((terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
    result = fail(x, "ioctl TIOCGPTPEER");
  } else if (!x->exec && bind_console(x, rootfs, terminal) < 0) {
    result = -1;
  } else if (channel_send(x->channel, MESSAGE_MASTER, NULL, 0, master) < 0) {
    result = fail(x, "send console");
  } else if (ioctl(terminal, TIOCSCTTY, 0) < 0) {
    result = fail(x, "ioctl TIOCSCTTY");
  }
  for (int fd = 0; fd < 3 && result == 0; fd++) {
    if (dup2(terminal, fd) < 0) result = fail(x, "dup2 terminal");
  }
  if (terminal > 2) close(terminal);
  close(master);
  return result;
}

/* Pointers into the plan, ended by NULL. */
static char **take_list(struct cursor *c) {
  uint32_t count = take_u32(c);
  /* Each takes at least five bytes, so a count beyond the plan's end is refused before memory is asked for. */
  if (c->bad || count > (size_t)(c->end - c->at) / 5) {
    c->bad = true;
    return NULL;
  }
  char **list = calloc((size_t)count + 1, sizeof *list);
  for (uint32_t i = 0; list && i < count; i++) list[i] = (char *)(uintptr_t)take_text(c);
  return list;
}

static const char *path_of(char *const *env) {
  const char *path = DEFAULT_PATH;
  for (; *env; env++) {
    if (strncmp(*env, "PATH=", 5) == 0) path = *env + 5;
  }
  return path;
}

/* Tries each folder of PATH; EACCES in one of them is remembered, as a shell does. */
static int search(char *const *argv, char *const *env) {
  char whole[PATH_MAX];
  int error = ENOENT;
  const char *path = path_of(env);
  for (;;) {
    size_t length = strcspn(path, ":");
    const char *folder = length == 0 ? "." : path;
    int width = length == 0 ? 1 : (int)length;
    if (snprintf(whole, sizeof whole, "%.*s/%s", width, folder, argv[0]) < PATH_MAX) {
      execve(whole, argv, env);
      if (errno == EACCES) error = EACCES;
      else if (errno != ENOENT && errno != ENOTDIR) return errno;
    }
    if (path[length] == 0) return error;
    path += length + 1;
  }
}

int do_exec(struct context *x, struct cursor *c) {
  char **argv = take_list(c), **env = take_list(c);
  if (!c->bad && (!argv || !env)) return fail(x, "calloc");
  if (!c->bad && !argv[0]) c->bad = true;
  if (complete(x, c) < 0) return -1;
  if (!x->umask_given) umask(022);
  /* Whatever is open here, the container must not get it. */
  if (sys_close_range(3, ~0u, RANGE_CLOEXEC) < 0) return fail(x, "close_range");
  if (strchr(argv[0], '/')) {
    execve(argv[0], argv, env);
  } else {
    errno = *argv[0] ? search(argv, env) : ENOENT;
  }
  return fail(x, "execve %s", argv[0]);
}
