#define _GNU_SOURCE
#include "clinux.h"
#include <pthread.h>
#include <sched.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

/* By number, like close_range below. */
int clinux_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout) {
#ifdef SYS_epoll_pwait2
  struct timespec wait = {timeout / 1000000000, timeout % 1000000000};
  long found = syscall(SYS_epoll_pwait2, epoll, events, count, timeout < 0 ? NULL : &wait, NULL, 0);
  if (found >= 0 || errno != ENOSYS) return (int)found;
#endif
  int64_t rounded = timeout < 0 ? -1 : (timeout + 999999) / 1000000;
  return epoll_wait(epoll, events, count, rounded > INT_MAX ? INT_MAX : (int)rounded);
}

int clinux_usable_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int n = CPU_COUNT(&set);
  return n < 1 ? 1 : n;
}

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* By number, since older C libraries do not have it. Where the kernel hasn't either, the copies stay open. */
static void close_between(unsigned first, unsigned last) {
#ifdef SYS_close_range
  if (first <= last) syscall(SYS_close_range, first, last, 0);
#endif
}

int clinux_own_descriptors(const int *keep, int count) {
  int sorted[64];
  if (count < 0 || count > 64) return -1;
  for (int i = 0; i < count; i++) sorted[i] = keep[i];
  qsort(sorted, (size_t)count, sizeof sorted[0], ascending);
  if (unshare(CLONE_FILES) != 0) return -1;
  unsigned next = 3;
  for (int i = 0; i < count; i++) {
    if (sorted[i] < (int)next) continue;
    close_between(next, (unsigned)sorted[i] - 1);
    next = (unsigned)sorted[i] + 1;
  }
  close_between(next, ~0U);
  return 0;
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
