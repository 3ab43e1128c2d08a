#define _GNU_SOURCE
#include "clinux.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* What the handler may touch: written before it is installed, only read by it. */
static volatile sig_atomic_t guarded = -1;
static struct termios saved_modes;
static char restore_bytes[256];
static size_t restore_count;
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGSYS};
enum { crash_count = sizeof crash_signals / sizeof crash_signals[0] };
static struct sigaction before[crash_count];
static char handler_stack[65536];

/* Only calls that POSIX allows in a signal handler: write, tcsetattr, sigaction, raise. */
static void restore_and_go_on(int sig) {
  int saved = errno;
  int descriptor = guarded;
  guarded = -1;
  if (descriptor >= 0) {
    ssize_t written = write(descriptor, restore_bytes, restore_count);
    (void)written;
    tcsetattr(descriptor, TCSANOW, &saved_modes);
  }
  for (int i = 0; i < crash_count; i++)
    if (crash_signals[i] == sig) sigaction(sig, &before[i], NULL);
  errno = saved;
  raise(sig); /* blocked until this returns, and then whatever handled it before has it */
}

int clinux_guard_terminal(int descriptor, const struct termios *modes, const void *bytes, size_t count) {
  if (count > sizeof restore_bytes) return -1;
  guarded = -1;
  saved_modes = *modes;
  memcpy(restore_bytes, bytes, count);
  restore_count = count;
  stack_t stack = {.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
  stack_t present;
  /* A thread that has a stack for handlers keeps it. */
  if (sigaltstack(NULL, &present) == 0 && (present.ss_flags & SS_DISABLE)) sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_handler = restore_and_go_on, .sa_flags = SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  static int is_installed;
  for (int i = 0; i < crash_count && !is_installed; i++)
    if (sigaction(crash_signals[i], &action, &before[i]) != 0) return -1;
  is_installed = 1;
  guarded = descriptor;
  return 0;
}

void clinux_unguard_terminal(void) { guarded = -1; }

int clinux_window_size(int descriptor, int *columns, int *rows) {
  struct winsize size;
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return -1;
  *columns = size.ws_col;
  *rows = size.ws_row;
  return 0;
}
