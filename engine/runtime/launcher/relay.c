/*
 * Role `relay [NETNS]`: performs for the daemon the system calls that Node cannot make: netlink requests in any
 * network namespace, pinned namespaces, mounts. No policy: TypeScript encodes every message and names every path.
 * NETNS, if given, is entered first and counts as the host's. Ends when stdin closes.
 *
 * Frames on stdin and stdout (little endian): u32 length of what follows | u8 type | payload. Strings are
 * u16 length | bytes; an empty one means absent.
 *   request  type T          u32 id | fields of T, in the order that its function reads them
 *   reply    type T | 0x80   u32 id | i32 errno | data, or with an errno the step that failed
 *   event    type 0x7f       u32 id of the subscription | i32 errno | netlink messages
 * Requests are answered in order. A call may wait in the kernel (RCU when a link or a namespace goes), so the
 * daemon runs several relays and gives slow work to one of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

int role_relay(int argc, char **argv);

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

enum {
	T_NETLINK = 1,
	T_SUBSCRIBE = 2,
	T_PIN = 3,
	T_UNPIN = 4,
	T_MOUNT = 5,
	T_OVERLAY = 6,
	T_UNMOUNT = 7,
	T_SYSCTL = 8,
	T_EVENT = 0x7f,
	REPLY = 0x80,
	/* Known numbers, so that a message encoded by the daemon can say IFLA_NET_NS_FD. */
	FD_HOST = 100,
	FD_TARGET = 101,
	MAX_FRAME = 16 << 20,
	MAX_REPLY = 64 << 20,
	MAX_SUBSCRIPTIONS = 8,
	RECEIVE = 256 << 10,
	OPTIONS_PAGE = 4096,
};

/* A request being read, or a failure: once `error` is set, `step` says where and nothing more is done. */
struct request {
	const uint8_t *at, *end;
	int error;
	char step[160];
};

struct buffer {
	uint8_t *bytes;
	size_t length, capacity;
};

static struct buffer out;
static struct {
	int fd;
	uint32_t id;
} subscriptions[MAX_SUBSCRIPTIONS];
static int subscription_count;
static int host_sockets[64];

static int failed(struct request *r, const char *call, const char *what)
{
	if (r->error == 0) {
		r->error = errno ? errno : EIO;
		snprintf(r->step, sizeof r->step, "%.40s%s%.100s", call, *what ? " " : "", what);
	}
	return -1;
}

static int read_all(int fd, void *to, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = read(fd, (char *)to + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const void *from, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = write(fd, (const char *)from + done, length - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

static int append(struct buffer *b, const void *bytes, size_t length)
{
	if (length > MAX_REPLY - b->length) {
		errno = EMSGSIZE;
		return -1;
	}
	if (b->length + length > b->capacity) {
		size_t capacity = (b->length + length) * 2;
		uint8_t *grown = realloc(b->bytes, capacity);
		if (!grown)
			return -1;
		b->bytes = grown;
		b->capacity = capacity;
	}
	if (length)
		memcpy(b->bytes + b->length, bytes, length);
	b->length += length;
	return 0;
}

static uint64_t take(struct request *r, size_t width)
{
	uint64_t value = 0;
	if ((size_t)(r->end - r->at) < width) {
		errno = EBADMSG;
		failed(r, "read request", "");
		return 0;
	}
	memcpy(&value, r->at, width);
	r->at += width;
	return value;
}

/* A string of the request as a C string; empty when absent. Longer than PATH_MAX or with a NUL inside is refused. */
static const char *take_string(struct request *r, char *to, size_t size)
{
	size_t length = take(r, 2);
	to[0] = 0;
	if (r->error)
		return to;
	if (length >= size || (size_t)(r->end - r->at) < length || memchr(r->at, 0, length)) {
		errno = EBADMSG;
		failed(r, "read request", "string");
		return to;
	}
	memcpy(to, r->at, length);
	to[length] = 0;
	r->at += length;
	return to;
}

static int reply(uint8_t type, uint32_t id, int error, const void *data, size_t length)
{
	uint8_t head[13];
	uint32_t total = (uint32_t)(9 + length), status = (uint32_t)error;
	memcpy(head, &total, 4);
	head[4] = type;
	memcpy(head + 5, &id, 4);
	memcpy(head + 9, &status, 4);
	return write_all(1, head, sizeof head) || write_all(1, data, length) ? -1 : 0;
}

/* ---- netlink ---- */

static int netlink_socket(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -1;
	const int on = 1, size = 8 << 20;
	const struct timeval patience = { .tv_sec = 20 };
	/* An error's text, not its whole request; filters in dumps obeyed. Refusals on old kernels do no harm. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

/* A socket that lives in the namespace at `path`: entered, and left again at once. */
static int netlink_socket_in(struct request *r, int protocol, const char *path)
{
	int netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return failed(r, "open", path);
	int entered = setns(netns, CLONE_NEWNET);
	close(netns);
	if (entered < 0)
		return failed(r, "setns", path);
	int fd = netlink_socket(protocol);
	int error = errno;
	if (setns(FD_HOST, CLONE_NEWNET) < 0)
		abort(); /* in the wrong namespace every later request would be wrong */
	errno = error;
	return fd < 0 ? failed(r, "socket", "netlink") : fd;
}

/*
 * Send all messages in one datagram and collect what comes back. The kernel works during sendmsg, so that without a
 * dump everything has come when it returns; a dump ends with NLMSG_DONE or NLMSG_ERROR.
 */
static int netlink_talk(struct request *r, int fd, const uint8_t *message, size_t length)
{
	static uint8_t space[RECEIVE];
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct nlmsghdr head;
	if (length < sizeof head) {
		errno = EBADMSG;
		return failed(r, "read request", "message");
	}
	memcpy(&head, message, sizeof head);
	int dump = (head.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, done = 0;
	if (sendto(fd, message, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		return failed(r, "sendto", "netlink");
	while (!done) {
		ssize_t n = recv(fd, space, sizeof space, MSG_TRUNC | (dump ? 0 : MSG_DONTWAIT));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && !dump)
			return 0;
		if (n < 0)
			return failed(r, "recv", "netlink");
		if ((size_t)n > sizeof space) {
			errno = EMSGSIZE;
			return failed(r, "recv", "netlink");
		}
		if (append(&out, space, (size_t)n) < 0)
			return failed(r, "allocate", "");
		for (size_t at = 0; dump && at + sizeof head <= (size_t)n; at += NLMSG_ALIGN(head.nlmsg_len)) {
			memcpy(&head, space + at, sizeof head);
			if (head.nlmsg_len < sizeof head)
				break;
			done |= head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR;
		}
	}
	return 0;
}

/* u16 protocol | string netns | string target (open as FD_TARGET meanwhile) | messages */
static void do_netlink(struct request *r)
{
	char netns[4096], target[4096];
	int protocol = (int)take(r, 2), kept = 0, fd;
	take_string(r, netns, sizeof netns);
	take_string(r, target, sizeof target);
	if (r->error)
		return;
	if (*target) {
		int opened = open(target, O_RDONLY | O_CLOEXEC);
		if (opened < 0 || dup3(opened, FD_TARGET, O_CLOEXEC) < 0) {
			failed(r, "open", target);
			if (opened >= 0)
				close(opened);
			return;
		}
		close(opened);
	}
	if (*netns) {
		fd = netlink_socket_in(r, protocol, netns);
	} else {
		kept = protocol >= 0 && protocol < 64;
		fd = kept && host_sockets[protocol] ? host_sockets[protocol] : netlink_socket(protocol);
		if (fd < 0)
			failed(r, "socket", "netlink");
		else if (kept)
			host_sockets[protocol] = fd;
	}
	if (fd >= 0) {
		/* After a failure answers may be left in the queue: such a socket is not used again. */
		int talked = netlink_talk(r, fd, r->at, (size_t)(r->end - r->at));
		if (!kept || talked < 0)
			close(fd);
		if (kept && talked < 0)
			host_sockets[protocol] = 0;
	}
	if (*target)
		close(FD_TARGET);
}

/* u16 protocol | u32 multicast group; events follow with the request's id. Host's namespace. */
static void do_subscribe(struct request *r, uint32_t id)
{
	int protocol = (int)take(r, 2);
	int group = (int)take(r, 4);
	if (r->error)
		return;
	if (subscription_count == MAX_SUBSCRIPTIONS) {
		errno = EMFILE;
		failed(r, "subscribe", "");
		return;
	}
	int fd = netlink_socket(protocol);
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
		failed(r, "subscribe", "netlink");
		if (fd >= 0)
			close(fd);
		return;
	}
	subscriptions[subscription_count].fd = fd;
	subscriptions[subscription_count++].id = id;
}

static int forward_events(int fd, uint32_t id)
{
	static uint8_t space[RECEIVE];
	for (;;) {
		ssize_t n = recv(fd, space, sizeof space, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		/* ENOBUFS: events were lost; the daemon must look for itself. */
		if (reply(T_EVENT, id, n < 0 ? errno : 0, space, n < 0 ? 0 : (size_t)n) < 0)
			return -1;
	}
}

/* ---- namespaces ---- */

static int write_sysctl(struct request *r, const char *name, const char *value)
{
	char path[512];
	int slashes = strchr(name, '/') != NULL;
	if (strstr(name, "..") || snprintf(path, sizeof path, "/proc/sys/%s", name) >= (int)sizeof path) {
		errno = EINVAL;
		return failed(r, "sysctl", name);
	}
	/* As sysctl(8): with a slash in the name, a dot belongs to an interface's name. */
	for (char *c = path + 10; !slashes && *c; c++)
		if (*c == '.')
			*c = '/';
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(r, "sysctl", name);
	ssize_t n = write(fd, value, strlen(value));
	int error = errno;
	close(fd);
	errno = error;
	return n < 0 ? failed(r, "sysctl", name) : 0;
}

static int loopback_up(struct request *r)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return failed(r, "SIOCSIFFLAGS", "lo");
	return close(fd);
}

static int pin(struct request *r, const char *kind, const char *path)
{
	char source[64];
	struct statfs there;
	snprintf(source, sizeof source, "/proc/self/ns/%s", kind);
	int fd = open(path, O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return failed(r, "open", path);
	int known = fstatfs(fd, &there);
	close(fd);
	if (known == 0 && there.f_type == NSFS_MAGIC) {
		errno = EEXIST;
		return failed(r, "pin", path);
	}
	return mount(source, path, NULL, MS_BIND, NULL) < 0 ? failed(r, "bind", path) : 0;
}

/*
 * string net | string ipc | string uts (files to bind to, empty: not unshared) | string hostname |
 * u16 count of sysctls, each string name | string value. In a child, so that this process never leaves its own.
 */
static void pin_in_child(struct request *r)
{
	static char net[4096], ipc[4096], uts[4096], name[256], value[4096];
	take_string(r, net, sizeof net);
	take_string(r, ipc, sizeof ipc);
	take_string(r, uts, sizeof uts);
	take_string(r, name, sizeof name);
	if (r->error)
		return;
	int kinds = (*net ? CLONE_NEWNET : 0) | (*ipc ? CLONE_NEWIPC : 0) | (*uts ? CLONE_NEWUTS : 0);
	if (unshare(kinds) < 0) {
		failed(r, "unshare", "");
		return;
	}
	if (*name && sethostname(name, strlen(name)) < 0)
		failed(r, "sethostname", name);
	if (*net)
		loopback_up(r);
	for (size_t count = take(r, 2); count > 0 && r->error == 0; count--) {
		take_string(r, name, sizeof name);
		take_string(r, value, sizeof value);
		if (r->error == 0)
			write_sysctl(r, name, value);
	}
	const char *const pins[][2] = { { "net", net }, { "ipc", ipc }, { "uts", uts } };
	size_t made = 0;
	while (made < 3 && r->error == 0 && (!*pins[made][1] || pin(r, pins[made][0], pins[made][1]) == 0))
		made++;
	if (r->error == 0)
		return;
	while (made-- > 0) {
		if (*pins[made][1] && umount2(pins[made][1], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			unlink(pins[made][1]);
	}
}

/* Runs `work` in a child that may change its namespaces, and takes over its error. */
static void in_child(struct request *r, void (*work)(struct request *))
{
	int ends[2], status;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		failed(r, "pipe", "");
		return;
	}
	pid_t child = fork();
	if (child == 0) {
		work(r);
		_exit(write_all(ends[1], r, sizeof *r) < 0);
	}
	close(ends[1]);
	if (child < 0)
		failed(r, "fork", "");
	else if (read_all(ends[0], r, sizeof *r) < 0) {
		errno = ECHILD;
		failed(r, "wait for child", "");
	}
	close(ends[0]);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
}

static void do_unmount(struct request *r, const char *path, int flags)
{
	/* EINVAL: not a mount point. Once for each mount on top of another. */
	while (umount2(path, flags | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT && errno != ENOTDIR)
		failed(r, "umount", path);
}

static void do_unpin(struct request *r)
{
	char path[4096];
	take_string(r, path, sizeof path);
	if (r->error == 0)
		do_unmount(r, path, MNT_DETACH);
	if (r->error == 0 && unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		failed(r, "unlink", path);
}

/* ---- mounts ---- */

/* u64 flags | string source | string target | string type | string options */
static void do_mount(struct request *r)
{
	static char source[4096], target[4096], type[64], options[OPTIONS_PAGE];
	unsigned long flags = (unsigned long)take(r, 8);
	take_string(r, source, sizeof source);
	take_string(r, target, sizeof target);
	take_string(r, type, sizeof type);
	take_string(r, options, sizeof options);
	if (r->error == 0 &&
	    mount(*source ? source : "none", target, *type ? type : NULL, flags, *options ? options : NULL) < 0)
		failed(r, "mount", target);
}

/*
 * string folder | string target | string options, whose paths are relative to the folder: with long names the options
 * of many layers overflow the kernel's page and mount(2) succeeds on what is left, hence also the refusal at 4,095.
 */
static void do_overlay(struct request *r)
{
	static char folder[4096], target[4096], options[OPTIONS_PAGE];
	take_string(r, folder, sizeof folder);
	take_string(r, target, sizeof target);
	take_string(r, options, sizeof options);
	if (r->error)
		return;
	if (chdir(folder) < 0)
		failed(r, "chdir", folder);
	else if (mount("overlay", target, "overlay", 0, options) < 0)
		failed(r, "mount overlay", target);
	if (chdir("/") < 0)
		abort();
}

static void do_sysctl_in(struct request *r)
{
	static char netns[4096], name[256], value[4096];
	take_string(r, netns, sizeof netns);
	take_string(r, name, sizeof name);
	take_string(r, value, sizeof value);
	if (r->error)
		return;
	if (*netns) {
		int fd = open(netns, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
			failed(r, "setns", netns);
			return;
		}
	}
	write_sysctl(r, name, value);
}

static void perform(uint8_t type, uint32_t id, struct request *r)
{
	char path[4096];
	switch (type) {
	case T_NETLINK:
		do_netlink(r);
		break;
	case T_SUBSCRIBE:
		do_subscribe(r, id);
		break;
	case T_PIN:
		in_child(r, pin_in_child);
		break;
	case T_UNPIN:
		do_unpin(r);
		break;
	case T_MOUNT:
		do_mount(r);
		break;
	case T_OVERLAY:
		do_overlay(r);
		break;
	case T_UNMOUNT: {
		int flags = take(r, 1) ? MNT_DETACH : 0;
		take_string(r, path, sizeof path);
		if (r->error == 0)
			do_unmount(r, path, flags);
		break;
	}
	case T_SYSCTL:
		in_child(r, do_sysctl_in);
		break;
	default:
		errno = ENOSYS;
		failed(r, "request", "of unknown type");
	}
}

/* One frame from stdin, performed and answered. Negative when stdin or stdout is gone. */
static int serve_one(void)
{
	static uint8_t *frame;
	static size_t capacity;
	uint32_t length, id;
	if (read_all(0, &length, 4) < 0 || length < 5 || length > MAX_FRAME)
		return -1;
	if (length > capacity) {
		uint8_t *grown = realloc(frame, length);
		if (!grown)
			return -1;
		frame = grown;
		capacity = length;
	}
	if (read_all(0, frame, length) < 0)
		return -1;
	memcpy(&id, frame + 1, 4);
	struct request r = { .at = frame + 5, .end = frame + length };
	out.length = 0;
	perform(frame[0], id, &r);
	if (r.error)
		return reply(frame[0] | REPLY, id, r.error, r.step, strlen(r.step));
	return reply(frame[0] | REPLY, id, 0, out.bytes, out.length);
}

int role_relay(int argc, char **argv)
{
	/* Ctrl-C and a service's stop reach the whole group; the daemon still needs its relay to clean up. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	const char *netns = argc > 2 ? argv[2] : "/proc/self/ns/net";
	int host = open(netns, O_RDONLY | O_CLOEXEC);
	if (host < 0 || dup3(host, FD_HOST, O_CLOEXEC) < 0 || setns(FD_HOST, CLONE_NEWNET) < 0 || chdir("/") < 0) {
		perror(netns);
		return 1;
	}
	close(host);
	for (;;) {
		struct pollfd waiting[1 + MAX_SUBSCRIPTIONS] = { { .fd = 0, .events = POLLIN } };
		for (int i = 0; i < subscription_count; i++)
			waiting[1 + i] = (struct pollfd){ .fd = subscriptions[i].fd, .events = POLLIN };
		int count = subscription_count;
		if (poll(waiting, (nfds_t)(1 + count), -1) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		for (int i = 0; i < count; i++)
			if (waiting[1 + i].revents && forward_events(subscriptions[i].fd, subscriptions[i].id) < 0)
				return 0;
		if (waiting[0].revents && serve_one() < 0)
			return 0;
	}
}
