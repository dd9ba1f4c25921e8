#define _GNU_SOURCE
#include "protocol.h"
#include "supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct process *process_of(struct client *c) {
  return c->session ? &c->session->process : &supervisor.main;
}

static void close_stdin(struct client *c) {
  struct process *p = process_of(c);
  /* A terminal's end of input is a character that the client sends; its master also carries the output. */
  if (p->terminal || (!c->session && !supervisor.plan.settings.stdin_once)) return;
  close_open(&p->ends.in);
}

void request_stdin_gone(struct client *c) {
  if (!c->session && c->attached & ATTACH_STDIN) close_stdin(c);
  c->attached = 0;
}

static bool feed(struct client *c, const uint8_t *bytes, size_t size) {
  int *input = process_input(process_of(c));
  if (!c->session && !(c->attached & ATTACH_STDIN)) return true;
  while (c->stdin_done < size && *input >= 0) {
    ssize_t n = write(*input, bytes + c->stdin_done, size - c->stdin_done);
    if (n >= 0) {
      c->stdin_done += (size_t)n;
    } else if (errno == EAGAIN) {
      return false;
    } else if (errno != EINTR) {
      if (!process_of(c)->terminal) close_open(input);
      break;
    }
  }
  c->stdin_done = 0;
  return true;
}

static void start(struct client *c, uint32_t request) {
  struct process *p = &supervisor.main;
  if (supervisor.status != STATUS_CREATED || p->starter) return client_errno(c, request, EALREADY, "start");
  if (p->reaped || spawn_start(&p->ends) < 0) return client_errno(c, request, ESRCH, "start");
  p->starter = c;
  p->request = request;
}

static void answer(struct client *c, uint32_t request, int result, const char *call) {
  if (result < 0) client_errno(c, request, errno, call);
  else client_ok(c, request, 0);
}

static void attach(struct client *c, uint32_t request, uint8_t flags) {
  if (c->session || c->attached) return client_errno(c, request, EALREADY, "attach");
  client_ok(c, request, 0);
  c->attached = flags;
}

static void obey(struct client *c, uint8_t type, struct cursor *in) {
  struct process *p = process_of(c);
  uint32_t request = take_u32(in);
  switch (type) {
    case FRAME_START:
      if (!in->bad) start(c, request);
      break;
    case FRAME_SIGNAL: {
      uint32_t signo = take_u32(in);
      bool all = take_u8(in) != 0;
      if (!in->bad) answer(c, request, process_signal(p, (int)signo, all && !c->session), "kill");
      break;
    }
    case FRAME_RESIZE: {
      uint16_t rows = take_u16(in), columns = take_u16(in);
      if (!in->bad) process_resize(p, rows, columns);
      if (!in->bad) client_ok(c, request, 0);
      break;
    }
    case FRAME_ATTACH: {
      uint8_t flags = take_u8(in);
      if (!in->bad) attach(c, request, flags);
      break;
    }
    case FRAME_EXEC:
      if (!in->bad) session_start(c, request, in->at, (size_t)(in->end - in->at));
      break;
    default:
      /* A later client's: it is told, not cut off. */
      if (!in->bad) client_errno(c, request, ENOSYS, "request");
  }
  if (in->bad) close_open(&c->fd);
}

bool request_obey(struct client *c, uint8_t type, const uint8_t *payload, size_t size) {
  struct cursor in = {.at = payload, .end = payload + size};
  if (type == FRAME_STDIN) return feed(c, payload, size);
  if (type == FRAME_CLOSE_STDIN) {
    if (c->session || c->attached & ATTACH_STDIN) close_stdin(c);
  } else {
    obey(c, type, &in);
  }
  return true;
}
