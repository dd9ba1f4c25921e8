#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
  T_EVENT = 0x7f,
  RECEIVE = 256 << 10,
  KEPT = 64,
};

struct subscription subscriptions[MAX_SUBSCRIPTIONS];
int subscription_count;
static int host_sockets[KEPT];

static int netlink_socket(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0)
    return -1;
  const int on = 1, size = 8 << 20;
  const struct timeval patience = { .tv_sec = 20 };
  /* An error's text, not its whole request; filters in dumps obeyed. Refusals on old kernels do no harm. */
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

/* A socket that lives in the namespace at `path`: entered, and left again at once. */
static int netlink_socket_in(struct request *r, int protocol, const char *path) {
  int netns = open(path, O_RDONLY | O_CLOEXEC);
  if (netns < 0)
    return failed(r, "open", path);
  int entered = setns(netns, CLONE_NEWNET);
  close(netns);
  if (entered < 0)
    return failed(r, "setns", path);
  int fd = netlink_socket(protocol);
  int error = errno;
  if (setns(FD_HOST, CLONE_NEWNET) < 0)
    abort(); /* in the wrong namespace every later request would be wrong */
  errno = error;
  return fd < 0 ? failed(r, "socket", "netlink") : fd;
}

/*
 * Send all messages in one datagram and collect what comes back. The kernel works during sendmsg, so that without a
 * dump everything has come when it returns; a dump ends with NLMSG_DONE or NLMSG_ERROR.
 */
static int netlink_talk(struct request *r, int fd, const uint8_t *message, size_t length) {
  static uint8_t space[RECEIVE];
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
  struct nlmsghdr head;
  if (length < sizeof head) {
    errno = EBADMSG;
    return failed(r, "read request", "message");
  }
  memcpy(&head, message, sizeof head);
  int dump = (head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, done = 0;
  if (sendto(fd, message, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    return failed(r, "sendto", "netlink");
  while (!done) {
    ssize_t n = recv(fd, space, sizeof space, MSG_TRUNC | (dump ? 0 : MSG_DONTWAIT));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN && !dump)
      return 0;
    if (n < 0)
      return failed(r, "recv", "netlink");
    if ((size_t)n > sizeof space) {
      errno = EMSGSIZE;
      return failed(r, "recv", "netlink");
    }
    if (answer(space, (size_t)n) < 0)
      return failed(r, "allocate", "");
    for (size_t at = 0; dump && at + sizeof head <= (size_t)n; at += NLMSG_ALIGN(head.nlmsg_len)) {
      memcpy(&head, space + at, sizeof head);
      if (head.nlmsg_len < sizeof head)
        break;
      done |= head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR;
    }
  }
  return 0;
}

/* u16 protocol | text netns | text target (open as FD_TARGET meanwhile) | bytes messages */
void relay_netlink(struct request *r) {
  int protocol = take_u16(&r->fields), kept = 0, fd;
  const char *netns = take_text(&r->fields), *target = take_text(&r->fields);
  uint32_t length;
  const void *messages = take_bytes(&r->fields, &length);
  if (!whole(r))
    return;
  if (*target) {
    int opened = open(target, O_RDONLY | O_CLOEXEC);
    if (opened < 0 || dup3(opened, FD_TARGET, O_CLOEXEC) < 0) {
      failed(r, "open", target);
      if (opened >= 0)
        close(opened);
      return;
    }
    close(opened);
  }
  if (*netns) {
    fd = netlink_socket_in(r, protocol, netns);
  } else {
    kept = protocol < KEPT;
    fd = kept && host_sockets[protocol] ? host_sockets[protocol] : netlink_socket(protocol);
    if (fd < 0)
      failed(r, "socket", "netlink");
    else if (kept)
      host_sockets[protocol] = fd;
  }
  if (fd >= 0) {
    /* After a failure answers may be left in the queue: such a socket is not used again. */
    int talked = netlink_talk(r, fd, messages, length);
    if (!kept || talked < 0)
      close(fd);
    if (kept && talked < 0)
      host_sockets[protocol] = 0;
  }
  if (*target)
    close(FD_TARGET);
}

/* u16 protocol | u32 multicast group; events follow with the request's id. Host's namespace. */
void relay_subscribe(struct request *r, uint32_t id) {
  int protocol = take_u16(&r->fields);
  int group = (int)take_u32(&r->fields);
  if (!whole(r))
    return;
  if (subscription_count == MAX_SUBSCRIPTIONS) {
    errno = EMFILE;
    failed(r, "subscribe", "");
    return;
  }
  int fd = netlink_socket(protocol);
  struct sockaddr_nl self = { .nl_family = AF_NETLINK };
  if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) < 0 ||
      setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
    failed(r, "subscribe", "netlink");
    if (fd >= 0)
      close(fd);
    return;
  }
  subscriptions[subscription_count++] = (struct subscription){ .fd = fd, .id = id };
}

int forward_events(const struct subscription *subscription) {
  static uint8_t space[RECEIVE];
  for (;;) {
    ssize_t n = recv(subscription->fd, space, sizeof space, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      return 0;
    if (n < 0 && errno == EINTR)
      continue;
    /* ENOBUFS: events were lost; the daemon must look for itself. */
    if (reply(T_EVENT, subscription->id, n < 0 ? errno : 0, space, n < 0 ? 0 : (size_t)n) < 0)
      return -1;
  }
}
