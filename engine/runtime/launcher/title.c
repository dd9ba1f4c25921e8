#define _GNU_SOURCE
#include "title.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The kernel lays the arguments one behind the other and shows these bytes in /proc/PID/cmdline. */
static char *room;
static size_t size;

void title_open(int argc, char **argv) {
  for (int i = 0; i < argc && (i == 0 || argv[i] == room + size); i++) {
    if (i == 0) room = argv[0];
    size += strlen(argv[i]) + 1;
  }
}

void title_set(const char *format, ...) {
  va_list list;
  char text[256];
  if (size == 0) return;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  memset(room, 0, size);
  /* The last byte stays NUL: the kernel would show what lies behind as well. */
  memccpy(room, text, 0, size - 1);
}
