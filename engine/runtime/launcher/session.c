#define _GNU_SOURCE
#include "protocol.h"
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void session_start(struct client *c, uint32_t request, const uint8_t *bytes, size_t size) {
  static struct failure failure;
  struct plan plan;
  int slot = 0;
  if (c->session || c->attached) return client_errno(c, request, EALREADY, "exec");
  if (supervisor.status != STATUS_RUNNING || supervisor.main.reaped) return client_errno(c, request, ESRCH, "exec");
  if (plan_decode_exec(&plan, bytes, size) < 0) return client_errno(c, request, errno, "decode exec plan");
  while (slot < SESSION_LIMIT && supervisor.sessions[slot]) slot++;
  struct session *s = slot < SESSION_LIMIT ? calloc(1, sizeof *s) : NULL;
  if (!s) return client_errno(c, request, EAGAIN, "exec");
  process_init(&s->process);
  s->process.terminal = plan.settings.terminal;
  failure = (struct failure){0};
  if (spawn(&plan, true, &s->process.ends, &failure) < 0) {
    client_error(c, request, &failure);
    free(s);
    return;
  }
  s->process.starter = c;
  s->process.request = request;
  s->client = c;
  c->session = s;
  supervisor.sessions[slot] = s;
}

void session_finish(struct session *s) {
  struct process *p = &s->process;
  while (p->ends.channel >= 0) process_channel(p);
  process_output(p, s, true);
  if (s->client) {
    uint32_t code = (uint32_t)p->code;
    /* A start that failed was already answered with its error. */
    client_send(s->client, FRAME_EXEC_EXIT, &code, sizeof code);
    s->client->session = NULL;
  }
  close_open(&p->ends.channel);
  close_open(&p->ends.in);
  close_open(&p->ends.out);
  close_open(&p->ends.err);
  close_open(&p->master);
  for (int i = 0; i < SESSION_LIMIT; i++) {
    if (supervisor.sessions[i] == s) supervisor.sessions[i] = NULL;
  }
  free(s);
}
