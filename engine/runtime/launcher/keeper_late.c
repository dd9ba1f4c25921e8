#define _GNU_SOURCE
#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Node receives descriptors in one way only: on the channel of its NODE_CHANNEL_FD, where a line of JSON of this form
 * comes with one (lib/internal/child_process.js, setupChannel). It reaches process.on('message').
 */
static const char message[] = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"late\":\"%s\"}}\n";

int channel_open(struct keeper *k) {
  int ends[2];
  channel_close(k);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return -1;
  k->channel = ends[0];
  return ends[1];
}

void channel_close(struct keeper *k) {
  if (k->channel >= 0) close(k->channel);
  k->channel = -1;
}

void channel_drain(struct keeper *k) {
  char bytes[512];
  ssize_t n = recv(k->channel, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) channel_close(k);
}

/* The text and the descriptor arrive together or not at all: so short a text is never cut by an empty buffer. */
static int send_socket(const struct keeper *k, const char *name, int fd) {
  char text[256];
  int length = snprintf(text, sizeof text, message, name);
  if (length < 0 || (size_t)length >= sizeof text) {
    errno = ENAMETOOLONG;
    return -1;
  }
  if (k->channel < 0) {
    errno = ENOTCONN;
    return -1;
  }
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  struct iovec part = {.iov_base = text, .iov_len = (size_t)length};
  struct msghdr whole = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&whole);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  return sendmsg(k->channel, &whole, MSG_DONTWAIT | MSG_NOSIGNAL) == length ? 0 : -1;
}

/* It goes into JSON and into BERTH_FDS. */
static int is_name(const char *name) {
  size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz-");
  return length > 0 && length < 64 && name[length] == 0;
}

static int find(const struct keeper *k, const char *name) {
  uint32_t i = 0;
  while (i < k->sockets && strcmp(k->socket[i].name, name) != 0) i++;
  return (int)i;
}

int listen_late(struct keeper *k, const char *name, const char *address, uint16_t port) {
  int at = find(k, name), is_known = at < (int)k->sockets;
  if (!is_name(name) || (is_known ? k->socket[at].kind != KIND_TCP : at >= SOCKET_LIMIT)) {
    errno = EINVAL;
    return -1;
  }
  if (is_known && strcmp(k->socket[at].address, address) == 0 && (port == 0 || port == port_of(k->socket[at].fd))) {
    return send_socket(k, name, k->socket[at].fd) < 0 ? -1 : port_of(k->socket[at].fd);
  }
  /* Settings' texts are never freed, so neither are these: they change when a person asks. */
  char *kept_name = strdup(name), *kept_address = strdup(address);
  int fd = kept_name && kept_address ? inet_listen(KIND_TCP, address, port) : -1;
  if (fd < 0 || send_socket(k, name, fd) < 0) {
    int error = errno;
    if (fd >= 0) close(fd);
    free(kept_name);
    free(kept_address);
    errno = error;
    return -1;
  }
  if (is_known) close(k->socket[at].fd);
  k->socket[at].name = kept_name;
  k->socket[at].address = kept_address;
  k->socket[at].kind = KIND_TCP;
  k->socket[at].fd = fd;
  if (!is_known) k->sockets++;
  return port_of(fd);
}
