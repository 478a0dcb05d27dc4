/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_SUBSCRIPTION_H
#define STI_BUS_SUBSCRIPTION_H

/* bus/subscription.h — what is inside a subscription
 *
 * One block of seven lines: object header, mailbox, the final message, the first ring. The final
 * message is built in, so ending a subscription needs no memory.
 *
 * References to a subscription
 *   application   from subscribe until unsubscribe
 *   bus           from subscribe until a grace period after the final callback: so long publishers
 *                 may find it in an array
 *   final message from unsubscribe until the last subscriber has dropped it
 *   drain         while it waits
 * References of a subscription: its topic and its executor, until it is freed.
 *
 * Edges
 *   R1  fetch-or flags (DONE)     final     -> A1  what the final callback did
 *   A1  load-acquire flags        is_done, join <- R1
 *   X1  exchange ended            unsubscribe: one of several ends it
 */

#include <stasis/subscription.h>

#include "bus/message.h"
#include "exec/mailbox.h"
#include "ring/ring.h"
#include "sync/eventcount.h"

/* The last message, in place: its own object, whose end drops a reference to the subscription. */
struct sti_final_message {
	struct sti_object object;
	struct stasis_message message;
	struct stasis_subscription_change change;
};

struct stasis_subscription {
	struct sti_mailbox mailbox; /* first: a mailbox begins an object */

	/* const after init */
	char *name; /* NULL: the topic's */
	char uniqueid[16];
	/* any thread: atomic */
	_Atomic uint32_t ended;
	struct sti_eventcount done;

	/* whoever ends it; then readers of the message */
	struct sti_final_message final;

	/* the first ring; only here it is known to begin a line */
	unsigned char ring[STI_RING_MIN_SIZE];
};

#endif
