#define _GNU_SOURCE
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

int channel_send(int channel, enum message type, const void *content, size_t size, int descriptor) {
  uint8_t kind = (uint8_t)type;
  struct iovec parts[2] = {{&kind, 1}, {(void *)(uintptr_t)content, size}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
  union control control = {0};
  if (descriptor >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  ssize_t n;
  do n = sendmsg(channel, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -1 : 0;
}

int channel_receive(int channel, struct packet *packet, int *descriptor, bool wait) {
  uint8_t kind = 0;
  memset(packet, 0, sizeof *packet);
  *descriptor = -1;
  struct iovec parts[2] = {{&kind, 1}, {&packet->failure, sizeof packet->failure}};
  union control control = {0};
  struct msghdr message = {
      .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == ECONNRESET) return 0;
  if (n <= 0) return (int)n;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
  }
  packet->type = kind;
  struct failure *f = &packet->failure;
  if (kind == MESSAGE_FAILED) f->call[sizeof f->call - 1] = f->why[sizeof f->why - 1] = f->at[sizeof f->at - 1] = 0;
  return kind;
}
