#define _GNU_SOURCE
#include "clinux.h"
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

int clinux_usable_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int n = CPU_COUNT(&set);
  return n < 1 ? 1 : n;
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
