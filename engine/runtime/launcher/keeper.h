#ifndef BERTH_KEEPER_H
#define BERTH_KEEPER_H

#include "plan.h"

#include <stdbool.h>
#include <sys/types.h>

#define SOCKET_LIMIT 32

/*
 * Settings, once, on standard input or in the file argv[2]. Little endian, texts as in a plan:
 *
 *   u32 version | text lock file | text control socket | list of sockets | list of text argv | list of text env
 *   socket  text name | u8 kind (0 unix, 1 tcp, 2 udp) | text path or address | u16 port | u32 mode | u32 group (-1: none)
 */
enum kind { KIND_UNIX, KIND_TCP, KIND_UDP };

struct keeper {
  const char *lock_path, *control_path;
  char **argv, **env;
  uint32_t sockets;
  struct {
    const char *name, *address;
    enum kind kind;
    int fd;
  } socket[SOCKET_LIMIT];
  /* channel: to the daemon that runs now, -1 without one. */
  int lock, control, channel;
};

/* keeper_settings.c: prints what is wrong and returns the exit code, 0 when all is open and locked. */
int keeper_open(struct keeper *k, const char *settings_file);

/* keeper.c: children get the limit of open files that the keeper was started with. */
void limits_restore(void);

/* keeper_sockets.c */
int inet_listen(enum kind kind, const char *address, uint16_t port);
int port_of(int fd);
/* Holds a port so that nobody else takes it, and answers nobody. The same key again is the same hold. The port or -1. */
int hold_port(const char *key, enum kind kind, const char *address, uint16_t port);
void release_port(const char *key);

/* keeper_late.c: a TCP socket that is asked for while the daemon runs. That one gets it on its channel, every later one
 * inherits it with the others. The same name at another address replaces the old one. The port or -1. */
int listen_late(struct keeper *k, const char *name, const char *address, uint16_t port);
/* Both ends of a channel for the next daemon: ours into the keeper, the daemon's is returned. -1: none. */
int channel_open(struct keeper *k);
void channel_close(struct keeper *k);
/* Node answers each socket; nobody needs to know. */
void channel_drain(struct keeper *k);

/* keeper_daemon.c: forks the daemon with the sockets as descriptors from 3 on. Its PID, or -1. */
pid_t daemon_start(struct keeper *k);

/* keeper_control.c */
void control_watch(struct keeper *k, void (*watch)(int fd, int index));
void control_accept(struct keeper *k);
void control_serve(struct keeper *k, int index);

#endif
