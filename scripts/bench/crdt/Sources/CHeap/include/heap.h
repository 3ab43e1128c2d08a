#include <stddef.h>

/// The bytes that malloc has given out: small pieces and those that are mapped on their own.
size_t heap_in_use(void);
