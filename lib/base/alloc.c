/* SPDX-License-Identifier: BSD-2-Clause */
/* base/alloc.c — jemalloc by weak symbols, or the C library
 *
 * Linking jemalloc into a shared library makes that library impossible to dlopen: its thread-local
 * storage is of the static kind. So nothing is linked: the symbols are weak, and are there exactly
 * when the application links or preloads jemalloc.
 */

#include "base/alloc.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_MIN 16

/* jemalloc's own interface; flags are log2 of the alignment. */
extern void *mallocx(size_t size, int flags) __attribute__((weak));
extern void dallocx(void *ptr, int flags) __attribute__((weak));

static void *system_alloc(size_t align, size_t size)
{
	void *ptr;

	if (mallocx != NULL && dallocx != NULL)
		return mallocx(size > 0 ? size : 1, __builtin_ctzl(align));
	/* Some 32-bit machines align to less than is promised here. */
	if (align <= ALIGN_MIN && alignof(max_align_t) >= ALIGN_MIN)
		return malloc(size);
	return posix_memalign(&ptr, align, size) == 0 ? ptr : NULL;
}

static void system_free(void *ptr)
{
	if (mallocx != NULL && dallocx != NULL)
		dallocx(ptr, 0);
	else
		free(ptr);
}

const struct sti_alloc_ops sti_alloc_system = { .alloc = system_alloc, .free = system_free };

static const struct sti_alloc_ops *alloc_ops = &sti_alloc_system;

void sti_alloc_set_ops(const struct sti_alloc_ops *ops)
{
	alloc_ops = ops != NULL ? ops : &sti_alloc_system;
}

void *sti_alloc(size_t size)
{
	return alloc_ops->alloc(ALIGN_MIN, size);
}

void *sti_alloc_zeroed(size_t size)
{
	void *ptr = sti_alloc(size);

	return ptr != NULL ? memset(ptr, 0, size) : NULL;
}

void *sti_alloc_aligned(size_t align, size_t size)
{
	return alloc_ops->alloc(align, size);
}

void sti_free(void *ptr)
{
	if (ptr != NULL)
		alloc_ops->free(ptr);
}

char *sti_strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = sti_alloc(size);

	return copy != NULL ? memcpy(copy, s, size) : NULL;
}
