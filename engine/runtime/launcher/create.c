#define _GNU_SOURCE
#include "cgroup.h"
#include "channel.h"
#include "io.h"
#include "log.h"
#include "protocol.h"
#include "supervisor.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAUNCH_SECONDS 30

/* The plan, in memory of its own that can be given back. */
int receive_plan(int connection) {
  uint8_t header[FRAME_HEADER];
  /* Whoever does not send its plan is not waited for. */
  alarm(LAUNCH_SECONDS);
  if (read_full(connection, header, sizeof header) < 0) return -1;
  uint32_t length = 0;
  for (int i = 0; i < 4; i++) length |= (uint32_t)header[i] << (8 * i);
  if (length < 2 || length > PLAN_LIMIT || header[4] != FRAME_LAUNCH) {
    errno = length > PLAN_LIMIT ? EMSGSIZE : EPROTO;
    return -1;
  }
  size_t size = length - 1;
  uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED || read_full(connection, bytes, size) < 0) return -1;
  alarm(0);
  return plan_decode(&supervisor.plan, bytes, size);
}

/* The steps are over; only the settings are needed for as long as the container lives. */
static void forget_steps(void) {
  struct plan *plan = &supervisor.plan;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t settings_end = (uintptr_t)plan->settings.id + plan->settings_size;
  uintptr_t from = (settings_end + page - 1) / page * page;
  uintptr_t to = ((uintptr_t)plan->child.bytes.end + page - 1) / page * page;
  if (from < to) munmap((void *)from, to - from);
}

static bool joins_or_makes_pid_namespace(const struct plan *plan) {
  struct cursor c = plan->joins.bytes;
  bool found = plan->clone_flags & CLONE_NEWPID;
  for (uint32_t i = 0; i < plan->joins.count && !found; i++) {
    take_text(&c);
    found = take_u32(&c) == CLONE_NEWPID;
    take_text(&c);
  }
  return found;
}

static int write_state(void) {
  char text[256], path[64], stat[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)supervisor.main.ends.pid);
  /* The start time, field 22, tells a process from a later one of the same number. */
  unsigned long long start = 0;
  char *field = read_file(path, stat, sizeof stat) > 0 ? strrchr(stat, ')') : NULL;
  for (int i = 2; field && i < 22; i++) field = strchr(field + 1, ' ');
  if (field) start = strtoull(field, NULL, 10);
  snprintf(text, sizeof text, "version %d\npid %d\nstart %llu\nsupervisor %d\n", PROTOCOL_VERSION,
           (int)supervisor.main.ends.pid, start, (int)getpid());
  /* A loss of power ends the process that this describes, so it need not survive one: it costs a millisecond. */
  return state_write(supervisor.plan.settings.state_folder, "state", text, false);
}

static void wait_for_child(pid_t pid) {
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

/* Until the barrier, or without one until exec. */
static int await_created(struct failure *failure) {
  struct process *p = &supervisor.main;
  for (;;) {
    struct packet packet;
    struct pollfd one = {.fd = p->ends.channel, .events = POLLIN};
    if (poll(&one, 1, -1) < 0) continue;
    int descriptor, type = channel_receive(p->ends.channel, &packet, &descriptor, false);
    if (type == MESSAGE_CREATED) return 0;
    if (type == MESSAGE_FAILED) {
      *failure = packet.failure;
      return -1;
    }
    if (type == MESSAGE_MASTER && descriptor >= 0) process_master(p, descriptor);
    if (type == 0) {
      close_open(&p->ends.channel);
      supervisor.status = STATUS_RUNNING;
      return 0;
    }
  }
}

/* Everything up to the barrier. What failed is undone. */
int create(struct failure *failure) {
  const struct settings *s = &supervisor.plan.settings;
  struct context x = {.phase = PHASE_SUPERVISOR, .channel = -1, .failure = failure, .why = "prepare the supervisor"};
  char path[PATH_MAX];
  /* Two containers on one state folder would work on the same data: the one that is there stays. */
  if (unix_answers(s->socket)) {
    errno = EBUSY;
    return fail(&x, "bind %s", s->socket);
  }
  snprintf(path, sizeof path, "%s/exit", s->state_folder);
  if (unlink(path) < 0 && errno != ENOENT) return fail(&x, "unlink %s", path);
  if (*s->log_path && log_open(s->log_path, s->log_max_size, s->log_max_files) < 0) return fail(&x, "open %s", s->log_path);
  supervisor.listener = unix_listen(s->socket, 0600);
  if (supervisor.listener < 0) return fail(&x, "bind %s", s->socket);
  if (!joins_or_makes_pid_namespace(&supervisor.plan)) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  x.phase = PHASE_HOST;
  int made = steps_run(&x, &supervisor.plan.host);
  if (made == 0) made = spawn(&supervisor.plan, false, &supervisor.main.ends, failure);
  if (made == 0) {
    made = await_created(failure);
    forget_steps();
    if (made == 0 && write_state() < 0) {
      x.phase = PHASE_SUPERVISOR;
      x.why = "record the state";
      x.at = NULL;
      made = fail(&x, "write %s/state", s->state_folder);
    }
    if (made < 0) {
      kill(supervisor.main.ends.pid, SIGKILL);
      wait_for_child(supervisor.main.ends.pid);
    }
  }
  if (made == 0) return 0;
  cgroup_kill(s);
  cgroup_remove(s);
  unlink(s->socket);
  return -1;
}
