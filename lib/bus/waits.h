/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_WAITS_H
#define STI_BUS_WAITS_H

/* bus/waits.h — which callbacks wait for which subscriptions, so that no circle of them is closed
 *
 * A thread that waits inside a callback holds up the subscription of that callback, and of every
 * callback that this one runs inside of. If what it waits for is held up, over any number of steps,
 * by a wait for one of these, it would never end, and is refused. Waits with a timeout end by
 * themselves and do not count for that.
 *
 * Threads: any; one lock, held for a look at the waits there are. Waits outside callbacks hold up
 * nobody and need not come here.
 */

#include <stdbool.h>
#include <stdint.h>

struct sti_context;
struct sti_mailbox;

/* On the stack of the one who waits. */
struct sti_wait {
	/* const after begin */
	struct sti_mailbox *target; /* referenced by whoever waits */
	bool timed;
	const struct sti_context *context; /* innermost; stays as it is during the wait */
	/* the lock */
	struct sti_wait *prev, *next;
	uint64_t mark;
};

/* False: it could never end, and is not entered. Inside a callback. */
bool sti_wait_begin(struct sti_wait *wait, struct sti_mailbox *target, bool timed);
void sti_wait_end(struct sti_wait *wait);

/* What whoever waits for a mailbox waits for in the end: that which it is held up by, over any
 * number of steps, or itself. Referenced. */
struct sti_mailbox *sti_waits_leaf(struct sti_mailbox *mailbox);

#endif
