#define _GNU_SOURCE
#include "supervisor.h"

#include "cgroup.h"
#include "io.h"
#include "kernel.h"
#include "log.h"
#include "protocol.h"
#include "role.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTION 3
/* How long a client that takes nothing may keep a supervisor whose container has ended. */
#define LINGER_MS (10 * 60 * 1000)
#define REAP_TRIES 200

struct supervisor supervisor = {.listener = -1};

/* Only the connection and /dev/null stay open: nothing of whoever started us reaches a container, or is held for years. */
static int detach(int connection) {
  static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
  sigset_t set;
  setsid();
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, NULL);
  if (connection != CONNECTION && dup2(connection, CONNECTION) < 0) return -1;
  if (sys_close_range(CONNECTION + 1, ~0u, 0) < 0) return -1;
  fcntl(CONNECTION, F_SETFD, FD_CLOEXEC);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) {
    if (null < 0 || dup2(null, fd) < 0) return -1;
  }
  close(null);
  umask(0);
  prctl(PR_SET_NAME, "berth-super", 0, 0, 0);
  return chdir("/");
}

/* Watchers: rebuilt for every poll(2), so that what is awaited is never out of date. */
static struct pollfd polls[8 + CLIENT_LIMIT + 5 * SESSION_LIMIT];
static struct {
  void (*run)(void *of);
  void *of;
} watchers[sizeof polls / sizeof *polls];
static nfds_t watched;

static void watch(int fd, short events, void (*run)(void *), void *of) {
  if (fd < 0 || events == 0) return;
  polls[watched] = (struct pollfd){.fd = fd, .events = events};
  watchers[watched].run = run;
  watchers[watched++].of = of;
}

static void on_channel(void *of) {
  struct process *p = of;
  if (p->ends.channel >= 0) process_channel(p);
}

static void on_output(void *of) { process_output(&supervisor.main, of, false); }

static void on_session_output(void *of) {
  struct session *s = of;
  process_output(&s->process, s, false);
}

static void on_room(void *of) {
  struct process *p = of;
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    struct client *c = supervisor.clients[i];
    if (c && c->blocked && (c->session ? &c->session->process : &supervisor.main) == p) client_resume(c);
  }
}

static void on_client(void *of) {
  struct client *c = of;
  client_flush(c);
  if (c->fd >= 0 && !c->blocked) client_read(c);
}

static void on_accept(void *of) {
  (void)of;
  int fd = accept4(supervisor.listener, NULL, NULL, SOCK_CLOEXEC);
  struct client *c = fd < 0 ? NULL : client_add(fd);
  if (c) client_hello(c);
  else close_open(&fd);
}

static struct session *session_of(pid_t pid) {
  for (int i = 0; i < SESSION_LIMIT; i++) {
    struct session *s = supervisor.sessions[i];
    if (s && s->process.ends.pid == pid) return s;
  }
  return NULL;
}

static void reap(void) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    struct session *s = session_of(pid);
    struct process *p = s ? &s->process : pid == supervisor.main.ends.pid ? &supervisor.main : NULL;
    if (!p) continue;
    p->reaped = true;
    p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    p->code = p->signal ? 128 + p->signal : WEXITSTATUS(status);
    if (s) session_finish(s);
  }
}

static void on_signal(void *of) {
  struct signalfd_siginfo info;
  int *fd = of;
  while (read(*fd, &info, sizeof info) == sizeof info) continue;
  reap();
}

static bool sessions_left(void) {
  for (int i = 0; i < SESSION_LIMIT; i++) {
    if (supervisor.sessions[i]) return true;
  }
  return false;
}

/* The container's process is reaped: end what is left of it, then tell, in this order, disk and clients. */
static void finish(void) {
  const struct settings *s = &supervisor.plan.settings;
  struct process *p = &supervisor.main;
  struct timespec now;
  char text[128];
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t finished = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  /* The kernel has killed all others of its own PID namespace before it could be reaped. */
  if (!(supervisor.plan.clone_flags & CLONE_NEWPID)) cgroup_kill(s);
  for (int i = 0; i < REAP_TRIES && sessions_left(); i++) {
    if (i > 0) poll(NULL, 0, 10);
    reap();
  }
  while (p->ends.channel >= 0) process_channel(p);
  process_output(p, NULL, true);
  log_flush();
  bool oom = cgroup_oom_killed(s);
  cgroup_remove(s);
  /* A new supervisor of this container may come as soon as the exit is known, with the same socket and cgroups. */
  close_open(&supervisor.listener);
  unlink(s->socket);
  snprintf(text, sizeof text, "code %d\nsignal %d\noom %d\nfinished %llu\n", p->code, p->signal, oom,
           (unsigned long long)finished);
  state_write(s->state_folder, "exit", text, true);
  struct {
    uint32_t numbers[2];
    uint8_t rest[9];
  } frame = {.numbers = {(uint32_t)p->code, (uint32_t)p->signal}, .rest = {oom}};
  memcpy(frame.rest + 1, &finished, sizeof finished);
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    if (supervisor.clients[i]) client_send(supervisor.clients[i], FRAME_EXIT, &frame, 17);
  }
  supervisor.status = STATUS_EXITED;
}

static void watch_all(int *signals) {
  struct process *p = &supervisor.main;
  bool blocked = false;
  int clients = 0;
  watched = 0;
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    struct client *c = supervisor.clients[i];
    /* Having got its EXIT, it is let go; others may still have to read theirs. */
    bool told = supervisor.status == STATUS_EXITED && c && c->spool_from == c->spool_to;
    if (c && (c->fd < 0 || told)) client_remove(c);
    c = supervisor.clients[i];
    if (!c) continue;
    clients++;
    if (c->blocked && !c->session) blocked = true;
    short wanted = c->spool_from < c->spool_to ? POLLOUT : 0;
    if (!c->blocked && supervisor.status != STATUS_EXITED) wanted |= POLLIN;
    watch(c->fd, wanted, on_client, c);
  }
  if (supervisor.status == STATUS_EXITED) return;
  /* More wait in the kernel's queue. */
  if (clients < CLIENT_LIMIT) watch(supervisor.listener, POLLIN, on_accept, NULL);
  watch(p->ends.channel, POLLIN, on_channel, p);
  watch(p->ends.out, POLLIN, on_output, NULL);
  watch(p->ends.err, POLLIN, on_output, NULL);
  watch(p->master, POLLIN, on_output, NULL);
  if (blocked) watch(*process_input(p), POLLOUT, on_room, p);
  for (int i = 0; i < SESSION_LIMIT; i++) {
    struct session *s = supervisor.sessions[i];
    if (!s) continue;
    struct process *q = &s->process;
    watch(q->ends.channel, POLLIN, on_channel, q);
    if (s->client && s->client->blocked) watch(*process_input(q), POLLOUT, on_room, q);
    /* Nobody but its client reads it, so it may wait for its client. */
    if (s->client && s->client->spool_from < s->client->spool_to) continue;
    watch(q->ends.out, POLLIN, on_session_output, s);
    watch(q->ends.err, POLLIN, on_session_output, s);
    watch(q->master, POLLIN, on_session_output, s);
  }
  /* The last, because it frees sessions. */
  watch(*signals, POLLIN, on_signal, signals);
}

static void resume_blocked(void) {
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    struct client *c = supervisor.clients[i];
    if (c && c->blocked && *process_input(c->session ? &c->session->process : &supervisor.main) < 0) client_resume(c);
  }
}

static int serve(int signals) {
  for (;;) {
    watch_all(&signals);
    if (watched == 0) return 0;
    int ready = poll(polls, watched, supervisor.status == STATUS_EXITED ? LINGER_MS : -1);
    if (ready == 0) return 0;
    for (nfds_t i = 0; ready > 0 && i < watched; i++) {
      if (polls[i].revents) watchers[i].run(watchers[i].of);
    }
    if (supervisor.main.reaped && supervisor.status != STATUS_EXITED) finish();
    resume_blocked();
  }
}

int supervise(int connection) {
  static struct failure failure;
  sigset_t child;
  if (detach(connection) < 0) return 1;
  process_init(&supervisor.main);
  int received = receive_plan(CONNECTION);
  int error = errno;
  struct client *c = client_add(CONNECTION);
  if (!c) return 1;
  if (received < 0) {
    client_errno(c, 0, error, "read launch plan");
    return 1;
  }
  title_set("berth-supervisor %.12s", supervisor.plan.settings.id);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  supervisor.main.terminal = supervisor.plan.settings.terminal;
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) {
    client_errno(c, 0, errno, "signalfd");
    return 1;
  }
  if (create(&failure) < 0) {
    client_error(c, 0, &failure);
    return 1;
  }
  client_hello(c);
  return serve(signals);
}

int role_supervisor(int argc, char **argv) {
  (void)argc;
  (void)argv;
  return supervise(CONNECTION);
}
