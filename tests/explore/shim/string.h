/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPLORE_SHIM_STRING_H
#define EXPLORE_SHIM_STRING_H

/* shim/string.h — memset() and memcpy() of the library, seen by the explorer */

#include_next <string.h>

#ifdef EXPLORED

void *explore_memset(void *p, int c, size_t size);
void *explore_memcpy(void *to, const void *from, size_t size);

#define memset explore_memset
#define memcpy explore_memcpy

#endif

#endif
