/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_PENDING_H
#define STI_BUS_PENDING_H

/* bus/pending.h — what a publish does when everybody has the message
 *
 * Pushing happens in an RCU read section, where nobody may wait and no callback may run. So what
 * waits or calls is noted and done afterwards:
 *   runs     idle mailboxes of STASIS_WAIT_INLINE executors, claimed: deliver
 *   ROOM     a full queue whose policy is BLOCK: wait, then push
 *   CROSSED  a queue has become too long: say so
 *   DROP     items taken out of a full queue: drop the references
 * Runs come first, so a callback that takes long holds up what is noted for other subscriptions.
 * They need no memory: whoever has claimed a mailbox may link it. Any other note that finds none is
 * settled on the spot as well as it can be: ROOM by refusing, CROSSED by leaving it to the next
 * push, DROP at once.
 *
 * Threads: a list has one, the publisher's.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/message.h"
#include "exec/mailbox.h"

struct stasis_subscription;

#define STI_PENDING_FIRST 8u

enum sti_pending_kind { STI_PENDING_ROOM, STI_PENDING_CROSSED, STI_PENDING_DROP };

struct sti_pending_entry {
	enum sti_pending_kind kind;
	/* ROOM, CROSSED: referenced */
	struct stasis_subscription *sub;
	/* ROOM: messages that are left, with a reference each for the subscription; NULL: none,
	 * only wait */
	struct stasis_message *const *messages;
	size_t n;
	/* DROP: n references to it */
	void *item;
};

/* Made by every publish, so little of it is set at first. */
struct sti_pending {
	/* What this thread has claimed, linked by run_next, in order; NULL: none. */
	struct sti_mailbox *first_run;
	struct sti_mailbox *last_run; /* if there is a first; its link is not set */
	unsigned n;		      /* entries */
	/* of these */
	unsigned n_rooms;
	unsigned n_crossed;
	unsigned more_size; /* this and the next: once n is beyond STI_PENDING_FIRST */
	struct sti_pending_entry *more; /* those beyond the first */
	struct sti_pending_entry first[STI_PENDING_FIRST];
};

static inline void sti_pending_init(struct sti_pending *pending)
{
	pending->first_run = NULL;
	pending->n = 0;
	pending->n_rooms = 0;
	pending->n_crossed = 0;
}

static inline bool sti_pending_is_empty(const struct sti_pending *pending)
{
	return pending->first_run == NULL && pending->n == 0;
}

/* A mailbox that the caller has claimed. */
static inline void sti_pending_run(struct sti_pending *pending, struct sti_mailbox *mailbox)
{
	/* One alone is not written to: others read that line. */
	if (pending->first_run == NULL)
		pending->first_run = mailbox;
	else
		pending->last_run->run_next = mailbox;
	pending->last_run = mailbox;
}

/* The following inside a read section. False: not noted. */
bool sti_pending_room(struct sti_pending *pending, struct stasis_subscription *sub,
		      struct stasis_message *const *messages, size_t n);
/* Is there a note that a subscription has not got all yet? What comes later must not overtake it.
 */
bool sti_pending_has_room(struct sti_pending *pending, const struct stasis_subscription *sub);
/* Something is about to be queued that cannot wait: queues first what waits for room there. */
void sti_pending_force(struct sti_pending *pending, struct stasis_subscription *sub);
void sti_pending_crossed(struct sti_pending *pending, struct stasis_subscription *sub);
void sti_pending_drop(struct sti_pending *pending, void *item);

/* Leaves the mailboxes to others, outside read sections. */
void sti_pending_let_go(struct sti_pending *pending);

/* Does all of it, outside read sections. How many messages subscriptions did not take. deadline_ns:
 * how long to wait for room at most, in sti_clock_monotonic_ns(); 0: for ever. */
size_t sti_pending_settle(struct sti_pending *pending, uint64_t deadline_ns);

#endif
