#define _GNU_SOURCE
#include "cgroup.h"
#include "channel.h"
#include "log.h"
#include "protocol.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

void process_init(struct process *p) {
  *p = (struct process){.ends = {.pid = -1, .channel = -1, .in = -1, .out = -1, .err = -1}, .master = -1};
}

int *process_input(struct process *p) { return p->terminal ? &p->master : &p->ends.in; }

void process_master(struct process *p, int master) {
  close_open(&p->master);
  p->master = master;
  fcntl(master, F_SETFL, O_NONBLOCK);
  if (p->rows > 0) process_resize(p, p->rows, p->columns);
}

static void started(struct process *p) {
  close_open(&p->ends.channel);
  /* Nothing came to the end of the channel but a death: whoever reaps it tells. */
  p->started = true;
  if (p == &supervisor.main && supervisor.status == STATUS_CREATED) supervisor.status = STATUS_RUNNING;
  if (p->starter) client_ok(p->starter, p->request, p == &supervisor.main ? 0 : (uint32_t)p->ends.pid);
  p->starter = NULL;
}

void process_channel(struct process *p) {
  struct packet packet;
  int descriptor, type = channel_receive(p->ends.channel, &packet, &descriptor, false);
  if (type < 0 && errno == EAGAIN) return;
  if (type == MESSAGE_MASTER && descriptor >= 0) return process_master(p, descriptor);
  close_open(&descriptor);
  if (type == MESSAGE_FAILED) {
    if (p->starter) client_error(p->starter, p->request, &packet.failure);
    p->starter = NULL;
    close_open(&p->ends.channel);
  } else if (type <= 0) {
    started(p);
  }
}

/* One piece from one stream to the log and to all who listen. false: nothing more now. */
static bool copy_once(struct session *session, int *fd, int stream) {
  static char chunk[CHUNK];
  ssize_t n = read(*fd, chunk, sizeof chunk);
  if (n < 0 && errno == EINTR) return true;
  if (n < 0 && errno == EAGAIN) return false;
  if (n <= 0) {
    close_open(fd);
    return false;
  }
  uint8_t type = stream == 1 ? FRAME_STDOUT : FRAME_STDERR;
  if (session) {
    if (session->client) client_send(session->client, type, chunk, (size_t)n);
    return true;
  }
  log_write(stream, chunk, (size_t)n);
  uint8_t flag = stream == 1 ? ATTACH_STDOUT : ATTACH_STDERR;
  for (int i = 0; i < CLIENT_LIMIT; i++) {
    struct client *c = supervisor.clients[i];
    if (c && c->attached & flag) client_send(c, type, chunk, (size_t)n);
  }
  return true;
}

void process_output(struct process *p, struct session *session, bool drain) {
  int *streams[] = {&p->ends.out, &p->ends.err, &p->master};
  for (int i = 0; i < 3; i++) {
    if (*streams[i] < 0) continue;
    while (copy_once(session, streams[i], i == 1 ? 2 : 1) && drain) continue;
  }
}

void process_resize(struct process *p, uint16_t rows, uint16_t columns) {
  struct winsize size = {.ws_row = rows, .ws_col = columns};
  p->rows = rows;
  p->columns = columns;
  if (p->master >= 0) ioctl(p->master, TIOCSWINSZ, &size);
}

int process_signal(struct process *p, int signo, bool all) {
  if (p->reaped || p->ends.pid <= 0) {
    errno = ESRCH;
    return -1;
  }
  if (signo < 0 || signo >= NSIG) {
    errno = EINVAL;
    return -1;
  }
  /* It is our child and not yet reaped, so the number cannot mean another process. */
  if (!all || supervisor.plan.settings.cgroup_count == 0) return kill(p->ends.pid, signo);
  return cgroup_signal(&supervisor.plan.settings, signo) < 0 ? -1 : 0;
}
