#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>

int role_keeper(int argc, char **argv) __attribute__((weak));
int role_supervisor(int argc, char **argv) __attribute__((weak));
int role_relay(int argc, char **argv) __attribute__((weak));
int role_unpack(int argc, char **argv) __attribute__((weak));

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
  } roles[] = {
      {"keeper", role_keeper}, {"supervisor", role_supervisor}, {"relay", role_relay}, {"unpack", role_unpack},
  };
  signal(SIGPIPE, SIG_IGN);
  for (size_t i = 0; argc > 1 && i < sizeof roles / sizeof *roles; i++) {
    if (strcmp(argv[1], roles[i].name) == 0 && roles[i].run) return roles[i].run(argc, argv);
  }
  fputs("usage: launcher keeper|supervisor|relay|unpack (started by berth, not by hand)\n", stderr);
  return 64;
}
