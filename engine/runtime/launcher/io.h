#ifndef BERTH_IO_H
#define BERTH_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A frame, on every control socket and pipe (little endian):
 *
 *   u32 length of what follows | u8 type | payload (length - 1 bytes)
 */
#define FRAME_HEADER 5

/* Reads exactly size bytes. -1 with errno; ENODATA when the stream ended before the first byte, EPROTO inside. */
int read_full(int fd, void *buffer, size_t size);

/* Writes all of it, also on a non-blocking descriptor (waits). -1 with errno. SIGPIPE is ignored by every role. */
int write_full(int fd, const void *buffer, size_t size);

/* Writes one frame in one or few system calls. -1 with errno. */
int frame_write(int fd, uint8_t type, const void *payload, size_t size);

/* Reads one frame into payload; its size, or -1 with errno: ENODATA at the end, EMSGSIZE when capacity is exceeded. */
ssize_t frame_read(int fd, uint8_t *type, void *payload, size_t capacity);

/* The five bytes before a payload of this size. */
void frame_header(uint8_t header[FRAME_HEADER], uint8_t type, size_t size);

/* Writes text to an existing file in one write(2), as /proc and cgroups want it. -1 with errno. */
int write_file(const char *path, const void *text, size_t size);

/* Reads at most capacity - 1 bytes of a small file and ends them with NUL. The length, or -1 with errno. */
ssize_t read_file(const char *path, char *buffer, size_t capacity);

/* Whether somebody listens on a Unix socket. */
bool unix_answers(const char *path);

/* A listening Unix socket with exactly this mode; one that is there is replaced. -1 with errno. */
int unix_listen(const char *path, unsigned mode);

#endif
