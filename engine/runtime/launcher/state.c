#define _GNU_SOURCE
#include "io.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int state_write(const char *folder, const char *name, const char *text, bool durable) {
  char temporary[NAME_MAX + 1];
  snprintf(temporary, sizeof temporary, "%s.tmp", name);
  int parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return -1;
  int fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool done = fd >= 0 && write_full(fd, text, strlen(text)) == 0 && (!durable || fdatasync(fd) == 0) &&
              renameat(parent, temporary, parent, name) == 0 && (!durable || fsync(parent) == 0);
  int error = errno;
  if (fd >= 0) close(fd);
  if (!done) unlinkat(parent, temporary, 0);
  close(parent);
  errno = error;
  return done ? 0 : -1;
}
