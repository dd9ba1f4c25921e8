#ifndef BERTH_ROLE_H
#define BERTH_ROLE_H

/* The launcher's roles, by the first word of its arguments. Each returns the exit code. */
int role_keeper(int argc, char **argv);
int role_supervisor(int argc, char **argv);
int role_relay(int argc, char **argv);
int role_unpack(int argc, char **argv);

/* A supervisor's whole life; its connection is one that begins with a LAUNCH frame. */
int supervise(int connection);

#endif
