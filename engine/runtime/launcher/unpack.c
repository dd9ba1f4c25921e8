#define _GNU_SOURCE
#include "io.h"
#include "title.h"
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/*
 * `launcher unpack DIR LOWER...`: executes the entries of a layer below DIR; LOWER are the layers below it, the top one
 * first. Frames on stdin, little endian:
 *
 *   'E' u8 kind | u32 mode uid gid | i64 seconds | u32 nanoseconds major minor | u64 size
 *       | u32 path length, link length, count of xattrs | path | link | (u32 name length, value length, name, value)*
 *   'D' bytes of the file that the last entry began; `size` of them in all
 *   'Z' the end: folders get their times, everything is synced
 *
 * and one frame on stdout: 'K' done, or 'X' u32 errno | "step path". Paths are relative, without "." and "..".
 *
 * Safety: every path is resolved by openat2 with RESOLVE_IN_ROOT, so links and ".." of a hostile layer end below DIR;
 * the last name is made with calls that follow no link. Nobody else writes in DIR meanwhile.
 *
 * A layer need not name the folders on the way to its files. Overlay would show such a folder with what this layer says
 * of it; so it gets owner, mode, times and attributes of the folder below (/tmp stays 1777), and where that is a link
 * (lib to usr/lib), the file goes to where the link leads, as if the layer were applied to those below.
 */

enum { BUFFER = 1 << 20 };

struct entry {
  char kind;
  uint32_t mode, uid, gid, nanoseconds, major, minor, xattrs;
  int64_t seconds;
  uint64_t size;
  char *path, *link;
  const uint8_t *attributes, *end;
};

static struct {
  /* The folder that the last path lay in: layers come folder by folder. Forgotten when anything is removed. */
  char *parent_path;
  int parent;
  uint8_t *buffer;
} state;

static int fail(const char *step, const char *path) {
  int error = errno;
  uint8_t payload[PATH_MAX + 64] = {(uint8_t)error, (uint8_t)(error >> 8), (uint8_t)(error >> 16), (uint8_t)(error >> 24)};
  int length = snprintf((char *)payload + 4, sizeof payload - 4, "%s %s", step, path);
  size_t text = length < 0 ? 0 : (size_t)length < sizeof payload - 4 ? (size_t)length : sizeof payload - 5;
  frame_write(STDOUT_FILENO, 'X', payload, 4 + text);
  return -1;
}

static void forget_parent(void) {
  if (state.parent_path) close(state.parent);
  free(state.parent_path);
  state.parent_path = NULL;
}

/* The folder of a path, kept open until the next call, and the name in it. */
static int open_parent(char *path, const char **name) {
  char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  if (**name == 0 || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) {
    errno = EINVAL;
    return -1;
  }
  size_t length = slash ? (size_t)(slash - path) : 0;
  if (state.parent_path && strlen(state.parent_path) == length && memcmp(state.parent_path, path, length) == 0) return state.parent;
  char *parent = strndup(path, length);
  if (!parent) return -1;
  int fd = open_folder(parent);
  if (fd < 0) {
    free(parent);
    return -1;
  }
  forget_parent();
  state.parent_path = parent;
  state.parent = fd;
  return fd;
}

static int set_opaque(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

static uint32_t u32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t u64(const uint8_t *at) { return u32(at) | (uint64_t)u32(at + 4) << 32; }

/* Sets the xattrs of a name, which may be a link: the calls that follow none take paths only, so the folder is entered. */
static int set_attributes(const struct entry *entry, int parent, const char *name) {
  const uint8_t *at = entry->attributes;
  if (entry->xattrs == 0) return 0;
  if (fchdir(parent) < 0) return -1;
  for (uint32_t i = 0; i < entry->xattrs; i++) {
    if (entry->end - at < 8) goto malformed;
    uint32_t name_length = u32(at), value_length = u32(at + 4);
    char attribute[256];
    at += 8;
    if (name_length == 0 || name_length >= sizeof attribute || (uint64_t)name_length + value_length > (uint64_t)(entry->end - at)) goto malformed;
    memcpy(attribute, at, name_length);
    attribute[name_length] = 0;
    /* As with docker, what the file system cannot keep (user.* of a device) is left out. */
    if (lsetxattr(name, attribute, at + name_length, value_length, 0) < 0 && errno != ENOTSUP) return -1;
    at += name_length + value_length;
  }
  return 0;
malformed:
  errno = EPROTO;
  return -1;
}

/* Order: chown clears set-user-ID bits and security.capability; so owner, mode, xattrs, and times at last. */
static int set_metadata(const struct entry *entry, int parent, const char *name) {
  struct timespec times[2] = {{entry->seconds, entry->nanoseconds}, {entry->seconds, entry->nanoseconds}};
  if (fchownat(parent, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0) return fail("chown", entry->path);
  if (entry->kind != 'l' && fchmodat(parent, name, entry->mode & 07777, 0) < 0) return fail("chmod", entry->path);
  if (set_attributes(entry, parent, name) < 0) return fail("setxattr", entry->path);
  if (entry->kind == 'd') {
    return remember_folder(entry->path, times[1]) < 0 ? fail("remember", entry->path) : 0;
  }
  return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? fail("utimensat", entry->path) : 0;
}

/*
 * Whiteouts hide what lower layers have. Overlay wants a 0:0 device for a name, and an opaque mark for a folder that
 * this layer has too; a file of this layer hides the lower one by itself.
 */
static int whiteout(const struct entry *entry, int parent, const char *name) {
  struct stat found;
  if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0) {
    return S_ISDIR(found.st_mode) && set_opaque(parent, name) < 0 ? fail("setxattr opaque", entry->path) : 0;
  }
  return mknodat(parent, name, S_IFCHR, makedev(0, 0)) < 0 ? fail("mknod whiteout", entry->path) : 0;
}

static int receive_file(const struct entry *entry, int parent, const char *name) {
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail("open", entry->path);
  for (uint64_t left = entry->size; left > 0;) {
    uint8_t header[FRAME_HEADER];
    uint64_t length = 0;
    if (fread(header, 1, sizeof header, stdin) == sizeof header) length = u32(header);
    if (length < 2 || header[4] != 'D' || length - 1 > left || length - 1 > BUFFER || fread(state.buffer, 1, length - 1, stdin) != length - 1) {
      close(fd);
      errno = EPROTO;
      return fail("read", entry->path);
    }
    if (write_full(fd, state.buffer, length - 1) < 0) {
      int error = errno;
      close(fd);
      errno = error;
      return fail("write", entry->path);
    }
    left -= length - 1;
  }
  return close(fd) < 0 ? fail("close", entry->path) : 0;
}

static int link_to(const struct entry *entry, int parent, const char *name) {
  char *slash = strrchr(entry->link, '/');
  const char *target = slash ? slash + 1 : entry->link;
  if (slash) *slash = 0;
  int folder = open_below(slash ? entry->link : "", O_PATH | O_DIRECTORY);
  if (folder < 0) return fail("open link's folder", entry->path);
  int result = linkat(folder, target, parent, name, 0);
  int error = errno;
  close(folder);
  errno = error;
  return result < 0 ? fail("link", entry->path) : 0;
}

static int make(const struct entry *entry, int parent, const char *name) {
  switch (entry->kind) {
    case 'd': return mkdirat(parent, name, 0700) < 0 ? fail("mkdir", entry->path) : 0;
    case 'f': return receive_file(entry, parent, name);
    case 'l': return symlinkat(entry->link, parent, name) < 0 ? fail("symlink", entry->path) : 0;
    case 'h': return link_to(entry, parent, name);
    case 'c': return mknodat(parent, name, S_IFCHR | 0600, makedev(entry->major, entry->minor)) < 0 ? fail("mknod", entry->path) : 0;
    case 'b': return mknodat(parent, name, S_IFBLK | 0600, makedev(entry->major, entry->minor)) < 0 ? fail("mknod", entry->path) : 0;
    case 'p': return mknodat(parent, name, S_IFIFO | 0600, 0) < 0 ? fail("mkfifo", entry->path) : 0;
  }
  errno = EPROTO;
  return fail("read kind of", entry->path);
}

static int apply(const struct entry *entry) {
  if (!*entry->path) {
    if (entry->kind == 'o') return set_opaque(layer.root, ".") < 0 ? fail("setxattr opaque", "/") : 0;
    if (entry->kind == 'd') return set_metadata(entry, layer.root, ".");
    errno = EINVAL;
    return fail("replace", "/");
  }
  if (entry->kind == 'o') {
    int fd = open_folder(entry->path);
    if (fd < 0) return fail("open", entry->path);
    int result = set_opaque(fd, ".");
    int error = errno;
    close(fd);
    errno = error;
    return result < 0 ? fail("setxattr opaque", entry->path) : 0;
  }
  const char *name;
  int parent = open_parent(entry->path, &name);
  if (parent < 0) return fail("open folder of", entry->path);
  if (entry->kind == 'w') return whiteout(entry, parent, name);

  struct stat found;
  bool there = fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0;
  bool was_whiteout = there && S_ISCHR(found.st_mode) && found.st_rdev == 0;
  if (there && S_ISDIR(found.st_mode) && entry->kind == 'd') return set_metadata(entry, parent, name);
  if (there) {
    if (remove_tree(parent, name) < 0) return fail("remove", entry->path);
    /* The folder itself is still this one; others may have been reached through what is gone. */
    int again = dup(parent);
    forget_parent();
    if (again < 0) return fail("dup", entry->path);
    size_t length = name == entry->path ? 0 : (size_t)(name - 1 - entry->path);
    state.parent_path = strndup(entry->path, length);
    state.parent = parent = again;
    if (!state.parent_path) return fail("strndup", entry->path);
  }
  if (make(entry, parent, name) < 0) return -1;
  /* Its metadata is that of the file it links to, which has it already. */
  if (entry->kind == 'h') return 0;
  if (was_whiteout && entry->kind == 'd' && set_opaque(parent, name) < 0) return fail("setxattr opaque", entry->path);
  return set_metadata(entry, parent, name);
}

/* Splits an entry's payload; its attributes stay there, its content comes through another buffer. */
static int parse(uint8_t *payload, size_t size, struct entry *entry) {
  enum { FIXED = 1 + 3 * 4 + 8 + 3 * 4 + 8 + 3 * 4 };
  errno = EPROTO;
  if (size < FIXED) return -1;
  uint8_t *at = payload;
  *entry = (struct entry){.kind = (char)at[0], .mode = u32(at + 1), .uid = u32(at + 5), .gid = u32(at + 9),
                          .seconds = (int64_t)u64(at + 13), .nanoseconds = u32(at + 21), .major = u32(at + 25),
                          .minor = u32(at + 29), .size = u64(at + 33), .xattrs = u32(at + 49)};
  uint64_t path_length = u32(at + 41), link_length = u32(at + 45);
  if (path_length + link_length > size - FIXED || path_length >= PATH_MAX || link_length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  static char path[PATH_MAX], link[PATH_MAX];
  memcpy(path, at + FIXED, path_length);
  path[path_length] = 0;
  memcpy(link, at + FIXED + path_length, link_length);
  link[link_length] = 0;
  if (strlen(path) != path_length || strlen(link) != link_length || path[0] == '/') return -1;
  entry->path = path;
  entry->link = link;
  entry->attributes = at + FIXED + path_length + link_length;
  entry->end = payload + size;
  return 0;
}

int role_unpack(int argc, char **argv) {
  if (argc < 3) return 64;
  /* A killed daemon's successor removes the folder at once: nobody may still write there. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(0);
  layer.root = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  state.buffer = malloc(BUFFER);
  uint8_t *payload = malloc(BUFFER);
  if (layer.root < 0 || !state.buffer || !payload) return fail("open", argv[2]), 1;
  layer.lower_count = argc - 3;
  layer.lowers = calloc((size_t)argc, sizeof *layer.lowers);
  if (!layer.lowers) return fail("calloc", argv[2]), 1;
  for (int i = 0; i < layer.lower_count; i++) {
    layer.lowers[i] = open(argv[3 + i], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (layer.lowers[i] < 0) return fail("open", argv[3 + i]), 1;
  }
  if (layer.lower_count > 0 && inherit(layer.root, dup(layer.lowers[0]), "") < 0) return fail("inherit", "/"), 1;
  title_set("berth-unpack %s", argv[2]);
  setvbuf(stdin, NULL, _IOFBF, 1 << 18);
  for (;;) {
    uint8_t header[FRAME_HEADER];
    if (fread(header, 1, sizeof header, stdin) != sizeof header) return errno = EPROTO, fail("read", "frame"), 1;
    size_t size = (size_t)u32(header) - 1;
    if (u32(header) == 0 || size > BUFFER || fread(payload, 1, size, stdin) != size) return errno = EPROTO, fail("read", "frame"), 1;
    if (header[4] == 'Z') break;
    struct entry entry;
    if (header[4] != 'E') return errno = EPROTO, fail("read", "frame"), 1;
    if (parse(payload, size, &entry) < 0) return fail("read", "entry"), 1;
    if (apply(&entry) < 0) return 1;
  }
  const char *step, *path;
  if (finish_folders(&step, &path) < 0) return fail(step, path), 1;
  return frame_write(STDOUT_FILENO, 'K', NULL, 0) < 0;
}
