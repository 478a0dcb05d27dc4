/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_EXEC_LIMITS_H
#define STI_EXEC_LIMITS_H

/* exec/limits.h — what a mailbox has that does not simply grow
 *
 * Waiting for room
 *   Publisher: count itself as a waiter, read the event count, try to push again, sleep.
 *   Consumer:  take an item (its head is stored sequentially consistently), look for waiters,
 *   signal. Either the publisher's push sees the room or the consumer sees the waiter (S1).
 *
 * Congestion, one word of three bits
 *   WANT   the queue is too long: set when its depth reaches high, cleared when it is down to low
 *   SHOWN  what the last call said
 *   BUSY   somebody is calling, or about to
 *   Whoever changes WANT so that it differs from SHOWN takes BUSY, if nobody has it, and calls
 *   until they agree. So calls do not overlap, alternate, and the last one is true of the present;
 *   a crossing there and back during a call is not told.
 *   A publisher
 *   who finds the queue long sets WANT, once everybody has his message, and looks at the depth
 *   again; so does the consumer who clears it (S2). So neither a short queue stays congested nor a
 *   long one unseen.
 *
 * Threads: as said at each field.
 *
 * Edges
 *   S1  fetch-add waiters, then head (a publisher)  -- head, then load waiters (the consumer)
 *   S2  CAS congestion, then head (a publisher)     -- head, then load congestion (the consumer)
 *       CAS congestion, then tail (who clears it)   -- tail, then load congestion (a publisher)
 *   S3  load head, then busy (a drain)              -- store busy, then head (the consumer)
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stasis/subscription.h>

#include "sync/eventcount.h"

#define STI_CONGESTION_WANT 1u
#define STI_CONGESTION_SHOWN 2u
#define STI_CONGESTION_BUSY 4u

struct sti_limits {
	/* const after init */
	uint64_t capacity; /* 0: none, whatever overflow says */
	uint64_t low;
	uint64_t high; /* 0: depth is not watched */
	enum stasis_overflow overflow;
	void (*user_congestion)(void);

	/* any thread: atomic */
	_Atomic uint32_t congestion;
	_Atomic uint32_t waiters; /* publishers that wait for room */
	struct sti_eventcount room;
	_Atomic uint64_t blocked; /* times one has waited */
	_Atomic uint64_t evicted; /* items taken out again to make room */
	_Atomic uint64_t forced;  /* items pushed beyond the capacity, where nobody may wait */
	_Atomic uint32_t busy;	  /* somebody takes and delivers */
};

struct sti_mailbox;

/* The consumer has taken an item: there is room, and perhaps an end of congestion. */
void sti_limits_taken(struct sti_mailbox *mailbox);

#endif
