/*
 * The guestbook's web tier: one file, no libraries, one thread a connection.
 *
 *   GET /          a page with the entries and a form
 *   GET /entries   the entries as a JSON list, newest first
 *   POST /entries  adds the body's text (plain, or a form's field `text`)
 *   GET /healthz   200 while Redis answers
 *
 * Entries live in Redis (REDIS_URL, redis://HOST:PORT). Every reply carries X-Version (VERSION) and X-Pod (HOSTNAME).
 *
 * At SIGTERM nobody may notice: the load balancer learns of the end a little later than we do. So the program goes on
 * accepting for DRAIN_MS, answers each request with `Connection: close`, and then closes what is idle.
 *
 *   cc -std=c11 -O2 -static -Wall -Wextra -Werror -pthread -o web web.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 16384, REPLY_MAX = 1 << 20, ENTRY_MAX = 2000, SHOWN = 100, DRAIN_MS = 2000, END_MS = 20000 };

static atomic_int connections;
static atomic_llong draining_since; /* ms, 0 while serving */
static const char *version, *pod, *redis_host, *redis_port;

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void on_term(int signo) {
  (void)signo;
  long long zero = 0;
  atomic_compare_exchange_strong(&draining_since, &zero, now_ms());
}

static long long drained_for(void) {
  long long since = atomic_load(&draining_since);
  return since == 0 ? -1 : now_ms() - since;
}

/* A text that grows, cut at REPLY_MAX. */
struct text {
  char *at;
  size_t length, room;
};

static void add(struct text *t, const char *bytes, size_t n) {
  if (t->length + n + 1 > t->room) {
    size_t room = (t->length + n + 1) * 2;
    char *bigger = room <= REPLY_MAX * 2 ? realloc(t->at, room) : NULL;
    if (!bigger) return;
    t->at = bigger;
    t->room = room;
  }
  memcpy(t->at + t->length, bytes, n);
  t->length += n;
  t->at[t->length] = 0;
}

static void addf(struct text *t, const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (n > 0) add(t, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

static void add_json(struct text *t, const char *s, size_t n) {
  add(t, "\"", 1);
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '"' || c == '\\') addf(t, "\\%c", c);
    else if (c < 0x20) addf(t, "\\u%04x", c);
    else add(t, s + i, 1);
  }
  add(t, "\"", 1);
}

static void add_html(struct text *t, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '<') add(t, "&lt;", 4);
    else if (s[i] == '>') add(t, "&gt;", 4);
    else if (s[i] == '&') add(t, "&amp;", 5);
    else add(t, s + i, 1);
  }
}

static int write_all(int fd, const char *bytes, size_t n) {
  while (n > 0) {
    ssize_t done = send(fd, bytes, n, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return -1;
    bytes += done;
    n -= (size_t)done;
  }
  return 0;
}

/* ---- Redis: a connection a request, RESP2 ---- */

struct redis {
  int fd;
  char buffer[8192];
  size_t from, to;
};

static pthread_mutex_t address_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sockaddr_in address_known; /* where Redis answered last; sin_family 0: nowhere yet */

static int connect_to(const struct sockaddr_in *address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval limit = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0) return fd;
  close(fd);
  return -1;
}

static void remember(const struct sockaddr_in *address) {
  pthread_mutex_lock(&address_lock);
  address_known = *address;
  pthread_mutex_unlock(&address_lock);
}

/* A Service keeps its address: its name is looked up anew only when nobody answers there any more. */
static int redis_open(struct redis *r) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  struct sockaddr_in known;
  r->from = r->to = 0;
  pthread_mutex_lock(&address_lock);
  known = address_known;
  pthread_mutex_unlock(&address_lock);
  r->fd = known.sin_family == AF_INET ? connect_to(&known) : -1;
  if (r->fd >= 0) return 0;
  if (getaddrinfo(redis_host, redis_port, &hints, &found) != 0) return -1;
  for (struct addrinfo *a = found; a && r->fd < 0; a = a->ai_next) {
    memcpy(&known, a->ai_addr, sizeof known);
    r->fd = connect_to(&known);
    if (r->fd >= 0) remember(&known);
  }
  freeaddrinfo(found);
  return r->fd < 0 ? -1 : 0;
}

static int redis_byte(struct redis *r) {
  if (r->from == r->to) {
    ssize_t n = recv(r->fd, r->buffer, sizeof r->buffer, 0);
    if (n <= 0) return -1;
    r->from = 0;
    r->to = (size_t)n;
  }
  return (unsigned char)r->buffer[r->from++];
}

/* Reads `TYPE NUMBER CR LF`; -1 when Redis is gone or answers with an error. */
static long redis_number(struct redis *r, char *type) {
  char line[64];
  size_t n = 0;
  int c;
  while ((c = redis_byte(r)) >= 0 && c != '\n')
    if (c != '\r' && n < sizeof line - 1) line[n++] = (char)c;
  line[n] = 0;
  if (c < 0 || n == 0 || line[0] == '-') return -1;
  *type = line[0];
  return line[0] == '+' ? 0 : atol(line + 1);
}

static int redis_send(struct redis *r, int count, const char *const words[], const size_t lengths[]) {
  struct text out = {0};
  addf(&out, "*%d\r\n", count);
  for (int i = 0; i < count; i++) {
    addf(&out, "$%zu\r\n", lengths[i]);
    add(&out, words[i], lengths[i]);
    add(&out, "\r\n", 2);
  }
  int result = write_all(r->fd, out.at, out.length);
  free(out.at);
  return result;
}

static int redis_call(int count, const char *const words[], const size_t lengths[]) {
  struct redis r;
  char type;
  if (redis_open(&r) != 0) return -1;
  int ok = redis_send(&r, count, words, lengths) == 0 && redis_number(&r, &type) >= 0;
  close(r.fd);
  return ok ? 0 : -1;
}

static int redis_ping(void) {
  return redis_call(1, (const char *const[]){"PING"}, (const size_t[]){4});
}

static int redis_push(const char *entry, size_t n) {
  return redis_call(3, (const char *const[]){"LPUSH", "entries", entry}, (const size_t[]){5, 7, n});
}

/* Writes the newest entries with `each`; -1 when Redis does not answer. */
static int redis_entries(struct text *out, void (*each)(struct text *, const char *, size_t, long)) {
  struct redis r;
  char type, stop[16];
  snprintf(stop, sizeof stop, "%d", SHOWN - 1);
  if (redis_open(&r) != 0) return -1;
  long count = -1;
  if (redis_send(&r, 4, (const char *const[]){"LRANGE", "entries", "0", stop}, (const size_t[]){6, 7, 1, strlen(stop)}) == 0)
    count = redis_number(&r, &type);
  for (long i = 0; i < count; i++) {
    char entry[ENTRY_MAX + 1];
    long length = redis_number(&r, &type), kept = 0;
    for (long k = 0; k < length + 2; k++) {
      int c = redis_byte(&r);
      if (c < 0) { count = -1; break; }
      if (k < length && kept < ENTRY_MAX) entry[kept++] = (char)c;
    }
    if (count < 0) break;
    each(out, entry, (size_t)kept, i);
  }
  close(r.fd);
  return count < 0 ? -1 : 0;
}

static void as_json(struct text *out, const char *entry, size_t n, long index) {
  if (index > 0) add(out, ",", 1);
  add_json(out, entry, n);
}

static void as_html(struct text *out, const char *entry, size_t n, long index) {
  (void)index;
  add(out, "<li>", 4);
  add_html(out, entry, n);
  add(out, "</li>", 5);
}

/* ---- HTTP ---- */

static int reply(int fd, int status, const char *type, const struct text *body, int keep) {
  const char *reason = status == 200 ? "OK" : status == 201 ? "Created" : status == 303 ? "See Other"
    : status == 400 ? "Bad Request" : status == 404 ? "Not Found" : status == 405 ? "Method Not Allowed"
    : status == 413 ? "Content Too Large" : "Service Unavailable";
  struct text out = {0};
  addf(&out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status, reason, type, body->length);
  addf(&out, "X-Version: %s\r\nX-Pod: %s\r\nCache-Control: no-store\r\n", version, pod);
  if (status == 303) addf(&out, "Location: /\r\n");
  addf(&out, "Connection: %s\r\n\r\n", keep ? "keep-alive" : "close");
  add(&out, body->at ? body->at : "", body->length);
  int result = out.at ? write_all(fd, out.at, out.length) : -1;
  free(out.at);
  return result;
}

/* The field `text` that a form begins with, decoded in place. */
static size_t form_text(char *body, char **text, size_t n) {
  char *value = body + 5;
  size_t kept = 0;
  for (char *p = value; p < body + n && *p != '&'; p++) {
    unsigned hex;
    if (*p == '%' && p + 2 < body + n && sscanf(p + 1, "%2x", &hex) == 1) {
      value[kept++] = (char)hex;
      p += 2;
    } else value[kept++] = *p == '+' ? ' ' : *p;
  }
  *text = value;
  return kept;
}

static int serve(int fd, const char *method, const char *path, char *body, size_t n, int form, int keep) {
  struct text out = {0};
  int status = 200, get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
  const char *type = "application/json";
  if (strcmp(path, "/healthz") == 0) {
    type = "text/plain";
    status = redis_ping() == 0 ? 200 : 503;
    addf(&out, status == 200 ? "ok\n" : "redis does not answer\n");
  } else if (strcmp(path, "/entries") == 0 && get) {
    add(&out, "[", 1);
    if (redis_entries(&out, as_json) != 0) status = 503;
    add(&out, "]\n", 2);
  } else if (strcmp(path, "/entries") == 0 && strcmp(method, "POST") == 0) {
    char *text = body;
    /* curl -d calls any text a form: only one with the page's field is taken as such. */
    form = form && n >= 5 && strncmp(body, "text=", 5) == 0;
    size_t length = form ? form_text(body, &text, n) : n;
    if (length == 0 || length > ENTRY_MAX) status = 400;
    else if (redis_push(text, length) != 0) status = 503;
    else status = form ? 303 : 201;
    addf(&out, "{\"status\":%d,\"version\":\"%s\"}\n", status, version);
  } else if (strcmp(path, "/entries") == 0) {
    status = 405;
  } else if (strcmp(path, "/") == 0) {
    type = "text/html; charset=utf-8";
    addf(&out, "<!doctype html><meta charset=utf-8><title>Guestbook</title><h1>Guestbook %s</h1>", version);
    addf(&out, "<form method=post action=/entries><input name=text autofocus> <button>Sign</button></form><ul>");
    if (redis_entries(&out, as_html) != 0) {
      status = 503;
      addf(&out, "<li>Redis does not answer</li>");
    }
    addf(&out, "</ul><p>%s</p>\n", pod);
  } else {
    status = 404;
    addf(&out, "{\"error\":\"not found\"}\n");
  }
  int result = reply(fd, status, type, &out, keep);
  free(out.at);
  return result;
}

/* The value of a header, or NULL. `head` ends with NUL before the body. */
static const char *header(const char *head, const char *name) {
  size_t n = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
    if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
      const char *value = line + 3 + n;
      while (*value == ' ') value++;
      return value;
    }
  return NULL;
}

/* Waits for bytes; while draining, at most until the drain is over. 0: there are some; -1: close. */
static int wait_bytes(int fd, int idle) {
  for (int waited = 0; waited < 60000; waited += 50) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, 50);
    if (n > 0) return 0;
    if (n < 0 && errno != EINTR) return -1;
    if (idle && drained_for() > DRAIN_MS) return -1;
  }
  return -1;
}

static void *connection(void *argument) {
  int fd = (int)(long)argument, one = 1;
  char *request = malloc(REQUEST_MAX + 1);
  size_t length = 0;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  while (request) {
    char *end;
    size_t body_length = 0, head_length;
    request[length] = 0;
    while (!(end = strstr(request, "\r\n\r\n"))) {
      if (length == REQUEST_MAX || wait_bytes(fd, length == 0) != 0) goto done;
      ssize_t n = recv(fd, request + length, REQUEST_MAX - length, 0);
      if (n <= 0) goto done;
      length += (size_t)n;
      request[length] = 0;
    }
    head_length = (size_t)(end - request) + 4;
    end[2] = 0;
    char method[16], path[1024], protocol[16];
    struct text empty = {0};
    if (sscanf(request, "%15s %1023s %15s", method, path, protocol) != 3) {
      reply(fd, 400, "text/plain", &empty, 0);
      goto done;
    }
    const char *value = header(request, "Content-Length"), *kind = header(request, "Content-Type"), *way = header(request, "Connection");
    if (value) body_length = strtoul(value, NULL, 10);
    if (body_length > REQUEST_MAX - head_length || header(request, "Transfer-Encoding")) {
      reply(fd, 413, "text/plain", &empty, 0);
      goto done;
    }
    while (length < head_length + body_length) {
      if (wait_bytes(fd, 0) != 0) goto done;
      ssize_t n = recv(fd, request + length, REQUEST_MAX - length, 0);
      if (n <= 0) goto done;
      length += (size_t)n;
    }
    int form = kind && strncasecmp(kind, "application/x-www-form-urlencoded", 33) == 0;
    int keep = drained_for() < 0 && !(way && strncasecmp(way, "close", 5) == 0) && strcmp(protocol, "HTTP/1.1") == 0;
    char *query = strchr(path, '?');
    if (query) *query = 0;
    if (serve(fd, method, path, request + head_length, body_length, form, keep) != 0 || !keep) break;
    length -= head_length + body_length;
    memmove(request, request + head_length + body_length, length);
  }
done:
  free(request);
  /* Say the end first and read what is still under way, so that no unread byte turns the close into a reset. */
  shutdown(fd, SHUT_WR);
  struct pollfd p = {.fd = fd, .events = POLLIN};
  char rest[1024];
  for (int i = 0; i < 20 && poll(&p, 1, 50) > 0 && recv(fd, rest, sizeof rest, 0) > 0; i++);
  close(fd);
  atomic_fetch_sub(&connections, 1);
  return NULL;
}

static const char *setting(const char *name, const char *fallback) {
  const char *value = getenv(name);
  return value && *value ? value : fallback;
}

int main(void) {
  char host[256] = "127.0.0.1", port[8] = "6379";
  version = setting("VERSION", "v1");
  pod = setting("HOSTNAME", "web");
  const char *url = setting("REDIS_URL", "redis://127.0.0.1:6379");
  if (sscanf(url, "redis://%255[^:/]:%7[0-9]", host, port) < 1) {
    fprintf(stderr, "REDIS_URL is %s, should be redis://HOST:PORT\n", url);
    return 2;
  }
  redis_host = host;
  redis_port = port;
  struct sigaction term = {.sa_handler = on_term};
  sigaction(SIGTERM, &term, NULL);
  sigaction(SIGINT, &term, NULL);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(setting("PORT", "8080")))};
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 512) != 0) {
    perror("listen");
    return 1;
  }
  printf("guestbook %s listens on port %d, entries in %s:%s\n", version, ntohs(address.sin_port), host, port);
  fflush(stdout);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&small, 256 * 1024);
  int said = 0;
  for (;;) {
    struct pollfd p = {.fd = listener, .events = POLLIN};
    int waiting = poll(&p, 1, 50);
    int fd = waiting > 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    long long drained = drained_for();
    if (drained >= 0 && !said++) {
      printf("SIGTERM: finishing what is under way\n");
      fflush(stdout);
    }
    if (fd >= 0) {
      pthread_t thread;
      atomic_fetch_add(&connections, 1);
      if (pthread_create(&thread, &small, connection, (void *)(long)fd) != 0) {
        atomic_fetch_sub(&connections, 1);
        close(fd);
      }
    } else if ((drained > DRAIN_MS && atomic_load(&connections) == 0) || drained > END_MS) {
      return 0;
    }
  }
}
