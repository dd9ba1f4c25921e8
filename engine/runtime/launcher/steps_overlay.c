#define _GNU_SOURCE
#include "kernel.h"
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* mount(2) takes one page of options and cuts the rest off without an error. */
#define OPTIONS_LIMIT 4095

struct overlay {
  const char *folder, *upper, *work, *target, *data;
  uint32_t count;
  struct cursor lower;
};

/* The kernel's own sentence about what was wrong, which the file system's context keeps. */
static int fail_with_message(struct context *x, int fs, const char *call, const char *subject) {
  char text[128];
  int error = errno;
  ssize_t n = read(fs, text, sizeof text - 1);
  errno = error;
  if (n <= 0) return fail(x, "%s %s", call, subject);
  text[n] = 0;
  text[strcspn(text, "\n")] = 0;
  return fail(x, "%s %s (%s)", call, subject, text);
}

static int set_option(struct context *x, int fs, const char *key, const char *value) {
  if (*value && sys_fsconfig(fs, CONFIG_STRING, key, value) < 0) {
    return fail_with_message(x, fs, key, value);
  }
  return 0;
}

/* "a=b,c" as single options. */
static int set_data(struct context *x, int fs, const char *data) {
  char item[256];
  while (*data) {
    size_t length = strcspn(data, ",");
    if (length >= sizeof item) {
      errno = E2BIG;
      return fail(x, "overlay option %s", data);
    }
    memcpy(item, data, length);
    item[length] = 0;
    data += length + (data[length] == ',');
    char *equals = strchr(item, '=');
    if (equals) *equals = 0;
    if (sys_fsconfig(fs, equals ? CONFIG_STRING : CONFIG_FLAG, item, equals ? equals + 1 : NULL) < 0) {
      return fail_with_message(x, fs, "overlay option", item);
    }
  }
  return 0;
}

/* 1: this kernel has no lowerdir+ (before 6.8). */
static int by_fsconfig(struct context *x, const struct overlay *o) {
  int fs = sys_fsopen("overlay", 1);
  if (fs < 0) return errno == ENOSYS ? 1 : fail(x, "fsopen overlay");
  struct cursor lower = o->lower;
  int result = 0, tree = -1;
  for (uint32_t i = 0; i < o->count && result == 0; i++) {
    const char *name = take_text(&lower);
    if (sys_fsconfig(fs, CONFIG_STRING, "lowerdir+", name) == 0) continue;
    result = i == 0 && errno == EINVAL ? 1 : fail_with_message(x, fs, "lowerdir+", name);
  }
  if (result == 0) result = set_option(x, fs, "upperdir", o->upper);
  if (result == 0) result = set_option(x, fs, "workdir", o->work);
  if (result == 0) result = set_data(x, fs, o->data);
  if (result == 0 && sys_fsconfig(fs, CONFIG_CREATE, NULL, NULL) < 0) {
    result = fail_with_message(x, fs, "mount overlay on", o->target);
  }
  if (result == 0) {
    tree = sys_fsmount(fs, 1);
    if (tree < 0) result = fail(x, "fsmount overlay");
  }
  if (result == 0 && sys_move_mount(tree, "", AT_FDCWD, o->target, MOVE_FROM_EMPTY) < 0) {
    result = fail(x, "move_mount overlay on %s", o->target);
  }
  if (tree >= 0) close(tree);
  close(fs);
  return result;
}

static int by_mount(struct context *x, const struct overlay *o) {
  char options[OPTIONS_LIMIT + 1];
  struct cursor lower = o->lower;
  size_t n = 0;
  for (uint32_t i = 0; i < o->count && n < sizeof options; i++) {
    n += (size_t)snprintf(options + n, sizeof options - n, "%s%s", i == 0 ? "lowerdir=" : ":", take_text(&lower));
  }
  if (*o->upper && n < sizeof options) {
    n += (size_t)snprintf(options + n, sizeof options - n, ",upperdir=%s,workdir=%s", o->upper, o->work);
  }
  if (*o->data && n < sizeof options) n += (size_t)snprintf(options + n, sizeof options - n, ",%s", o->data);
  if (n >= sizeof options) {
    errno = E2BIG;
    return fail(x, "mount overlay on %s (%u layers do not fit into one page)", o->target, o->count);
  }
  return mount("overlay", o->target, "overlay", 0, options) < 0 ? fail(x, "mount overlay on %s", o->target) : 0;
}

int do_overlay(struct context *x, struct cursor *c) {
  struct overlay o;
  o.folder = take_text(c);
  o.count = take_u32(c);
  o.lower = *c;
  for (uint32_t i = 0; i < o.count && !c->bad; i++) take_text(c);
  o.upper = take_text(c);
  o.work = take_text(c);
  o.target = take_text(c);
  o.data = take_text(c);
  if (complete(x, c) < 0) return -1;
  if (chdir(o.folder) < 0) return fail(x, "chdir %s", o.folder);
  int result = by_fsconfig(x, &o);
  if (result == 1) result = by_mount(x, &o);
  if (chdir("/") < 0) return fail(x, "chdir /");
  return result;
}
