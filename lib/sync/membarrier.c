/* SPDX-License-Identifier: BSD-2-Clause */
/* sync/membarrier.c — the system call. See membarrier.h. */

#include "sync/membarrier.h"

#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

enum usable {
	USABLE_UNKNOWN,
	USABLE_YES,
	USABLE_NO,
};

static _Atomic int usable;

static bool membarrier_call(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}

bool sti_membarrier_is_usable(void)
{
	/* Relaxed, both: who does not know yet finds the same. */
	int known = atomic_load_explicit(&usable, memory_order_relaxed);

	if (known == USABLE_UNKNOWN) {
		/* liburcu has mostly done the first already; twice does no harm. */
		known = membarrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
					membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED) ?
				USABLE_YES :
				USABLE_NO;
		atomic_store_explicit(&usable, known, memory_order_relaxed);
	}
	return known == USABLE_YES;
}

void sti_membarrier(void)
{
	/* A system call: the compiler moves nothing past it. */
	stasis_assert(membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}
