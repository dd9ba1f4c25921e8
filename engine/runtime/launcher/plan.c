#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const void *take(struct cursor *c, size_t size) {
  if (c->bad || (size_t)(c->end - c->at) < size) {
    c->bad = true;
    return NULL;
  }
  const void *found = c->at;
  c->at += size;
  return found;
}

#define TAKE_NUMBER(name, type)                   \
  type name(struct cursor *c) {                   \
    type value = 0;                               \
    const void *found = take(c, sizeof value);    \
    if (found) memcpy(&value, found, sizeof value); \
    return value;                                 \
  }

TAKE_NUMBER(take_u8, uint8_t)
TAKE_NUMBER(take_u16, uint16_t)
TAKE_NUMBER(take_u32, uint32_t)
TAKE_NUMBER(take_u64, uint64_t)

const void *take_bytes(struct cursor *c, uint32_t *size) {
  *size = take_u32(c);
  const uint8_t *found = take(c, (size_t)*size + 1);
  if (found && found[*size] == 0) return found;
  c->bad = true;
  *size = 0;
  return "";
}

const char *take_text(struct cursor *c) {
  uint32_t size;
  const char *text = take_bytes(c, &size);
  if (memchr(text, 0, size)) c->bad = true;
  return text;
}

static struct joins take_joins(struct cursor *c) {
  struct joins joins = {.count = take_u32(c)};
  joins.bytes = *c;
  for (uint32_t i = 0; i < joins.count && !c->bad; i++) {
    take_text(c);
    take_u32(c);
    take_text(c);
  }
  return joins;
}

static struct steps take_steps(struct cursor *c) {
  struct steps steps = {.count = take_u32(c)};
  uint32_t size = take_u32(c);
  const uint8_t *found = take(c, size);
  if (found) steps.bytes = (struct cursor){.at = found, .end = found + size};
  return steps;
}

static int ended(const struct cursor *c) {
  if (!c->bad && c->at == c->end) return 0;
  errno = EPROTO;
  return -1;
}

static int version_known(struct cursor *c) {
  if (take_u32(c) == PLAN_VERSION) return 0;
  errno = c->bad ? EPROTO : EPROTONOSUPPORT;
  return -1;
}

int plan_decode(struct plan *plan, const void *bytes, size_t size) {
  struct cursor c = {.at = bytes, .end = (const uint8_t *)bytes + size};
  struct settings *s = &plan->settings;
  *plan = (struct plan){0};
  if (version_known(&c) < 0) return -1;
  s->id = take_text(&c);
  s->socket = take_text(&c);
  s->state_folder = take_text(&c);
  s->log_path = take_text(&c);
  s->log_max_size = take_u64(&c);
  s->log_max_files = take_u32(&c);
  s->terminal = take_u8(&c) != 0;
  s->stdin_open = take_u8(&c) != 0;
  s->stdin_once = take_u8(&c) != 0;
  s->pause_only = take_u8(&c) != 0;
  s->cgroup_count = take_u32(&c);
  if (s->cgroup_count > CGROUP_LIMIT) c.bad = true;
  for (uint32_t i = 0; i < s->cgroup_count && !c.bad; i++) s->cgroups[i] = take_text(&c);
  plan->settings_size = (size_t)(c.at - (const uint8_t *)bytes);
  plan->joins = take_joins(&c);
  plan->clone_flags = take_u64(&c);
  plan->host = take_steps(&c);
  plan->parent = take_steps(&c);
  plan->child = take_steps(&c);
  return ended(&c);
}

int plan_decode_exec(struct plan *plan, const void *bytes, size_t size) {
  struct cursor c = {.at = bytes, .end = (const uint8_t *)bytes + size};
  *plan = (struct plan){0};
  if (version_known(&c) < 0) return -1;
  plan->settings.id = take_text(&c);
  plan->settings.terminal = take_u8(&c) != 0;
  plan->settings.stdin_open = take_u8(&c) != 0;
  plan->joins = take_joins(&c);
  plan->parent = take_steps(&c);
  plan->child = take_steps(&c);
  return ended(&c);
}

int fail(struct context *x, const char *format, ...) {
  struct failure *f = x->failure;
  va_list arguments;
  f->error = errno;
  f->phase = x->phase;
  f->index = x->index;
  f->op = x->op;
  snprintf(f->why, sizeof f->why, "%s", x->why ? x->why : "");
  snprintf(f->at, sizeof f->at, "%s", x->at ? x->at : "");
  va_start(arguments, format);
  vsnprintf(f->call, sizeof f->call, format, arguments);
  va_end(arguments);
  return -1;
}

int complete(struct context *x, struct cursor *c) {
  if (!c->bad && c->at == c->end) return 0;
  errno = EPROTO;
  return fail(x, "decode");
}

static step_function *const functions[OP_END] = {
    [OP_MKDIR] = do_mkdir,
    [OP_WRITE] = do_write,
    [OP_CGROUP_ATTACH] = do_cgroup_attach,
    [OP_CGROUP_DEVICES] = do_cgroup_devices,
    [OP_MAP_IDS] = do_map_ids,
    [OP_OVERLAY] = do_overlay,
    [OP_MOUNT] = do_mount,
    [OP_MOUNT_IN] = do_mount_in,
    [OP_MASK] = do_mask,
    [OP_READ_ONLY] = do_read_only,
    [OP_MKNOD_IN] = do_mknod_in,
    [OP_SYMLINK_IN] = do_symlink_in,
    [OP_WRITE_IN] = do_write_in,
    [OP_CONSOLE] = do_console,
    [OP_PIVOT_ROOT] = do_pivot_root,
    [OP_REMOUNT_ROOT] = do_remount_root,
    [OP_PROPAGATION] = do_propagation,
    [OP_HOSTNAME] = do_hostname,
    [OP_DOMAINNAME] = do_domainname,
    [OP_LOOPBACK_UP] = do_loopback_up,
    [OP_SETSID] = do_setsid,
    [OP_RLIMIT] = do_rlimit,
    [OP_OOM_SCORE_ADJ] = do_oom_score_adj,
    [OP_UMASK] = do_umask,
    [OP_BARRIER] = do_barrier,
    [OP_CHDIR] = do_chdir,
    [OP_BOUNDING] = do_bounding,
    [OP_CREDENTIALS] = do_credentials,
    [OP_CAPABILITIES] = do_capabilities,
    [OP_NO_NEW_PRIVILEGES] = do_no_new_privileges,
    [OP_SECCOMP] = do_seccomp,
    [OP_EXEC] = do_exec,
    [OP_BIND_IN] = do_bind_in,
};

int steps_run(struct context *x, const struct steps *steps) {
  struct cursor c = steps->bytes;
  for (uint32_t i = 0; i < steps->count; i++) {
    uint32_t size = take_u32(&c);
    const uint8_t *bytes = take(&c, size);
    struct cursor step = {.at = bytes, .end = bytes ? bytes + size : NULL, .bad = !bytes};
    x->index = i;
    x->op = take_u16(&step);
    x->why = take_text(&step);
    x->at = take_text(&step);
    if (x->attach && x->op != OP_CGROUP_ATTACH) continue;
    if (x->op >= OP_END || !functions[x->op]) step.bad = true;
    if (step.bad) return complete(x, &step);
    if (functions[x->op](x, &step) < 0) return -1;
  }
  return 0;
}
