#ifndef BERTH_SUPERVISOR_H
#define BERTH_SUPERVISOR_H

#include "plan.h"
#include "spawn.h"

#include <poll.h>

/* Two descriptors a client, four a session: together below the usual limit of 1024. */
#define CLIENT_LIMIT 128
#define SESSION_LIMIT 128
/* What moves between a process and its clients at once. */
#define CHUNK 16384

enum status { STATUS_CREATED, STATUS_RUNNING, STATUS_EXITED };
enum { ATTACH_STDIN = 1, ATTACH_STDOUT = 2, ATTACH_STDERR = 4 };

struct session;

/* One connection. What it is too slow to take lies in a file without a name, so it delays nobody and costs no memory. */
struct client {
  int fd;
  uint8_t attached;
  bool blocked;
  uint8_t *input;
  size_t input_capacity, input_size;
  /* Of a STDIN frame at the start of input: how much the process has taken. */
  size_t stdin_done;
  int spool;
  uint64_t spool_from, spool_to;
  struct session *session;
};

/* A process, the container's own or one that was made by EXEC. */
struct process {
  struct spawned ends;
  int master;
  bool terminal, started, reaped;
  int code, signal;
  uint16_t rows, columns;
  /* Whom to tell how the start went. */
  struct client *starter;
  uint32_t request;
};

struct session {
  struct process process;
  /* NULL once it has gone away. */
  struct client *client;
};

extern struct supervisor {
  struct plan plan;
  enum status status;
  int listener;
  struct process main;
  struct client *clients[CLIENT_LIMIT];
  struct session *sessions[SESSION_LIMIT];
} supervisor;

/* create.c: the plan from a LAUNCH frame; then everything up to the barrier, or nothing. -1 with errno, or the failure. */
int receive_plan(int connection);
int create(struct failure *failure);

/* client.c */
struct client *client_add(int fd);
void client_remove(struct client *c);
/* Queues a frame; a client that cannot be given it is removed when the loop comes by (fd becomes -1). */
void client_send(struct client *c, uint8_t type, const void *payload, size_t size);
void client_ok(struct client *c, uint32_t request, uint32_t value);
void client_error(struct client *c, uint32_t request, const struct failure *failure);
void client_errno(struct client *c, uint32_t request, int error, const char *call);
void client_hello(struct client *c);
/* Sends what waits in the spool. */
void client_flush(struct client *c);
/* Reads and obeys; also after a full stdin has room again. */
void client_read(struct client *c);
void client_resume(struct client *c);

/* request.c: one frame. false: it must wait, because the process takes no input now. */
bool request_obey(struct client *c, uint8_t type, const uint8_t *payload, size_t size);
void request_stdin_gone(struct client *c);

/* process.c */
void process_init(struct process *p);
/* The console's master came over the channel. */
void process_master(struct process *p, int master);
/* The channel has something to say. */
void process_channel(struct process *p);
/* Copies what it wrote, once or (drain) until nothing is left. */
void process_output(struct process *p, struct session *session, bool drain);
void process_resize(struct process *p, uint16_t rows, uint16_t columns);
int process_signal(struct process *p, int signo, bool all);
/* Where input goes; -1 when it takes none. */
int *process_input(struct process *p);

/* session.c */
void session_start(struct client *c, uint32_t request, const uint8_t *plan, size_t size);
void session_finish(struct session *s);

/* state.c: files of the state folder, whole or not at all. durable: also after a loss of power. -1 with errno. */
int state_write(const char *folder, const char *name, const char *text, bool durable);

#endif
