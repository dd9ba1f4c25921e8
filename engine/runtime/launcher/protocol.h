#ifndef BERTH_PROTOCOL_H
#define BERTH_PROTOCOL_H

/*
 * Frames on a supervisor's socket and on the keeper's. Numbers are little endian, texts end with NUL.
 * ../host/protocol.ts is the other side. A request carries an id that its answer repeats; both may overlap.
 *
 *   from a supervisor
 *   HELLO      u32 version | u32 pid | u8 status (0 created, 1 running) | text state folder     first on every connection
 *   OK         u32 request | u32 value (EXEC: pid; BIND: port; else 0)
 *   ERROR      u32 request | i32 errno | u32 phase | u32 index | u32 op | text call | text why | text at
 *   STDOUT, STDERR           bytes
 *   EXIT       u32 code | u32 signal | u8 oom | u64 finished (ms)                               the last, on every connection
 *   EXEC_EXIT  u32 code                                                           the last, on the connection of an EXEC
 *
 *   to a supervisor
 *   START      u32 request
 *   SIGNAL     u32 request | u32 signal | u8 all
 *   RESIZE     u32 request | u16 rows | u16 columns
 *   ATTACH     u32 request | u8 flags (1 stdin, 2 stdout, 4 stderr)
 *   EXEC       u32 request | exec plan     SIGNAL, RESIZE and STDIN on this connection are the new process's from then on
 *   STDIN      bytes, at most 32 KiB
 *   CLOSE_STDIN
 *
 *   to the keeper
 *   LAUNCH     launch plan                 the connection is from then on one to the new supervisor: HELLO, or ERROR and its end
 *   BIND       u32 request | u8 protocol (0 tcp, 1 udp) | u16 port | text address | text key
 *   RELEASE    u32 request | text key
 *   LISTEN     u32 request | u16 port (0: any) | text address | text name     OK's value: port. The socket comes on the channel
 */
#define PROTOCOL_VERSION 1

enum frame {
  FRAME_HELLO = 1,
  FRAME_OK = 2,
  FRAME_ERROR = 3,
  FRAME_STDOUT = 4,
  FRAME_STDERR = 5,
  FRAME_EXIT = 6,
  FRAME_EXEC_EXIT = 7,
  FRAME_START = 16,
  FRAME_SIGNAL = 17,
  FRAME_RESIZE = 18,
  FRAME_ATTACH = 19,
  FRAME_EXEC = 20,
  FRAME_STDIN = 21,
  FRAME_CLOSE_STDIN = 22,
  FRAME_LAUNCH = 32,
  FRAME_BIND = 33,
  FRAME_RELEASE = 34,
  FRAME_LISTEN = 35,
};

#endif
