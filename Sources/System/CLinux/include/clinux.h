// What Swift's Glibc module does not show: epoll, eventfd, accept4 and a few calls that are macros or GNU extensions.
#ifndef CLINUX_H
#define CLINUX_H
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/// accept4(2) with SOCK_NONBLOCK | SOCK_CLOEXEC; the peer's address is not asked for.
int clinux_accept(int listener);
/// How many processors this process may run on (sched_getaffinity), at least 1.
int clinux_usable_cores(void);
/// Names the calling thread (at most 15 bytes), for ps, top and perf.
void clinux_name_thread(const char *name);
/// Gives the calling thread a descriptor table of its own, with only the `count` descriptors in `keep` (in any order) and
/// 0 to 2 in it. 0, or -1 with errno and the table as it was.
int clinux_own_descriptors(const int *keep, int count);
#endif
