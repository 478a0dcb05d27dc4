/* SPDX-License-Identifier: BSD-2-Clause */
/* heap.c — see heap.h
 *
 * jemalloc is reached by a weak symbol: with a sanitizer the program is linked without it.
 */

#include "heap.h"

#include <malloc.h>
#include <stddef.h>

int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
	__attribute__((weak));

const char *sb_heap_name(void)
{
	if (mallctl != NULL)
		return "jemalloc";
	return sb_heap_allocated() > 0 ? "glibc" : "unknown";
}

uint64_t sb_heap_allocated(void)
{
	uint64_t epoch = 1;
	size_t allocated = 0, size = sizeof(allocated);

	if (mallctl == NULL) {
		struct mallinfo2 info = mallinfo2();

		/* Large blocks are mapped one by one and counted apart. */
		return info.uordblks + info.hblkhd;
	}
	mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
	/* Statistics are of the moment when the epoch is written. */
	mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch));
	mallctl("stats.allocated", &allocated, &size, NULL, 0);
	return allocated;
}
