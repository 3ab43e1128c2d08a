#define _GNU_SOURCE
#include "clinux.h"
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

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
