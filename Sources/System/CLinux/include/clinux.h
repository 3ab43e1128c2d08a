// What Swift's Glibc module does not show: epoll, eventfd, signalfd, accept4 and a few calls that are macros or GNU
// extensions; and the signal handler that gives a terminal back, which must be C.
#ifndef CLINUX_H
#define CLINUX_H
#include <malloc.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

/// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC; the peer's address is not asked for.
int clinux_accept(int listener);
/// epoll_wait(2) with a timeout in nanoseconds (-1: for ever): epoll_pwait2, and where the kernel has none, epoll_wait for as
/// many milliseconds, rounded up.
int clinux_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout);
/// How many processors this process may run on (sched_getaffinity), at least 1.
int clinux_usable_cores(void);
/// Names the calling thread (at most 15 bytes), for ps, top and perf.
void clinux_name_thread(const char *name);
/// Gives the calling thread a descriptor table of its own, with only the `count` descriptors in `keep` (in any order) and
/// 0 to 2 in it. 0, or -1 with errno and the table as it was.
int clinux_own_descriptors(const int *keep, int count);
/// From now on a crash of this process (SIGSEGV, SIGILL, SIGABRT …) first writes `bytes` to the terminal and gives it back
/// its modes, and then goes its way. 0, or -1 where that can't be: at most 256 bytes are kept.
int clinux_guard_terminal(int descriptor, const struct termios *modes, const void *bytes, size_t count);
/// The terminal is restored already: a crash leaves it alone.
void clinux_unguard_terminal(void);
/// A terminal's size in characters. 0, or -1 with errno.
int clinux_window_size(int descriptor, int *columns, int *rows);
#endif
