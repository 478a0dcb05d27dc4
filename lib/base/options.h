/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_OPTIONS_H
#define STI_BASE_OPTIONS_H

/* base/options.h — structures of callers that may be older or newer than the library
 *
 * Such a structure begins with size_t size: what the caller's header says, or 0 for "all of it". */

#include <stddef.h>

/* Copies the caller's structure from (NULL: all zero) to ours of size bytes, zero where his ends.
 * 0; -EINVAL when his is too small to have a size; -E2BIG when his is larger and what we do not
 * know is not zero, or larger than any such structure will ever be. */
int sti_options_copy(void *to, size_t size, const void *from);

#endif
