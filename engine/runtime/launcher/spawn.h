#ifndef BERTH_SPAWN_H
#define BERTH_SPAWN_H

#include "plan.h"

/* The supervisor's ends of what a new process was given; -1 where there is none. */
struct spawned {
  pid_t pid;
  int channel, in, out, err;
};

/*
 * Makes the process of a plan and performs the parent steps; it then runs its child steps on its own and tells over
 * the channel how far it came. With a terminal, input and output are the master that comes over the channel.
 * -1: nothing was left behind, and the failure says why.
 */
int spawn(const struct plan *plan, bool exec, struct spawned *made, struct failure *failure);

/* Lets it go on from the barrier. -1 with errno. */
int spawn_start(const struct spawned *made);

void close_open(int *fd);

#endif
