#define _GNU_SOURCE
#include "kernel.h"
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FIRST 3
/* Above every number that the descriptors end at. */
#define ASIDE (FIRST + SOCKET_LIMIT + 2)
#define EXIT_CONFIGURATION 78

/* "api:3,docker:4,lock:5": the sockets in their order, then the lock; behind it, unnamed, the channel. */
static int place_descriptors(const struct keeper *k, int channel, char *names, size_t size) {
  int aside[SOCKET_LIMIT + 2];
  uint32_t count = k->sockets + (channel < 0 ? 1 : 2);
  size_t length = (size_t)snprintf(names, size, "BERTH_FDS=");
  for (uint32_t i = 0; i < count; i++) {
    aside[i] = fcntl(i < k->sockets ? k->socket[i].fd : i == k->sockets ? k->lock : channel, F_DUPFD, ASIDE);
    if (aside[i] < 0) return -1;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (dup2(aside[i], FIRST + (int)i) < 0) return -1;
    if (i > k->sockets) continue;
    length += (size_t)snprintf(names + length, size - length, "%s%s:%u", i > 0 ? "," : "",
                               i < k->sockets ? k->socket[i].name : "lock", FIRST + i);
    if (length >= size) {
      errno = E2BIG;
      return -1;
    }
  }
  return sys_close_range(FIRST + count, ~0u, 0);
}

static _Noreturn void become_daemon(const struct keeper *k, pid_t keeper, int channel) {
  char names[2048], control[256], node[32];
  sigset_t none;
  size_t count = 0;
  while (k->env[count]) count++;
  char **env = calloc(count + 4, sizeof *env);
  /* A group of its own: Ctrl-C reaches it once, through the keeper. */
  setpgid(0, 0);
  limits_restore();
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != keeper) _exit(1);
  for (int i = 1; i < NSIG; i++) signal(i, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (!env || place_descriptors(k, channel, names, sizeof names) < 0) {
    perror("Error: Cannot give the daemon its sockets");
    _exit(1);
  }
  snprintf(control, sizeof control, "BERTH_KEEPER=%s", k->control_path);
  memcpy(env, k->env, count * sizeof *env);
  env[count] = names;
  env[count + 1] = control;
  snprintf(node, sizeof node, "NODE_CHANNEL_FD=%u", FIRST + k->sockets + 1);
  if (channel >= 0) env[count + 2] = node;
  execve(k->argv[0], k->argv, env);
  fprintf(stderr, "Error: Cannot execute the daemon's \"%s\": %s\n", k->argv[0], strerror(errno));
  /* It would not be there the next time either. */
  _exit(EXIT_CONFIGURATION);
}

pid_t daemon_start(struct keeper *k) {
  /* Without one the daemon does all but take late sockets. */
  int channel = channel_open(k);
  pid_t keeper = getpid(), pid = fork();
  if (pid == 0) become_daemon(k, keeper, channel);
  if (channel >= 0) close(channel);
  if (pid < 0) channel_close(k);
  return pid;
}
