#define _GNU_SOURCE
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static void wait_for(int fd, short events) {
  struct pollfd one = {.fd = fd, .events = events};
  while (poll(&one, 1, -1) < 0 && errno == EINTR) continue;
}

int read_full(int fd, void *buffer, size_t size) {
  size_t have = 0;
  while (have < size) {
    ssize_t n = read(fd, (char *)buffer + have, size - have);
    if (n > 0) {
      have += (size_t)n;
    } else if (n == 0) {
      errno = have == 0 ? ENODATA : EPROTO;
      return -1;
    } else if (errno == EAGAIN) {
      wait_for(fd, POLLIN);
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

int write_full(int fd, const void *buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = write(fd, (const char *)buffer + done, size - done);
    if (n >= 0) {
      done += (size_t)n;
    } else if (errno == EAGAIN) {
      wait_for(fd, POLLOUT);
    } else if (errno != EINTR) {
      return -1;
    }
  }
  return 0;
}

void frame_header(uint8_t header[FRAME_HEADER], uint8_t type, size_t size) {
  uint32_t length = (uint32_t)size + 1;
  for (int i = 0; i < 4; i++) header[i] = (uint8_t)(length >> (8 * i));
  header[4] = type;
}

int frame_write(int fd, uint8_t type, const void *payload, size_t size) {
  uint8_t header[FRAME_HEADER];
  if (size >= UINT32_MAX) {
    errno = EMSGSIZE;
    return -1;
  }
  frame_header(header, type, size);
  struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)payload, size}};
  ssize_t n;
  do n = writev(fd, parts, size > 0 ? 2 : 1);
  while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno != EAGAIN) return -1;
    n = 0;
  }
  size_t done = (size_t)n;
  if (done < sizeof header) {
    if (write_full(fd, header + done, sizeof header - done) < 0) return -1;
    done = sizeof header;
  }
  done -= sizeof header;
  return done < size ? write_full(fd, (const char *)payload + done, size - done) : 0;
}

ssize_t frame_read(int fd, uint8_t *type, void *payload, size_t capacity) {
  uint8_t header[FRAME_HEADER];
  if (read_full(fd, header, sizeof header) < 0) return -1;
  uint32_t length = 0;
  for (int i = 0; i < 4; i++) length |= (uint32_t)header[i] << (8 * i);
  if (length == 0 || length - 1 > capacity) {
    errno = length == 0 ? EPROTO : EMSGSIZE;
    return -1;
  }
  *type = header[4];
  if (length > 1 && read_full(fd, payload, length - 1) < 0) {
    if (errno == ENODATA) errno = EPROTO;
    return -1;
  }
  return (ssize_t)(length - 1);
}

int write_file(const char *path, const void *text, size_t size) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n;
  do n = write(fd, text, size);
  while (n < 0 && errno == EINTR);
  int error = n < 0 ? errno : (size_t)n < size ? EIO : 0;
  close(fd);
  errno = error;
  return error == 0 ? 0 : -1;
}

ssize_t read_file(const char *path, char *buffer, size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  size_t have = 0;
  ssize_t n = 0;
  while (have < capacity - 1) {
    n = read(fd, buffer + have, capacity - 1 - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    have += (size_t)n;
  }
  int error = errno;
  close(fd);
  errno = error;
  buffer[have] = 0;
  return n < 0 ? -1 : (ssize_t)have;
}

static int unix_address(struct sockaddr_un *address, const char *path) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address->sun_path, path);
  return 0;
}

bool unix_answers(const char *path) {
  struct sockaddr_un address;
  if (unix_address(&address, path) < 0) return false;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  /* EAGAIN: its queue is full. */
  bool answers = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN;
  close(fd);
  return answers;
}

int unix_listen(const char *path, unsigned mode) {
  struct sockaddr_un address;
  if (unix_address(&address, path) < 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (unlink(path) < 0 && errno != ENOENT) goto fail;
  /* The mode is given by the umask at bind(2): a chmod afterwards would leave a moment in which anyone may connect. */
  mode_t before = umask(~mode & 0777);
  int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(before);
  if (bound < 0 || listen(fd, 1024) < 0) goto fail;
  return fd;
fail:;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}
