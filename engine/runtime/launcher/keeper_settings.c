#define _GNU_SOURCE
#include "io.h"
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS_LIMIT (256u << 10)
#define LOCK_TRIES 60
#define EXIT_CONFIGURATION 78

static const char *const kinds[] = {"unix", "tcp", "udp"};

static int complain(const char *action, const char *subject) {
  fprintf(stderr, "Error: Cannot %s \"%s\": %s\n", action, subject, strerror(errno));
  return errno == EPROTO || errno == EINVAL ? EXIT_CONFIGURATION : 1;
}

/* All texts of the settings point into these bytes. */
static uint8_t bytes[SETTINGS_LIMIT];

static int read_settings(const char *file, struct cursor *c) {
  int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
  size_t size = 0;
  if (fd < 0) return -1;
  for (;;) {
    ssize_t n = read(fd, bytes + size, sizeof bytes - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    size += (size_t)n;
  }
  close(fd);
  if (!file && open("/dev/null", O_RDONLY) < 0) return -1;
  *c = (struct cursor){.at = bytes, .end = bytes + size};
  return 0;
}

static char **take_list(struct cursor *c) {
  uint32_t count = take_u32(c);
  if (c->bad || count > (size_t)(c->end - c->at) / 5) {
    c->bad = true;
    return NULL;
  }
  char **list = calloc((size_t)count + 1, sizeof *list);
  for (uint32_t i = 0; list && i < count; i++) list[i] = (char *)(uintptr_t)take_text(c);
  return list;
}

/* One that was there belonged to a keeper that is gone: we have the lock. */
static int open_unix(const char *path, mode_t mode, gid_t group) {
  int fd = unix_listen(path, group == (gid_t)-1 ? mode : 0600);
  if (fd < 0 || group == (gid_t)-1) return fd;
  if (chown(path, (uid_t)-1, group) == 0 && chmod(path, mode) == 0) return fd;
  close(fd);
  return -1;
}

static int open_socket(struct keeper *k, struct cursor *c) {
  const char *name = take_text(c);
  uint8_t kind = take_u8(c);
  const char *address = take_text(c);
  uint16_t port = take_u16(c);
  mode_t mode = take_u32(c);
  gid_t group = take_u32(c);
  char where[PATH_MAX];
  if (c->bad || kind > KIND_UDP || k->sockets >= SOCKET_LIMIT) {
    c->bad = true;
    return 0;
  }
  int fd = kind == KIND_UNIX ? open_unix(address, mode, group) : inet_listen((enum kind)kind, address, port);
  if (fd < 0) {
    int error = errno;
    if (kind == KIND_UNIX) snprintf(where, sizeof where, "%s", address);
    else snprintf(where, sizeof where, strchr(address, ':') ? "%s [%s]:%u" : "%s %s:%u", kinds[kind], address, port);
    errno = error;
    return complain("listen on", where);
  }
  k->socket[k->sockets].name = name;
  k->socket[k->sockets].address = address;
  k->socket[k->sockets].kind = (enum kind)kind;
  k->socket[k->sockets++].fd = fd;
  return 0;
}

/* Held by this open file: by us and by the daemon, which inherits it, until both are gone. */
static int take_lock(struct keeper *k) {
  char owner[32];
  k->lock = open(k->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (k->lock < 0) return complain("open", k->lock_path);
  for (int i = 0; flock(k->lock, LOCK_EX | LOCK_NB) < 0; i++) {
    /* The daemon of a keeper that was killed a moment ago needs a moment to end. */
    if (errno == EWOULDBLOCK && i < LOCK_TRIES) {
      poll(NULL, 0, 50);
      continue;
    }
    if (errno != EWOULDBLOCK) return complain("lock", k->lock_path);
    ssize_t n = pread(k->lock, owner, sizeof owner - 1, 0);
    owner[n > 0 ? n : 0] = 0;
    owner[strcspn(owner, "\n")] = 0;
    fprintf(stderr, "Error: Another daemon (process %s) holds \"%s\"\n", owner, k->lock_path);
    return 1;
  }
  int length = snprintf(owner, sizeof owner, "%d\n", (int)getpid());
  if (ftruncate(k->lock, 0) < 0 || pwrite(k->lock, owner, (size_t)length, 0) < 0) return complain("write", k->lock_path);
  return 0;
}

int keeper_open(struct keeper *k, const char *settings_file) {
  struct cursor c;
  *k = (struct keeper){.lock = -1, .control = -1, .channel = -1};
  if (read_settings(settings_file, &c) < 0) return complain("read", settings_file ? settings_file : "standard input");
  uint32_t version = take_u32(&c);
  k->lock_path = take_text(&c);
  k->control_path = take_text(&c);
  uint32_t sockets = take_u32(&c);
  if (version != PLAN_VERSION) c.bad = true;
  int result = c.bad ? 0 : take_lock(k);
  for (uint32_t i = 0; i < sockets && !c.bad && result == 0; i++) result = open_socket(k, &c);
  if (result != 0) return result;
  k->argv = take_list(&c);
  k->env = take_list(&c);
  if (c.bad || c.at != c.end || !k->argv || !k->env || !k->argv[0]) {
    errno = EPROTO;
    return complain("read", "the keeper's settings");
  }
  k->control = unix_listen(k->control_path, 0600);
  return k->control < 0 ? complain("listen on", k->control_path) : 0;
}
