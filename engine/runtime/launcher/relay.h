#ifndef BERTH_RELAY_H
#define BERTH_RELAY_H

#include "plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  /* The network namespace that counts as the host's. */
  FD_HOST = 100,
  /* A known number, so that a message encoded by the daemon can say IFLA_NET_NS_FD. */
  FD_TARGET = 101,
  MAX_SUBSCRIPTIONS = 8,
};

/* A request being read, or a failure: once `error` is set, `step` says where and nothing more is done. */
struct request {
  struct cursor fields;
  int error;
  char step[160];
};

/* Takes over errno as the request's error, unless it has one. Always -1. */
int failed(struct request *r, const char *call, const char *what);

/* Whether all fields were there; else the request is refused. */
bool whole(struct request *r);

/* Adds to the answer of the request being served. -1 with errno. */
int answer(const void *bytes, size_t length);

/* Writes a frame: type | u32 id | i32 errno | data. -1 when nobody reads. */
int reply(uint8_t type, uint32_t id, int error, const void *data, size_t length);

/* relay_netlink.c */
struct subscription {
  int fd;
  uint32_t id;
};
extern struct subscription subscriptions[MAX_SUBSCRIPTIONS];
extern int subscription_count;

void relay_netlink(struct request *r);
void relay_subscribe(struct request *r, uint32_t id);
/* Passes on what has come. -1 when nobody reads. */
int forward_events(const struct subscription *subscription);

/* relay_mounts.c */
void relay_pin(struct request *r);
void relay_unpin(struct request *r);
void relay_sysctl(struct request *r);
void relay_mount(struct request *r);
void relay_overlay(struct request *r);
void relay_unmount(struct request *r);

#endif
