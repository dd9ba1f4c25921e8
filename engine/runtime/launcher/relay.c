/*
 * Role `relay [NETNS]`: performs for the daemon the system calls that Node cannot make: netlink requests in any
 * network namespace, pinned namespaces, mounts. No policy: TypeScript encodes every message and names every path.
 * NETNS, if given, is entered first and counts as the host's. Ends when stdin closes.
 *
 * Frames of io.h on stdin and stdout. Fields have the flat form of ../encode.ts; an empty text means absent.
 *   request  type T          u32 id | fields of T, in the order that its function reads them
 *   reply    type T | 0x80   u32 id | i32 errno | data, or with an errno the step that failed
 *   event    type 0x7f       u32 id of the subscription | i32 errno | netlink messages
 * Requests are answered in order. A call may wait in the kernel (RCU when a link or a namespace goes), so the
 * daemon runs several relays and gives slow work to one of its own.
 */
#define _GNU_SOURCE
#include "io.h"
#include "relay.h"
#include "role.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  T_NETLINK = 1,
  T_SUBSCRIBE = 2,
  T_PIN = 3,
  T_UNPIN = 4,
  T_MOUNT = 5,
  T_OVERLAY = 6,
  T_UNMOUNT = 7,
  T_SYSCTL = 8,
  REPLY = 0x80,
  MAX_FRAME = 16 << 20,
  MAX_REPLY = 64 << 20,
};

static struct {
  uint8_t *bytes;
  size_t length, capacity;
} out;

int failed(struct request *r, const char *call, const char *what) {
  if (r->error == 0) {
    r->error = errno ? errno : EIO;
    snprintf(r->step, sizeof r->step, "%.40s%s%.100s", call, *what ? " " : "", what);
  }
  return -1;
}

int answer(const void *bytes, size_t length) {
  if (length > MAX_REPLY - out.length) {
    errno = EMSGSIZE;
    return -1;
  }
  if (out.length + length > out.capacity) {
    size_t capacity = (out.length + length) * 2;
    uint8_t *grown = realloc(out.bytes, capacity);
    if (!grown)
      return -1;
    out.bytes = grown;
    out.capacity = capacity;
  }
  if (length)
    memcpy(out.bytes + out.length, bytes, length);
  out.length += length;
  return 0;
}

/* Whether all fields were there; else the request is refused. */
bool whole(struct request *r) {
  if (r->fields.bad && r->error == 0) {
    errno = EBADMSG;
    failed(r, "read request", "");
  }
  return r->error == 0;
}

/* Head and data go by themselves: data may be large, and is not copied. */
int reply(uint8_t type, uint32_t id, int error, const void *data, size_t length) {
  uint8_t head[FRAME_HEADER + 8];
  uint32_t status = (uint32_t)error;
  frame_header(head, type, length + 8);
  memcpy(head + FRAME_HEADER, &id, 4);
  memcpy(head + FRAME_HEADER + 4, &status, 4);
  return write_full(1, head, sizeof head) < 0 || write_full(1, data, length) < 0 ? -1 : 0;
}

static void perform(uint8_t type, uint32_t id, struct request *r) {
  switch (type) {
  case T_NETLINK:
    relay_netlink(r);
    break;
  case T_SUBSCRIBE:
    relay_subscribe(r, id);
    break;
  case T_PIN:
    relay_pin(r);
    break;
  case T_UNPIN:
    relay_unpin(r);
    break;
  case T_MOUNT:
    relay_mount(r);
    break;
  case T_OVERLAY:
    relay_overlay(r);
    break;
  case T_UNMOUNT:
    relay_unmount(r);
    break;
  case T_SYSCTL:
    relay_sysctl(r);
    break;
  default:
    errno = ENOSYS;
    failed(r, "request", "of unknown type");
  }
}

/* One frame from stdin, performed and answered. Negative when stdin or stdout is gone. */
static int serve_one(void) {
  static uint8_t *frame;
  uint8_t type;
  if (!frame && !(frame = malloc(MAX_FRAME)))
    return -1;
  ssize_t length = frame_read(0, &type, frame, MAX_FRAME);
  if (length < 0)
    return -1;
  struct request r = { .fields = { .at = frame, .end = frame + length } };
  uint32_t id = take_u32(&r.fields);
  out.length = 0;
  perform(type, id, &r);
  if (r.error)
    return reply(type | REPLY, id, r.error, r.step, strlen(r.step));
  return reply(type | REPLY, id, 0, out.bytes, out.length);
}

int role_relay(int argc, char **argv) {
  /* Ctrl-C and a service's stop reach the whole group; the daemon still needs its relay to clean up. */
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  const char *netns = argc > 2 ? argv[2] : "/proc/self/ns/net";
  int host = open(netns, O_RDONLY | O_CLOEXEC);
  if (host < 0 || dup3(host, FD_HOST, O_CLOEXEC) < 0 || setns(FD_HOST, CLONE_NEWNET) < 0 || chdir("/") < 0) {
    perror(netns);
    return 1;
  }
  close(host);
  const pid_t daemon = getppid();
  title_set("berth-relay of %d", (int)daemon);
  for (;;) {
    struct pollfd waiting[1 + MAX_SUBSCRIPTIONS] = { { .fd = 0, .events = POLLIN } };
    for (int i = 0; i < subscription_count; i++)
      waiting[1 + i] = (struct pollfd){ .fd = subscriptions[i].fd, .events = POLLIN };
    int count = subscription_count;
    if (poll(waiting, (nfds_t)(1 + count), -1) < 0) {
      if (errno == EINTR)
        continue;
      return 1;
    }
    for (int i = 0; i < count; i++)
      if (waiting[1 + i].revents && forward_events(&subscriptions[i]) < 0)
        return 0;
    /* What a daemon that was killed still asked is not begun: its next start may be at work already. */
    if (waiting[0].revents && (getppid() != daemon || serve_one() < 0))
      return 0;
  }
}
