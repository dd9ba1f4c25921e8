#ifndef BERTH_LOG_H
#define BERTH_LOG_H

#include <stddef.h>
#include <stdint.h>

/*
 * The container's log in the CRI's format, one line of output a line, at most 16 KiB of it:
 *
 *   2026-01-02T03:04:05.678901234Z stdout F text
 *
 * P instead of F: the output's line goes on in the next P or F line of the same stream.
 * PATH is rotated to PATH.1, PATH.2… when it would grow beyond the given size.
 */

/* path is kept, not copied. -1 with errno. */
int log_open(const char *path, uint64_t max_size, uint32_t max_files);

/* A full disk loses output, never the container: errors are not returned. */
void log_write(int stream, const char *text, size_t size);

/* What has no newline at the end becomes a P line. */
void log_flush(void);

#endif
