#define _GNU_SOURCE
#include "io.h"
#include "protocol.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define INPUT_START 4096
#define SMALL_FRAME (32 * 1024 + 16)
#define EXEC_FRAME (2u << 20)
#define SPOOL_LIMIT (1ull << 30)

struct client *client_add(int fd) {
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    if (supervisor.clients[i]) continue;
    struct client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->fd = fd;
    c->spool = -1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return supervisor.clients[i] = c;
  }
  return NULL;
}

void client_remove(struct client *c) {
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    if (supervisor.clients[i] == c) supervisor.clients[i] = NULL;
  }
  if (c->session) {
    c->session->client = NULL;
    if (c->session->process.starter == c) c->session->process.starter = NULL;
    close_open(&c->session->process.ends.in);
  }
  if (supervisor.main.starter == c) supervisor.main.starter = NULL;
  request_stdin_gone(c);
  close_open(&c->fd);
  close_open(&c->spool);
  free(c->input);
  free(c);
}

static void lose(struct client *c) { close_open(&c->fd); }

/* A file without a name in the state folder, or in memory where that file system has none. */
static int open_spool(void) {
  int fd = open(supervisor.plan.settings.state_folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd >= 0 ? fd : memfd_create("berth-spool", MFD_CLOEXEC);
}

static void spool(struct client *c, const void *bytes, size_t size) {
  if (c->spool < 0 && (c->spool = open_spool()) < 0) return lose(c);
  if (c->spool_to + size > SPOOL_LIMIT) return lose(c);
  for (size_t done = 0; done < size;) {
    ssize_t n = pwrite(c->spool, (const char *)bytes + done, size - done, (off_t)c->spool_to);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return lose(c);
    done += (size_t)n;
    c->spool_to += (uint64_t)n;
  }
}

void client_send(struct client *c, uint8_t type, const void *payload, size_t size) {
  uint8_t header[FRAME_HEADER];
  if (c->fd < 0) return;
  frame_header(header, type, size);
  size_t done = 0;
  if (c->spool_from == c->spool_to) {
    struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)payload, size}};
    ssize_t n;
    do n = writev(c->fd, parts, size > 0 ? 2 : 1);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) return lose(c);
    if (n > 0) done = (size_t)n;
  }
  if (done < sizeof header) {
    spool(c, header + done, sizeof header - done);
    done = sizeof header;
  }
  done -= sizeof header;
  if (done < size && c->fd >= 0) spool(c, (const char *)payload + done, size - done);
}

void client_flush(struct client *c) {
  while (c->fd >= 0 && c->spool_from < c->spool_to) {
    off_t from = (off_t)c->spool_from;
    ssize_t n = sendfile(c->fd, c->spool, &from, (size_t)(c->spool_to - c->spool_from));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return lose(c);
    c->spool_from = (uint64_t)from;
  }
  if (c->spool_to == 0) return;
  c->spool_from = c->spool_to = 0;
  close_open(&c->spool);
}

void client_ok(struct client *c, uint32_t request, uint32_t value) {
  uint32_t numbers[2] = {request, value};
  client_send(c, FRAME_OK, numbers, sizeof numbers);
}

void client_error(struct client *c, uint32_t request, const struct failure *f) {
  struct {
    uint32_t numbers[5];
    char texts[sizeof f->call + sizeof f->why + sizeof f->at];
  } frame = {.numbers = {request, (uint32_t)f->error, f->phase, f->index, f->op}};
  const char *texts[] = {f->call, f->why, f->at};
  size_t size = 0;
  for (int i = 0; i < 3; i++) {
    size_t length = strlen(texts[i]) + 1;
    memcpy(frame.texts + size, texts[i], length);
    size += length;
  }
  client_send(c, FRAME_ERROR, &frame, sizeof frame.numbers + size);
}

void client_errno(struct client *c, uint32_t request, int error, const char *call) {
  struct failure f = {.error = error, .phase = PHASE_SUPERVISOR};
  strncpy(f.call, call, sizeof f.call - 1);
  client_error(c, request, &f);
}

void client_hello(struct client *c) {
  const char *folder = supervisor.plan.settings.state_folder;
  uint8_t frame[9 + 4096];
  uint32_t numbers[2] = {PROTOCOL_VERSION, (uint32_t)supervisor.main.ends.pid};
  size_t length = strlen(folder) + 1;
  if (length > sizeof frame - 9) return lose(c);
  memcpy(frame, numbers, 8);
  frame[8] = supervisor.status;
  memcpy(frame + 9, folder, length);
  client_send(c, FRAME_HELLO, frame, 9 + length);
}

/* How long the frame at the start of input is, without its length field; 0 when not even that has come. */
static size_t frame_length(const struct client *c) {
  uint32_t length = 0;
  if (c->input_size < FRAME_HEADER) return 0;
  for (int i = 0; i < 4; i++) length |= (uint32_t)c->input[i] << (8 * i);
  return length;
}

static bool make_room(struct client *c) {
  size_t wanted = INPUT_START;
  if (c->input_size >= FRAME_HEADER) {
    size_t length = frame_length(c), limit = c->input[4] == FRAME_EXEC ? EXEC_FRAME : SMALL_FRAME;
    if (length == 0 || length > limit) return false;
    if (length + 4 > wanted) wanted = length + 4;
  }
  if (wanted <= c->input_capacity) return true;
  uint8_t *grown = realloc(c->input, wanted);
  if (!grown) return false;
  c->input = grown;
  c->input_capacity = wanted;
  return true;
}

static void obey_all(struct client *c) {
  c->blocked = false;
  while (c->fd >= 0 && c->input_size >= FRAME_HEADER) {
    size_t length = frame_length(c);
    if (length == 0) return lose(c);
    if (c->input_size < length + 4) break;
    if (!request_obey(c, c->input[4], c->input + FRAME_HEADER, length - 1)) {
      c->blocked = true;
      return;
    }
    c->input_size -= length + 4;
    memmove(c->input, c->input + length + 4, c->input_size);
  }
  /* A plan may have made it large. */
  if (c->input_size == 0 && c->input_capacity > SMALL_FRAME + 4) {
    free(c->input);
    c->input = NULL;
    c->input_capacity = 0;
  }
}

void client_resume(struct client *c) { obey_all(c); }

void client_read(struct client *c) {
  if (!make_room(c)) return lose(c);
  ssize_t n = read(c->fd, c->input + c->input_size, c->input_capacity - c->input_size);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (n <= 0) return lose(c);
  c->input_size += (size_t)n;
  obey_all(c);
}
