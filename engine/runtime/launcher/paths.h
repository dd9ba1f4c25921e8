#ifndef BERTH_PATHS_H
#define BERTH_PATHS_H

#include <stddef.h>
#include <sys/types.h>

/* What to make at the end of a path that is missing. */
enum make { MAKE_NONE, MAKE_FOLDER, MAKE_FILE };

/*
 * Opens (O_PATH) a path below the folder root. Links and ".." are followed as if root were "/", so nothing inside
 * leads out. What is missing is made: folders on the way 0755, the last part as told; a link that leads to nothing is
 * followed and its target made, as images have them for /etc/resolv.conf. -1 with errno.
 */
int open_in(const char *root, const char *path, enum make make);

/* The folder of a path below root, made if missing, and the last name in it. -1 with errno. */
int open_parent_in(const char *root, const char *path, char *name, size_t name_size);

/* "/proc/self/fd/N", for the calls that take no descriptor. */
#define FD_PATH_SIZE 32
void fd_path(char text[FD_PATH_SIZE], int fd);

#endif
