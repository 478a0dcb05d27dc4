/* SPDX-License-Identifier: BSD-2-Clause */
/* faulty.c — see faulty.h */

#include "faulty.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/slab.h"

#define NEVER INT64_MAX

static _Atomic int64_t n_left = NEVER; /* allocations until the failing one */
static _Atomic bool fail_forever;
static _Atomic bool failed;
static _Atomic int64_t n_outstanding;
static _Atomic uint64_t n_tried;

static bool must_fail(void)
{
	int64_t left = atomic_fetch_sub(&n_left, 1);

	return left == 0 || (left < 0 && atomic_load(&fail_forever));
}

static void *faulty_alloc(size_t align, size_t size)
{
	void *ptr;

	atomic_fetch_add(&n_tried, 1);
	if (must_fail()) {
		atomic_store(&failed, true);
		return NULL;
	}
	ptr = sti_alloc_system.alloc(align, size);
	/* Slabs stay in their pools, one set for each CPU that a test happens to run on. */
	if (ptr != NULL && size != STI_SLAB_SIZE)
		atomic_fetch_add(&n_outstanding, 1);
	return ptr;
}

static void faulty_free(void *ptr)
{
	atomic_fetch_sub(&n_outstanding, 1);
	sti_alloc_system.free(ptr);
}

static const struct sti_alloc_ops faulty_ops = { .alloc = faulty_alloc, .free = faulty_free };

void faulty_install(void)
{
	static bool installed;

	/* Once: threads that allocate may be running the second time. */
	if (!installed)
		sti_alloc_set_ops(&faulty_ops);
	installed = true;
}

void faulty_arm(uint64_t n, bool forever)
{
	atomic_store(&failed, false);
	atomic_store(&fail_forever, forever);
	atomic_store(&n_left, (int64_t)n);
}

bool faulty_disarm(void)
{
	atomic_store(&fail_forever, false);
	atomic_store(&n_left, NEVER);
	return atomic_load(&failed);
}

int64_t faulty_outstanding(void)
{
	return atomic_load(&n_outstanding);
}

uint64_t faulty_tried(void)
{
	return atomic_load(&n_tried);
}
