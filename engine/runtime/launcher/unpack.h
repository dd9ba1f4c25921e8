#ifndef BERTH_UNPACK_H
#define BERTH_UNPACK_H

#include <stdint.h>
#include <time.h>

/* The layer that is being unpacked: its folder, and those of the layers below it, the top one first. */
extern struct layer {
  int root;
  int *lowers;
  int lower_count;
} layer;

/* openat2 below the layer's folder: links and ".." end in it. "" is the folder itself. -1 with errno. */
int open_below(const char *path, uint64_t flags);

/* Opens a folder (O_PATH); what is missing of it is made, also behind a link that leads to nothing yet. */
int open_folder(const char *path);

/* Gives a folder that the layer did not name what the folder below it has. Closes `from`. */
int inherit(int to, int from, const char *path);

/* Removes a name and everything below it, following nothing. */
int remove_tree(int parent, const char *name);

/* Folders get their times at the end: what is made in them changes them. */
int remember_folder(const char *path, struct timespec modified);

/* Sets the remembered times and syncs the file system. -1 with errno, and what failed where. */
int finish_folders(const char **step, const char **path);

#endif
