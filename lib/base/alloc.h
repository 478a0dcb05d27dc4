/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_ALLOC_H
#define STI_BASE_ALLOC_H

/* base/alloc.h — the one door to memory
 *
 * Everything the library allocates comes through here: from jemalloc where the program has it, from
 * the C library otherwise. Tests replace the table to count allocations and to make them fail.
 *
 * Threads: alloc and free from any thread. sti_alloc_set_ops() only while nothing is allocated that
 *          the new table could not free, and no other thread is inside the library.
 */

#include <stddef.h>

struct sti_alloc_ops {
	void *(*alloc)(size_t align, size_t size); /* align: a power of two, 16 at least */
	void (*free)(void *ptr);
};

extern const struct sti_alloc_ops sti_alloc_system;

/* NULL: back to sti_alloc_system. The table must outlive its use. */
void sti_alloc_set_ops(const struct sti_alloc_ops *ops);

/* Not zeroed; aligned to 16 bytes. NULL when there is no memory. */
void *sti_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *sti_alloc_zeroed(size_t size) __attribute__((malloc, alloc_size(1)));
void *sti_alloc_aligned(size_t align, size_t size) __attribute__((malloc, alloc_size(2)));

/* NULL is allowed. */
void sti_free(void *ptr);

/* A copy of string s; NULL when there is no memory. */
char *sti_strdup(const char *s);

#endif
