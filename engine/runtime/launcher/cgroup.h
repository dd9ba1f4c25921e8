#ifndef BERTH_CGROUP_H
#define BERTH_CGROUP_H

#include "plan.h"

/* The folders of one container: one on version 2, one a controller on version 1. */

/* Sends a signal to every process in it. 0 when there was none left, 1 when there was one, -1 with errno. */
int cgroup_signal(const struct settings *s, int signo);

/* Kills until nothing is left; false when something stayed for two seconds (uninterruptible). */
bool cgroup_kill(const struct settings *s);

/* Whether the kernel killed one of its processes for want of memory. */
bool cgroup_oom_killed(const struct settings *s);

/* Removes the folders with what the container made below them. Best effort: what stays is collected by the daemon. */
void cgroup_remove(const struct settings *s);

#endif
