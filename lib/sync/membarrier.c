/* SPDX-License-Identifier: BSD-2-Clause */
/* sync/membarrier.c — the system call. See membarrier.h. */

#include "sync/membarrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

enum registered {
	REGISTERED_UNKNOWN,
	REGISTERED_YES,
	REGISTERED_NO,
};

static _Atomic int registered;

static bool membarrier_call(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}

bool sti_membarrier_is_usable(void)
{
	/* Relaxed, both: who does not know yet finds the same. */
	int known = atomic_load_explicit(&registered, memory_order_relaxed);
	int saved = errno;
	bool usable;

	if (known == REGISTERED_UNKNOWN) {
		/* liburcu has mostly done it already; twice does no harm. */
		known = membarrier_call(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ?
				REGISTERED_YES :
				REGISTERED_NO;
		atomic_store_explicit(&registered, known, memory_order_relaxed);
	}
	/* It may have been forbidden since. */
	usable = known == REGISTERED_YES && membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	errno = saved;
	return usable;
}

void sti_membarrier(void)
{
	/* A system call: the compiler moves nothing past it. */
	stasis_assert(membarrier_call(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
}
