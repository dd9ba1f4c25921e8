#define _GNU_SOURCE
#include "keeper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* An address without a zone, "0.0.0.0" or "::" for all. Its size, or 0. */
static socklen_t address_of(union address *a, const char *text, uint16_t port) {
  memset(a, 0, sizeof *a);
  if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
    a->v4.sin_family = AF_INET;
    a->v4.sin_port = htons(port);
    return sizeof a->v4;
  }
  if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) == 1) {
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons(port);
    return sizeof a->v6;
  }
  errno = EINVAL;
  return 0;
}

static int set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value);
}

static int bound_socket(enum kind kind, const char *text, uint16_t port) {
  union address address;
  socklen_t size = address_of(&address, text, port);
  if (size == 0) return -1;
  int fd = socket(address.any.sa_family, (kind == KIND_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  /* The address may be one that a bridge gets only later. */
  int result = set(fd, IPPROTO_IP, IP_FREEBIND, 1);
  if (address.any.sa_family == AF_INET6) result = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (result == 0 && kind == KIND_TCP) result = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (result == 0) result = bind(fd, &address.any, size);
  if (result == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int inet_listen(enum kind kind, const char *address, uint16_t port) {
  int fd = bound_socket(kind, address, port);
  if (fd < 0 || kind == KIND_UDP || listen(fd, 4096) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static struct hold {
  struct hold *next;
  int fd;
  uint16_t port;
  char key[];
} *holds;

/*
 * SO_REUSEADDR is needed to pass connections of a former owner that wait for their end, but would let others bind
 * beside us: listening takes the port for ourselves alone, and after shutdown the socket keeps it without answering,
 * so that whoever is not redirected by the firewall is refused instead of hanging.
 */
static int hold_alone(int fd, enum kind kind) {
  if (kind == KIND_UDP) return set(fd, SOL_SOCKET, SO_RCVBUF, 0);
  if (listen(fd, 0) < 0 || set(fd, SOL_SOCKET, SO_REUSEADDR, 0) < 0) return -1;
  return shutdown(fd, SHUT_RD);
}

int port_of(int fd) {
  union address got;
  socklen_t size = sizeof got;
  if (getsockname(fd, &got.any, &size) < 0) return -1;
  return ntohs(got.any.sa_family == AF_INET ? got.v4.sin_port : got.v6.sin6_port);
}

/* A number that the kernel chose is not kept over shutdown(2), one that was asked for is. */
static int any_port(enum kind kind, const char *address) {
  int fd = bound_socket(kind, address, 0);
  if (fd < 0) return -1;
  int port = port_of(fd);
  close(fd);
  return port;
}

int hold_port(const char *key, enum kind kind, const char *address, uint16_t port) {
  for (struct hold *h = holds; h; h = h->next) {
    if (strcmp(h->key, key) == 0) return h->port;
  }
  if (port == 0) {
    int chosen = any_port(kind, address);
    if (chosen < 0) return -1;
    port = (uint16_t)chosen;
  }
  struct hold *h = malloc(sizeof *h + strlen(key) + 1);
  int fd = h ? bound_socket(kind, address, port) : -1;
  if (fd < 0 || hold_alone(fd, kind) < 0) {
    int error = errno;
    if (fd >= 0) close(fd);
    free(h);
    errno = error;
    return -1;
  }
  h->fd = fd;
  h->port = port;
  strcpy(h->key, key);
  h->next = holds;
  holds = h;
  return h->port;
}

void release_port(const char *key) {
  for (struct hold **at = &holds; *at; at = &(*at)->next) {
    struct hold *h = *at;
    if (strcmp(h->key, key) != 0) continue;
    *at = h->next;
    close(h->fd);
    free(h);
    return;
  }
}
