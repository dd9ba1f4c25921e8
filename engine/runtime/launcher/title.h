#ifndef BERTH_TITLE_H
#define BERTH_TITLE_H

/* What `ps` shows of this process and of those that it forks: `berth-supervisor 0123456789ab`. */

/* First of all, with main's arguments; title_set writes over them. */
void title_open(int argc, char **argv);

/* The title, cut where the arguments' room ends. */
void title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
