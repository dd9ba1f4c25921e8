#define _GNU_SOURCE
#include "io.h"
#include "keeper.h"
#include "protocol.h"
#include "role.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_LIMIT 256
#define REQUEST_LIMIT 1024

static int connections[CONNECTION_LIMIT];

void control_watch(struct keeper *k, void (*watch)(int fd, int index)) {
  int open = 0;
  for (int i = 0; i < CONNECTION_LIMIT; i++) {
    if (connections[i] == 0) continue;
    watch(connections[i], i);
    open++;
  }
  if (open < CONNECTION_LIMIT) watch(k->control, -1);
}

void control_accept(struct keeper *k) {
  int fd = accept4(k->control, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  for (int i = 0; i < CONNECTION_LIMIT; i++) {
    if (connections[i] != 0) continue;
    connections[i] = fd;
    return;
  }
  close(fd);
}

static void drop(int index) {
  close(connections[index]);
  connections[index] = 0;
}

/* Whoever does not read its answers is not waited for. */
static int answer(int fd, uint32_t request, int value) {
  struct {
    uint8_t header[FRAME_HEADER];
    uint8_t payload[5 * sizeof(uint32_t) + 7];
  } frame = {0};
  uint32_t numbers[5] = {request, value < 0 ? (uint32_t)errno : (uint32_t)value, PHASE_SUPERVISOR};
  size_t size = value < 0 ? sizeof frame.payload : 2 * sizeof(uint32_t);
  memcpy(frame.payload, numbers, sizeof numbers);
  memcpy(frame.payload + sizeof numbers, "bind", 5);
  frame_header(frame.header, value < 0 ? FRAME_ERROR : FRAME_OK, size);
  size += sizeof frame.header;
  return send(fd, &frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

static int obey(struct keeper *k, int fd, uint8_t type, struct cursor *c) {
  uint32_t request = take_u32(c);
  int value = 0;
  if (type == FRAME_BIND) {
    uint8_t protocol = take_u8(c);
    uint16_t port = take_u16(c);
    const char *address = take_text(c), *key = take_text(c);
    if (c->bad || protocol > 1) return -1;
    value = hold_port(key, protocol == 0 ? KIND_TCP : KIND_UDP, address, port);
  } else if (type == FRAME_RELEASE) {
    const char *key = take_text(c);
    if (c->bad) return -1;
    release_port(key);
  } else if (type == FRAME_LISTEN) {
    uint16_t port = take_u16(c);
    const char *address = take_text(c), *name = take_text(c);
    if (c->bad) return -1;
    value = listen_late(k, name, address, port);
  } else {
    if (c->bad) return -1;
    errno = ENOSYS;
    value = -1;
  }
  return answer(fd, request, value);
}

/*
 * A supervisor reads its plan itself, so a slow or bad sender delays nobody here: only the frame's type is looked at.
 * It takes the connection with it.
 */
static void launch(int index) {
  if (fork() == 0) {
    limits_restore();
    _exit(supervise(connections[index]));
  }
  drop(index);
}

void control_serve(struct keeper *k, int index) {
  uint8_t frame[REQUEST_LIMIT], type;
  int fd = connections[index];
  ssize_t n = recv(fd, frame, FRAME_HEADER, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* Senders write a request at once, so a piece of one is not one of theirs. */
  if (n < FRAME_HEADER) return drop(index);
  if (frame[4] == FRAME_LAUNCH) return launch(index);
  uint32_t length = 0;
  for (int i = 0; i < 4; i++) length |= (uint32_t)frame[i] << (8 * i);
  n = length < 1 || length + 4 > sizeof frame ? -1 : recv(fd, frame, length + 4, MSG_DONTWAIT);
  if (n < 0 || (size_t)n < length + 4) return drop(index);
  type = frame[4];
  struct cursor c = {.at = frame + FRAME_HEADER, .end = frame + n};
  if (obey(k, fd, type, &c) < 0) drop(index);
}
