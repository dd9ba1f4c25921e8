#define _GNU_SOURCE
#include "sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

extern char **environ;

static int copy_sealed(int from, off_t size) {
  int to = memfd_create("berth-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  /* Before Linux 6.3 every memfd may be executed and the flag is unknown. */
  if (to < 0 && errno == EINVAL) to = memfd_create("berth-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (to < 0) return -1;
  while (size > 0) {
    ssize_t n = sendfile(to, from, NULL, (size_t)size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) goto fail;
    size -= n;
  }
  if (fcntl(to, F_ADD_SEALS, SEALS) == 0) return to;
fail:
  close(to);
  return -1;
}

int run_sealed(char **argv) {
  struct stat status;
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0) return -1;
  int seals = fcntl(self, F_GET_SEALS);
  if (seals >= 0 && (seals & SEALS) == SEALS) {
    close(self);
    return 0;
  }
  int copy = fstat(self, &status) == 0 ? copy_sealed(self, status.st_size) : -1;
  close(self);
  if (copy < 0) return -1;
  syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
  int error = errno;
  close(copy);
  errno = error;
  return -1;
}
