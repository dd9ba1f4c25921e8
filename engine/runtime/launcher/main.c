#define _GNU_SOURCE
#include "role.h"
#include "sealed.h"
#include "title.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  /* Its children enter containers. */
  bool sealed;
} roles[] = {
    {"keeper", role_keeper, true},
    {"supervisor", role_supervisor, true},
    {"relay", role_relay, false},
    {"unpack", role_unpack, false},
};

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  title_open(argc, argv);
  for (size_t i = 0; argc > 1 && i < sizeof roles / sizeof *roles; i++) {
    if (strcmp(argv[1], roles[i].name) != 0) continue;
    if (roles[i].sealed && run_sealed(argv) < 0) {
      perror("launcher: cannot make a sealed copy of itself");
      return 1;
    }
    return roles[i].run(argc, argv);
  }
  fputs("usage: launcher keeper|supervisor|relay|unpack (started by berth, not by hand)\n", stderr);
  return 64;
}
