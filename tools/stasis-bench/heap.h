/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_HEAP_H
#define SB_HEAP_H

/* heap.h — how much memory is allocated, as the allocator counts it */

#include <stdint.h>

/* "jemalloc", "glibc", or "unknown", which does not count. */
const char *sb_heap_name(void);

/* Bytes allocated in the whole process at this moment. jemalloc counts what it holds ready for a
 * thread as allocated; the calling thread's is handed back before. 0: it does not count. */
uint64_t sb_heap_allocated(void);

#endif
