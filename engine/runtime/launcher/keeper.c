#define _GNU_SOURCE
#include "keeper.h"

#include "role.h"
#include "title.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_CONFIGURATION 78
/* Back-off of restarts: at once, then doubling up to the limit; a daemon that has lived that long begins anew. */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LIMIT_MS 5000
#define SETTLED_MS 10000
/* Beside the indexes of connections and -1, the listening socket. */
#define CHANNEL -2

static struct keeper keeper;

static struct {
  pid_t pid;
  int64_t started, next;
  int backoff;
  /* It was told to end. */
  bool ending;
} life;

static struct pollfd polls[512];
static int indexes[512];
static nfds_t watched;

static void watch(int fd, int index) {
  polls[watched] = (struct pollfd){.fd = fd, .events = POLLIN};
  indexes[watched++] = index;
}

static struct rlimit files;

/* Ports are held by the thousand. */
static void limits_raise(void) {
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return;
  struct rlimit raised = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
  setrlimit(RLIMIT_NOFILE, &raised);
}

void limits_restore(void) {
  if (files.rlim_max > 0) setrlimit(RLIMIT_NOFILE, &files);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void start_daemon(void) {
  life.started = now_ms();
  life.pid = daemon_start(&keeper);
  if (life.pid < 0) life.next = life.started + BACKOFF_LIMIT_MS;
}

/* The keeper's own exit code, or -1 to go on. */
static int daemon_ended(int status) {
  int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  int64_t now = now_ms();
  life.pid = 0;
  channel_close(&keeper);
  if (life.ending || code == 0 || code == EXIT_CONFIGURATION) return code;
  if (now - life.started >= SETTLED_MS) life.backoff = 0;
  life.next = now + life.backoff;
  fprintf(stderr, "{\"level\":\"error\",\"message\":\"the daemon ended and is started again\",\"code\":%d,\"inMs\":%d}\n", code,
          life.backoff);
  life.backoff = life.backoff == 0 ? BACKOFF_FIRST_MS : life.backoff * 2;
  if (life.backoff > BACKOFF_LIMIT_MS) life.backoff = BACKOFF_LIMIT_MS;
  return -1;
}

static int reap(void) {
  int status, result = -1;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == life.pid) result = daemon_ended(status);
  }
  return result;
}

static int on_signals(int fd) {
  struct signalfd_siginfo info;
  while (read(fd, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;
    if (info.ssi_signo != SIGHUP) life.ending = true;
    if (life.pid > 0) kill(life.pid, (int)info.ssi_signo);
  }
  int result = reap();
  return result < 0 && life.ending && life.pid <= 0 ? 0 : result;
}

static int run(int signals) {
  for (;;) {
    int64_t wait = life.pid > 0 ? -1 : life.next - now_ms();
    if (life.pid <= 0 && wait <= 0) {
      start_daemon();
      continue;
    }
    watched = 0;
    watch(signals, 0);
    control_watch(&keeper, watch);
    if (keeper.channel >= 0) watch(keeper.channel, CHANNEL);
    if (poll(polls, watched, (int)wait) < 0) continue;
    for (nfds_t i = 1; i < watched; i++) {
      if (!polls[i].revents) continue;
      if (indexes[i] == CHANNEL) channel_drain(&keeper);
      else if (indexes[i] < 0) control_accept(&keeper);
      else control_serve(&keeper, indexes[i]);
    }
    int result = polls[0].revents ? on_signals(signals) : -1;
    if (result >= 0) return result;
  }
}

int role_keeper(int argc, char **argv) {
  static const int awaited[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
  sigset_t set;
  prctl(PR_SET_NAME, "berth-keeper", 0, 0, 0);
  int result = keeper_open(&keeper, argc > 2 ? argv[2] : NULL);
  if (result != 0) return result;
  const char *end = strrchr(keeper.lock_path, '/');
  title_set("berth-keeper %.*s", end ? (int)(end - keeper.lock_path) : 0, keeper.lock_path);
  limits_raise();
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof awaited / sizeof *awaited; i++) sigaddset(&set, awaited[i]);
  sigprocmask(SIG_SETMASK, &set, NULL);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) {
    perror("Error: Cannot wait for signals");
    return 1;
  }
  result = run(signals);
  for (uint32_t i = 0; i < keeper.sockets; i++) {
    if (keeper.socket[i].kind == KIND_UNIX) unlink(keeper.socket[i].address);
  }
  unlink(keeper.control_path);
  return result;
}
