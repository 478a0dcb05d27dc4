/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_THREAD_H
#define STI_BASE_THREAD_H

/* base/thread.h — what the library keeps per thread: a number, a clock anchor, a heap
 *
 * A thread gets its record at its first call that wants one and gives it up when it ends. Without
 * memory, beyond STI_THREAD_MAX threads at once, and for destructors of thread-specific data that
 * come later, there is none: everything works, from the allocator and with exact clock readings.
 * (One whose first call of all comes from such a destructor in the system's last round of them, the
 * fourth, never gives its record up.)
 *
 * Numbers are dense and belong to one living thread at a time, so what is indexed by them has one
 * writer.
 *
 * Edges
 *   R1  store-release of a number's entry  -> A1  what its last thread wrote under that number
 *   A1  exchange-acquire of the entry      <- R1
 */

#include "base/clock.h"
#include "base/compiler.h"
#include "base/slab.h"

#define STI_THREAD_MAX 1024u

/* The thread's own. */
struct sti_thread {
	unsigned number; /* below STI_THREAD_MAX */
	/* ring/: where it took its last turn, which may be gone; how many it does not wait for */
	const void *turn;
	uint64_t turn_pos;
	unsigned turn_skips;
	struct sti_clock clock;
	struct sti_heap heap;
};

extern __thread struct sti_thread *sti_thread_current;

struct sti_thread *sti_thread_enter(void);

/* This thread's record; NULL when it cannot have one. */
STI_INLINE struct sti_thread *sti_thread_self(void)
{
	struct sti_thread *thread = sti_thread_current;

	return sti_likely(thread != NULL) ? thread : sti_thread_enter();
}

#endif
