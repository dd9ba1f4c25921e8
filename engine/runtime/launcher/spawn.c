#define _GNU_SOURCE
#include "spawn.h"

#include "channel.h"
#include "kernel.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOIN_LIMIT 16
#define CHANNEL 3
#define CLONE_PARENT_FLAG 0x00008000u
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_FAILED 125

struct start {
  const struct plan *plan;
  bool exec, joins_user, outside;
  int stdio[3], channel;
  struct attach attach;
};

void close_open(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static pid_t clone_process(uint64_t flags, int cgroup) {
  struct clone_settings settings = {.flags = flags, .exit_signal = flags & CLONE_PARENT_FLAG ? 0 : SIGCHLD};
  if (cgroup >= 0) {
    settings.flags |= INTO_CGROUP;
    settings.cgroup = (uint64_t)cgroup;
  }
  return (pid_t)syscall(NR_CLONE3, &settings, sizeof settings);
}

/*
 * In its v2 cgroup where the kernel lets us: not from inside a joined cgroup namespace (nsdelegate) or user namespace,
 * and not beyond the cgroup's limit of processes, which a move does not ask about.
 */
static pid_t clone_in_cgroup(struct start *s, uint64_t flags) {
  pid_t pid = s->attach.folder < 0 ? -1 : clone_process(flags, s->attach.folder);
  if (pid >= 0) return pid;
  s->outside = s->attach.folder >= 0;
  return clone_process(flags, -1);
}

static void restore_signals(void) {
  sigset_t none;
  for (int i = 1; i < NSIG; i++) signal(i, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* PID 1 of a shared PID namespace: reaps, and ends when told, which for PID 1 happens only to a handled signal. */
static _Noreturn void pause_and_reap(void) {
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGCHLD);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGINT);
  sigprocmask(SIG_BLOCK, &awaited, NULL);
  sys_close_range(3, ~0u, 0);
  for (;;) {
    int signo = sigwaitinfo(&awaited, NULL);
    if (signo == SIGTERM || signo == SIGINT) _exit(0);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  }
}

/* The system calls that every plan implies; what fails is told as a step of the supervisor's. */
static int enter(struct context *x, const struct start *s) {
  bool user = s->joins_user || s->plan->clone_flags & CLONE_NEWUSER;
  struct attach attach = s->attach;
  attach.entering = true;
  x->phase = PHASE_PARENT;
  x->attach = &attach;
  if (steps_run(x, &s->plan->parent) < 0) return -1;
  x->attach = NULL;
  x->phase = PHASE_SUPERVISOR;
  x->why = "enter the new namespaces";
  x->at = NULL;
  for (int fd = 0; fd < 3; fd++) {
    if (dup2(s->stdio[fd], fd) < 0) return fail(x, "dup2 %d", fd);
  }
  if (s->channel != CHANNEL && dup3(s->channel, CHANNEL, O_CLOEXEC) < 0) return fail(x, "dup3");
  x->channel = CHANNEL;
  if (sys_close_range(CHANNEL + 1, ~0u, 0) < 0) return fail(x, "close_range");
  struct packet packet;
  int descriptor, type = channel_receive(CHANNEL, &packet, &descriptor, true);
  if (type != MESSAGE_GO) {
    if (type >= 0) errno = ECANCELED;
    return fail(x, "wait for the parent");
  }
  if (user) {
    /* Until now it ran as somebody whom the new user namespace does not know, and could make no file. */
    if (setresgid(0, 0, 0) < 0) return fail(x, "setresgid 0");
    if (setresuid(0, 0, 0) < 0) return fail(x, "setresuid 0");
    if (setgroups(0, NULL) < 0 && errno != EPERM) return fail(x, "setgroups");
    /* The change took /proc/self away from us: its files were given to the host's root. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) return fail(x, "prctl PR_SET_DUMPABLE");
  } else {
    /* No process of the container may look into this one while it still has all its rights. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return fail(x, "prctl PR_SET_DUMPABLE");
  }
  /* A cgroup namespace takes the cgroup in which its maker is. */
  if (s->plan->clone_flags & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0) return fail(x, "unshare cgroup");
  umask(0);
  x->phase = PHASE_CHILD;
  return 0;
}

static _Noreturn void child_main(const struct start *s) {
  static struct failure failure;
  struct context x = {.channel = s->channel, .exec = s->exec, .failure = &failure};
  restore_signals();
  prctl(PR_SET_NAME, "berth-init", 0, 0, 0);
  title_set("berth-init %.12s", s->plan->settings.id);
  if (enter(&x, s) < 0 || steps_run(&x, &s->plan->child) < 0) {
    channel_send(x.channel, MESSAGE_FAILED, &failure, sizeof failure, -1);
    if (failure.op != OP_EXEC) _exit(EXIT_FAILED);
    _exit(failure.error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
  }
  if (s->plan->settings.pause_only) pause_and_reap();
  _exit(0);
}

static int join_all(struct context *x, const struct joins *joins) {
  struct cursor c = joins->bytes;
  int fds[JOIN_LIMIT], kinds[JOIN_LIMIT];
  if (joins->count > JOIN_LIMIT) {
    errno = E2BIG;
    return fail(x, "join %u namespaces", joins->count);
  }
  /* All are opened first: in another mount namespace the paths mean something else. */
  for (uint32_t i = 0; i < joins->count; i++) {
    const char *path = take_text(&c);
    kinds[i] = (int)take_u32(&c);
    x->why = take_text(&c);
    fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    if (fds[i] < 0) return fail(x, "open %s", path);
  }
  c = joins->bytes;
  for (uint32_t i = 0; i < joins->count; i++) {
    const char *path = take_text(&c);
    take_u32(&c);
    x->why = take_text(&c);
    if (setns(fds[i], kinds[i]) < 0) return fail(x, "setns %s", path);
  }
  return 0;
}

/*
 * Joining cannot be undone (a user namespace) or holds for children only (a PID namespace), so a helper joins and
 * makes the process as its sibling: CLONE_PARENT, so that the supervisor can wait for it.
 */
static _Noreturn void helper_main(struct start *s, uint64_t flags) {
  static struct failure failure;
  struct context x = {.phase = PHASE_SUPERVISOR, .failure = &failure};
  if (join_all(&x, &s->plan->joins) == 0) {
    struct made made = {.pid = clone_in_cgroup(s, flags | CLONE_PARENT_FLAG)};
    if (made.pid == 0) child_main(s);
    made.outside = s->outside;
    x.why = "make the process";
    if (made.pid > 0 && channel_send(s->channel, MESSAGE_PID, &made, sizeof made, -1) == 0) _exit(0);
    fail(&x, "clone3");
  }
  channel_send(s->channel, MESSAGE_FAILED, &failure, sizeof failure, -1);
  _exit(1);
}

static bool joins_kind(const struct joins *joins, uint32_t kind) {
  struct cursor c = joins->bytes;
  for (uint32_t i = 0; i < joins->count; i++) {
    take_text(&c);
    if (take_u32(&c) == kind) return true;
    take_text(&c);
  }
  return false;
}

static pid_t make_process(struct context *x, struct start *s, int channel) {
  uint64_t flags = s->plan->clone_flags & ~(uint64_t)CLONE_NEWCGROUP;
  if (s->plan->joins.count == 0) {
    pid_t pid = clone_in_cgroup(s, flags);
    if (pid == 0) child_main(s);
    return pid < 0 ? fail(x, "clone3 %#llx", (unsigned long long)flags) : pid;
  }
  s->joins_user = joins_kind(&s->plan->joins, CLONE_NEWUSER);
  pid_t helper = clone_process(0, -1);
  if (helper == 0) helper_main(s, flags);
  if (helper < 0) return fail(x, "clone3");
  /* What it had to say lies in the channel once it is gone; waiting there would be for ever if it was killed. */
  while (waitpid(helper, NULL, 0) < 0 && errno == EINTR) continue;
  struct packet packet;
  int descriptor, type = channel_receive(channel, &packet, &descriptor, false);
  s->outside = type == MESSAGE_PID && packet.made.outside;
  if (type == MESSAGE_PID) return packet.made.pid;
  if (type == MESSAGE_FAILED) {
    *x->failure = packet.failure;
    return -1;
  }
  errno = ECHILD;
  return fail(x, "clone3 helper");
}

static int make_pipe(int *ours, int *theirs, bool we_read) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  *ours = ends[we_read ? 0 : 1];
  *theirs = ends[we_read ? 1 : 0];
  /* Of our end only: the two have file descriptions of their own. */
  return fcntl(*ours, F_SETFL, O_NONBLOCK);
}

static int open_stdio(const struct settings *s, struct spawned *made, int theirs[3]) {
  for (int i = 0; i < 3; i++) theirs[i] = -1;
  if (s->terminal || s->pause_only || !s->stdin_open) {
    if ((theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) return -1;
  } else if (make_pipe(&made->in, &theirs[0], false) < 0) {
    return -1;
  }
  if (s->terminal || s->pause_only) {
    for (int i = 1; i < 3; i++) {
      if ((theirs[i] = open("/dev/null", O_WRONLY | O_CLOEXEC)) < 0) return -1;
    }
    return 0;
  }
  return make_pipe(&made->out, &theirs[1], true) < 0 || make_pipe(&made->err, &theirs[2], true) < 0 ? -1 : 0;
}

static void close_attach(struct attach *attach) {
  for (uint32_t i = 0; i < attach->count; i++) close_open(&attach->tasks[i]);
  close_open(&attach->folder);
}

int spawn(const struct plan *plan, bool exec, struct spawned *made, struct failure *failure) {
  int ends[2] = {-1, -1};
  struct start s = {.plan = plan, .exec = exec, .stdio = {-1, -1, -1}, .channel = -1, .attach = {.folder = -1}};
  struct context x = {.phase = PHASE_SUPERVISOR, .channel = -1, .exec = exec, .failure = failure};
  *made = (struct spawned){.pid = -1, .channel = -1, .in = -1, .out = -1, .err = -1};
  int result = 0;
  x.phase = PHASE_PARENT;
  x.attach = &s.attach;
  result = steps_run(&x, &plan->parent);
  x.attach = NULL;
  x.phase = PHASE_SUPERVISOR;
  if (result < 0) {
    close_attach(&s.attach);
    return -1;
  }
  x.why = "make the process";
  x.at = NULL;
  if (open_stdio(&plan->settings, made, s.stdio) < 0) {
    result = fail(&x, "pipe2");
  } else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    result = fail(&x, "socketpair");
  } else {
    made->channel = ends[0];
    s.channel = ends[1];
    made->pid = make_process(&x, &s, ends[0]);
    if (made->pid < 0) result = -1;
  }
  for (int i = 0; i < 3; i++) close_open(&s.stdio[i]);
  close_open(&ends[1]);
  close_attach(&s.attach);
  if (result == 0) {
    x.phase = PHASE_PARENT;
    x.outside = s.outside;
    x.child = made->pid;
    result = steps_run(&x, &plan->parent);
  }
  if (result == 0 && channel_send(made->channel, MESSAGE_GO, NULL, 0, -1) < 0) result = fail(&x, "send go");
  if (result == 0) return 0;
  if (made->pid > 0) {
    kill(made->pid, SIGKILL);
    while (waitpid(made->pid, NULL, 0) < 0 && errno == EINTR) continue;
  }
  made->pid = -1;
  close_open(&made->channel);
  close_open(&made->in);
  close_open(&made->out);
  close_open(&made->err);
  return -1;
}

int spawn_start(const struct spawned *made) {
  return channel_send(made->channel, MESSAGE_START, NULL, 0, -1);
}
