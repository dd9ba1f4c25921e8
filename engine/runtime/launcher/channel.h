#ifndef BERTH_CHANNEL_H
#define BERTH_CHANNEL_H

#include "plan.h"

/*
 * Between a supervisor and a process that it makes: a SOCK_SEQPACKET pair, closed by exec(2), so that the end of the
 * stream says "it runs".
 *
 *   to the child    GO      the parent steps are done
 *                   START   pass the barrier
 *   to the parent   PID     struct made: the process that a helper, which joined namespaces, has made
 *                   MASTER  with SCM_RIGHTS: the console's master
 *                   CREATED the barrier is reached
 *                   FAILED  struct failure
 */
enum message { MESSAGE_GO = 1, MESSAGE_START, MESSAGE_PID, MESSAGE_MASTER, MESSAGE_CREATED, MESSAGE_FAILED };

/* `outside`: it was not made in its v2 cgroup. */
struct made {
  int32_t pid;
  uint32_t outside;
};

struct packet {
  uint8_t type;
  union {
    struct made made;
    struct failure failure;
  };
};

/* Sends a message, with a descriptor unless it is -1. -1 with errno. */
int channel_send(int channel, enum message type, const void *content, size_t size, int descriptor);

/* Its type, 0 at the end, or -1 with errno (EAGAIN when told not to wait). A descriptor that came with it, or -1. */
int channel_receive(int channel, struct packet *packet, int *descriptor, bool wait);

#endif
