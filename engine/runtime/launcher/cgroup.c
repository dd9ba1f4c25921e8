#define _GNU_SOURCE
#include "cgroup.h"
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KILL_TRIES 200
#define DEPTH_LIMIT 32

static bool file_of(char path[PATH_MAX], const char *folder, const char *name) {
  return snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX && access(path, F_OK) == 0;
}

static int open_attach(struct context *x, const char *folder) {
  char path[PATH_MAX];
  struct attach *a = x->attach;
  if (a->count == CGROUP_LIMIT) {
    errno = E2BIG;
    return fail(x, "open %s", folder);
  }
  bool version1 = file_of(path, folder, "tasks");
  int fd = version1 ? open(path, O_WRONLY | O_CLOEXEC) : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(x, "open %s", version1 ? path : folder);
  a->tasks[a->count++] = version1 ? fd : -1;
  if (!version1) a->folder = fd;
  return 0;
}

static int enter_attach(struct context *x, const char *folder) {
  int fd = x->attach->tasks[x->attach->entered++];
  return fd >= 0 && write(fd, "0", 1) < 0 ? fail(x, "write %s/tasks", folder) : 0;
}

int do_cgroup_attach(struct context *x, struct cursor *c) {
  char path[PATH_MAX], pid[16];
  const char *folder = take_text(c);
  if (complete(x, c) < 0) return -1;
  if (x->attach) return x->attach->entering ? enter_attach(x, folder) : open_attach(x, folder);
  if (x->phase == PHASE_PARENT && (!x->outside || file_of(path, folder, "tasks"))) return 0;
  snprintf(path, sizeof path, "%s/cgroup.procs", folder);
  int length = snprintf(pid, sizeof pid, "%d", x->phase == PHASE_PARENT ? (int)x->child : 0);
  return write_file(path, pid, (size_t)length) < 0 ? fail(x, "write %s", path) : 0;
}

int do_cgroup_devices(struct context *x, struct cursor *c) {
  uint32_t size;
  const char *folder = take_text(c);
  const void *program = take_bytes(c, &size);
  if (size % sizeof(struct bpf_insn) != 0) c->bad = true;
  if (complete(x, c) < 0) return -1;
  union bpf_attr load = {
      .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
      .insns = (uint64_t)(uintptr_t)program,
      .insn_cnt = size / (uint32_t)sizeof(struct bpf_insn),
      .license = (uint64_t)(uintptr_t) "GPL",
  };
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(x, "open %s", folder);
  int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  int result = loaded < 0 ? fail(x, "bpf BPF_PROG_LOAD") : 0;
  union bpf_attr attach = {0};
  attach.target_fd = (uint32_t)fd;
  attach.attach_bpf_fd = (uint32_t)loaded;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (result == 0 && syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) < 0) {
    result = fail(x, "bpf BPF_PROG_ATTACH %s", folder);
  }
  if (loaded >= 0) close(loaded);
  close(fd);
  return result;
}

/* The value behind "key " at a line's start. */
static unsigned long long value_of(const char *path, const char *key) {
  char text[1024];
  if (read_file(path, text, sizeof text) < 0) return 0;
  for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    size_t length = strlen(key);
    if (strncmp(line, key, length) == 0 && line[length] == ' ') return strtoull(line + length, NULL, 10);
  }
  return 0;
}

bool cgroup_oom_killed(const struct settings *s) {
  char path[PATH_MAX];
  for (uint32_t i = 0; i < s->cgroup_count; i++) {
    if (file_of(path, s->cgroups[i], "memory.events") || file_of(path, s->cgroups[i], "memory.oom_control")) {
      if (value_of(path, "oom_kill") > 0) return true;
    }
  }
  return false;
}

typedef int visit_function(int parent, const char *name, void *argument);

/* Calls visit for the folder and, before it, for every folder inside. */
static int visit_tree(int parent, const char *name, int depth, visit_function *visit, void *argument) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  DIR *folder = fdopendir(fd);
  if (!folder) {
    close(fd);
    return -1;
  }
  for (struct dirent *entry; depth < DEPTH_LIMIT && (entry = readdir(folder));) {
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    visit_tree(fd, entry->d_name, depth + 1, visit, argument);
  }
  closedir(folder);
  return visit(parent, name, argument);
}

struct killing {
  int signo, seen;
};

static int signal_folder(int parent, const char *name, void *argument) {
  struct killing *k = argument;
  char path[PATH_MAX], line[16];
  snprintf(path, sizeof path, "%s/cgroup.procs", name);
  int fd = openat(parent, path, O_RDONLY | O_CLOEXEC);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  if (!file) return -1;
  while (fgets(line, sizeof line, file)) {
    /* 0 is a process outside this PID namespace. */
    pid_t pid = atoi(line);
    if (pid <= 0) continue;
    k->seen = 1;
    kill(pid, k->signo);
  }
  fclose(file);
  return 0;
}

static void freeze(const struct settings *s, const char *state) {
  char path[PATH_MAX];
  for (uint32_t i = 0; i < s->cgroup_count; i++) {
    if (file_of(path, s->cgroups[i], "freezer.state")) write_file(path, state, strlen(state));
  }
}

int cgroup_signal(const struct settings *s, int signo) {
  char path[PATH_MAX];
  struct killing k = {.signo = signo};
  if (s->cgroup_count == 0) return 0;
  if (signo == SIGKILL && file_of(path, s->cgroups[0], "cgroup.kill") && write_file(path, "1", 1) == 0) {
    k.signo = 0;
  } else if (signo == SIGKILL) {
    /* Frozen, nobody forks away while the list is read; the signal takes effect when thawed. */
    freeze(s, "FROZEN");
  }
  int found = visit_tree(AT_FDCWD, s->cgroups[0], 0, signal_folder, &k);
  if (signo == SIGKILL) freeze(s, "THAWED");
  return found < 0 && errno != ENOENT ? -1 : k.seen;
}

bool cgroup_kill(const struct settings *s) {
  for (int i = 0; i < KILL_TRIES; i++) {
    if (cgroup_signal(s, SIGKILL) == 0) return true;
    poll(NULL, 0, i < 10 ? 1 : 10);
  }
  return false;
}

static int remove_folder(int parent, const char *name, void *argument) {
  (void)argument;
  int result;
  /* A process that was just reaped may still be counted. */
  for (int i = 0; (result = unlinkat(parent, name, AT_REMOVEDIR)) < 0 && errno == EBUSY && i < 20; i++) {
    poll(NULL, 0, i < 5 ? 1 : 10);
  }
  return result;
}

void cgroup_remove(const struct settings *s) {
  for (uint32_t i = 0; i < s->cgroup_count; i++) {
    if (unlinkat(AT_FDCWD, s->cgroups[i], AT_REMOVEDIR) < 0 && errno == EBUSY) {
      visit_tree(AT_FDCWD, s->cgroups[i], 0, remove_folder, NULL);
    }
  }
}
