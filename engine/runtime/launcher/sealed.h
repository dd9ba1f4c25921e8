#ifndef BERTH_SEALED_H
#define BERTH_SEALED_H

/*
 * Goes on as a copy of this program in sealed memory, unless it is one already. Whatever a container does to
 * /proc/PID/exe of a process that enters it (CVE-2019-5736), the file on disk is not what it finds there, and what it
 * finds cannot be written. Children share the copy. Returns 0 in the copy, -1 with errno.
 */
int run_sealed(char **argv);

#endif
