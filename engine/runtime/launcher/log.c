#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LINE_LIMIT 16384
#define HEADER_LIMIT 64

static struct {
  int fd;
  const char *path;
  uint64_t size, max_size;
  uint32_t max_files;
} state = {.fd = -1};

/* Lines that have not ended, by stream (1, 2). */
static struct {
  char text[LINE_LIMIT];
  size_t size;
} partial[2];

static int open_file(void) {
  struct stat status;
  state.fd = open(state.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (state.fd < 0) return -1;
  state.size = fstat(state.fd, &status) == 0 ? (uint64_t)status.st_size : 0;
  return 0;
}

int log_open(const char *path, uint64_t max_size, uint32_t max_files) {
  state.path = path;
  state.max_size = max_size;
  state.max_files = max_files;
  return open_file();
}

static void rotate(void) {
  char from[PATH_MAX], to[PATH_MAX];
  close(state.fd);
  state.fd = -1;
  if (state.max_files <= 1) unlink(state.path);
  for (uint32_t i = state.max_files > 1 ? state.max_files - 1 : 0; i > 0; i--) {
    if (i == 1) snprintf(from, sizeof from, "%s", state.path);
    else snprintf(from, sizeof from, "%s.%u", state.path, i - 1);
    snprintf(to, sizeof to, "%s.%u", state.path, i);
    rename(from, to);
  }
  open_file();
}

/* Days since 1970-01-01 as a date of the Gregorian calendar; years are counted from March. */
static void date_of(long days, long *year, unsigned *month, unsigned *day) {
  days += 719468;
  long era = days / 146097;
  unsigned of_era = (unsigned)(days - era * 146097);
  unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned shifted = (5 * of_year + 2) / 153;
  *day = of_year - (153 * shifted + 2) / 5 + 1;
  *month = shifted < 10 ? shifted + 3 : shifted - 9;
  *year = (long)year_of_era + era * 400 + (*month <= 2);
}

static int header_of(char header[HEADER_LIMIT], int stream, char flag) {
  struct timespec now;
  long year;
  unsigned month, day;
  clock_gettime(CLOCK_REALTIME, &now);
  date_of(now.tv_sec / 86400, &year, &month, &day);
  unsigned second = (unsigned)(now.tv_sec % 86400);
  return snprintf(header, HEADER_LIMIT, "%04ld-%02u-%02uT%02u:%02u:%02u.%09ldZ %s %c ", year, month, day,
                  second / 3600, second / 60 % 60, second % 60, now.tv_nsec, stream == 1 ? "stdout" : "stderr", flag);
}

/* One log line from two pieces of text. */
static void put(int stream, char flag, const char *first, size_t first_size, const char *rest, size_t rest_size) {
  char header[HEADER_LIMIT];
  if (state.fd < 0 && (!state.path || open_file() < 0)) return;
  size_t header_size = (size_t)header_of(header, stream, flag), whole = header_size + first_size + rest_size + 1;
  if (state.max_size > 0 && state.size > 0 && state.size + whole > state.max_size) rotate();
  struct iovec parts[4] = {{header, header_size},
                           {(void *)(uintptr_t)first, first_size},
                           {(void *)(uintptr_t)rest, rest_size},
                           {"\n", 1}};
  ssize_t n;
  do n = writev(state.fd, parts, 4);
  while (n < 0 && errno == EINTR);
  /* No half line may stay, or the next would be part of it. */
  if (n >= 0 && (size_t)n < whole) n = ftruncate(state.fd, (off_t)state.size);
  else if (n > 0) state.size += (uint64_t)n;
}

void log_write(int stream, const char *text, size_t size) {
  char *kept = partial[stream - 1].text;
  size_t *have = &partial[stream - 1].size;
  while (size > 0) {
    size_t room = LINE_LIMIT - *have, part = size < room ? size : room;
    const char *newline = memchr(text, '\n', part);
    if (newline) {
      put(stream, 'F', kept, *have, text, (size_t)(newline - text));
      *have = 0;
      part = (size_t)(newline - text) + 1;
    } else if (part == room) {
      put(stream, 'P', kept, *have, text, part);
      *have = 0;
    } else {
      memcpy(kept + *have, text, part);
      *have += part;
    }
    text += part;
    size -= part;
  }
}

void log_flush(void) {
  for (int i = 0; i < 2; i++) {
    if (partial[i].size > 0) put(i + 1, 'P', partial[i].text, partial[i].size, "", 0);
    partial[i].size = 0;
  }
}
