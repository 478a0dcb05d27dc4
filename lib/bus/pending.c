/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/pending.c — noting and settling. See pending.h.
 *
 * Edges
 *   S1  see exec/limits.h
 *   A2  load-acquire mailbox->flags <- R2 in exec/executor.c
 */

#include "bus/pending.h"

#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/process.h"
#include "bus/push.h"
#include "exec/claims.h"
#include "exec/executor.h"

/* How long to wait for room in one queue while there is none in another either. */
#define ROOM_TURN_NS 1000000u

/* --- noting --- */

static struct sti_pending_entry *pending_at(struct sti_pending *pending, unsigned i)
{
	return i < STI_PENDING_FIRST ? &pending->first[i] : &pending->more[i - STI_PENDING_FIRST];
}

/* Makes more, or makes it larger. */
static bool pending_grow(struct sti_pending *pending)
{
	unsigned n = pending->n - STI_PENDING_FIRST;
	unsigned size = n > 0 ? 4 * n : 64;
	struct sti_pending_entry *more = sti_alloc(size * sizeof(*more));

	if (more == NULL)
		return false;
	if (n > 0) {
		memcpy(more, pending->more, n * sizeof(*more));
		sti_free(pending->more);
	}
	pending->more = more;
	pending->more_size = size;
	return true;
}

static bool pending_note(struct sti_pending *pending, const struct sti_pending_entry *note)
{
	if (pending->n >= STI_PENDING_FIRST &&
	    (pending->n == STI_PENDING_FIRST ||
	     pending->n - STI_PENDING_FIRST == pending->more_size) &&
	    !pending_grow(pending))
		return false;
	*pending_at(pending, pending->n++) = *note;
	return true;
}

/* Among the first n notes, is there one that a subscription has not got all yet? */
static bool has_room_before(struct sti_pending *pending, unsigned n,
			    const struct stasis_subscription *sub)
{
	for (unsigned i = 0; i < n; i++) {
		const struct sti_pending_entry *entry = pending_at(pending, i);

		if (entry->kind == STI_PENDING_ROOM && entry->sub == sub)
			return true;
	}
	return false;
}

bool sti_pending_has_room(struct sti_pending *pending, const struct stasis_subscription *sub)
{
	return has_room_before(pending, pending->n, sub);
}

bool sti_pending_room(struct sti_pending *pending, struct stasis_subscription *sub,
		      struct stasis_message *const *messages, size_t n)
{
	if (!pending_note(pending, &(struct sti_pending_entry){ .kind = STI_PENDING_ROOM,
								 .sub = sub,
								 .messages = messages,
								 .n = n }))
		return false;
	stasis_object_ref(sub);
	pending->n_rooms++;
	return true;
}

static void room_force(struct sti_pending_entry *entry)
{
	struct sti_mailbox *mailbox = &entry->sub->mailbox;
	enum sti_push push;
	size_t pushed;

	/* A2: pairs with R2 in executor_begin_close(). */
	if (atomic_load_explicit(&mailbox->flags, memory_order_acquire) &
	    (STI_MAILBOX_REFUSING | STI_MAILBOX_DONE))
		return;
	push = sti_mpsc_push_n(&mailbox->tail, (void *const *)entry->messages, entry->n,
			       STI_MPSC_FORCE, &pushed);
	if (push & STI_PUSH_WAKE)
		sti_executor_schedule(mailbox);
	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&mailbox->limits->forced, pushed, memory_order_relaxed);
	entry->n -= pushed;
	entry->messages = entry->n > 0 ? entry->messages + pushed : NULL;
}

void sti_pending_force(struct sti_pending *pending, struct stasis_subscription *sub)
{
	for (unsigned i = 0; i < pending->n; i++) {
		struct sti_pending_entry *entry = pending_at(pending, i);

		if (entry->kind == STI_PENDING_ROOM && entry->sub == sub && entry->n > 0)
			room_force(entry);
	}
}

void sti_pending_crossed(struct sti_pending *pending, struct stasis_subscription *sub)
{
	if (pending_note(pending,
			 &(struct sti_pending_entry){ .kind = STI_PENDING_CROSSED, .sub = sub })) {
		stasis_object_ref(sub);
		pending->n_crossed++;
	}
}

void sti_pending_drop(struct sti_pending *pending, void *item)
{
	struct sti_pending_entry *last =
		pending->n > 0 ? pending_at(pending, pending->n - 1) : NULL;

	if (last != NULL && last->kind == STI_PENDING_DROP && last->item == item)
		last->n++;
	else if (!pending_note(pending, &(struct sti_pending_entry){ .kind = STI_PENDING_DROP,
								      .item = item,
								      .n = 1 }))
		stasis_object_unref(item);
}

/* --- settling --- */

enum sti_push sti_push_wait(struct stasis_subscription *sub, void *const *items, size_t n,
			    uint64_t deadline_ns, size_t *pushedp)
{
	struct sti_mailbox *mailbox = &sub->mailbox;
	struct sti_limits *limits = mailbox->limits;
	uint64_t now = 0, wait_ns;
	enum sti_push push;
	size_t pushed;

	*pushedp = 0;
	sti_claims_let_go();
	/* S1: before the next try; pairs with sti_limits_taken(). */
	atomic_fetch_add_explicit(&limits->waiters, 1, memory_order_seq_cst);
	for (;;) {
		uint32_t value = sti_eventcount_value(&limits->room);

		sti_rcu_read_lock();
		/* A2: pairs with R2 in executor_begin_close(). */
		if (sti_process_is_child ||
		    (atomic_load_explicit(&mailbox->flags, memory_order_acquire) &
		     (STI_MAILBOX_REFUSING | STI_MAILBOX_DONE))) {
			push = STI_PUSH_ENDED;
		} else if (n == 0) {
			push = sti_mpsc_depth(&mailbox->head) < limits->capacity ? STI_PUSH_OK :
										    STI_PUSH_FULL;
		} else {
			push = sti_mpsc_push_n(&mailbox->tail, items + *pushedp, n - *pushedp,
					       STI_MPSC_FIT, &pushed);
			*pushedp += pushed;
			if (push & STI_PUSH_WAKE)
				sti_executor_schedule(mailbox);
		}
		sti_rcu_read_unlock();
		if (deadline_ns != 0)
			now = sti_clock_monotonic_ns();
		if (!(push & STI_PUSH_FULL) || (deadline_ns != 0 && now >= deadline_ns))
			break;
		wait_ns = deadline_ns != 0 ? deadline_ns - now : 0;
		/* The depth is not loaded with S1: a wake may be missed. */
		if (n == 0 && (wait_ns == 0 || wait_ns > ROOM_TURN_NS))
			wait_ns = ROOM_TURN_NS;
		sti_eventcount_wait(&limits->room, value, wait_ns);
	}
	/* Relaxed: nobody relies on not being seen. */
	atomic_fetch_sub_explicit(&limits->waiters, 1, memory_order_relaxed);
	if (sti_mailbox_is_watched(mailbox) && sti_mailbox_has_crossed(mailbox))
		sti_mailbox_tell_congestion(mailbox);
	return push;
}

/* A subscription has not got all of its messages. How many it has not taken in the end. */
static size_t room_end(struct sti_pending_entry *entry)
{
	struct stasis_subscription *sub = entry->sub;
	/* One that has been unsubscribed wants no more. */
	size_t refused = stasis_subscription_is_subscribed(sub) ? entry->n : 0;

	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&sub->mailbox.dropped, refused, memory_order_relaxed);
	for (size_t i = 0; i < entry->n; i++)
		stasis_object_unref(entry->messages[i]);
	entry->sub = stasis_object_unref(sub);
	return refused;
}

/* Waits for room until a deadline (0: none). True: that is settled; *refusedp goes up. */
static bool room_try(struct sti_pending_entry *entry, uint64_t deadline_ns, size_t *refusedp)
{
	enum sti_push push;
	size_t pushed;

	push = sti_push_wait(entry->sub, (void *const *)entry->messages, entry->n, deadline_ns,
			     &pushed);
	if (pushed > 0)
		entry->messages += pushed;
	entry->n -= pushed;
	if ((entry->n > 0 || entry->messages == NULL) && (push & STI_PUSH_FULL))
		return false;
	*refusedp += room_end(entry);
	return true;
}

/* Waits for room wherever there is none. With more than one, in turns: none shall wait for
 * another's sake. The notes of one subscription are settled in their order. */
static size_t settle_room(struct sti_pending *pending, uint64_t deadline_ns)
{
	unsigned left = pending->n_rooms;
	bool late = false;
	size_t refused = 0;

	while (left > 0 && !late) {
		uint64_t now = sti_clock_monotonic_ns();

		late = deadline_ns != 0 && now >= deadline_ns;
		for (unsigned i = 0; i < pending->n; i++) {
			struct sti_pending_entry *entry = pending_at(pending, i);
			uint64_t turn_ns = left > 1 ? now + ROOM_TURN_NS : deadline_ns;

			if (deadline_ns != 0 && turn_ns > deadline_ns)
				turn_ns = deadline_ns;
			if (entry->kind == STI_PENDING_ROOM && entry->sub != NULL &&
			    !has_room_before(pending, i, entry->sub) &&
			    room_try(entry, turn_ns, &refused))
				left--;
		}
	}
	for (unsigned i = 0; left > 0 && i < pending->n; i++) {
		struct sti_pending_entry *entry = pending_at(pending, i);

		if (entry->kind == STI_PENDING_ROOM && entry->sub != NULL)
			refused += room_end(entry);
	}
	return refused;
}

/* Takes the next of what has been claimed off the list. */
static struct sti_mailbox *pending_next_run(struct sti_pending *pending)
{
	struct sti_mailbox *mailbox = pending->first_run;

	if (mailbox != NULL)
		pending->first_run = mailbox != pending->last_run ? mailbox->run_next : NULL;
	return mailbox;
}

/* Delivers what has been claimed, and what a callback that had to wait has not let go. */
static STI_NOINLINE void settle_runs(struct sti_pending *pending)
{
	struct sti_mailbox *mailbox;
	struct sti_context context;

	sti_context_enter_here(&context, NULL);
	while ((mailbox = pending_next_run(pending)) != NULL)
		sti_executor_run_turn(mailbox, &context);
	sti_context_leave(&context);
}

static void settle(struct sti_pending_entry *entry)
{
	switch (entry->kind) {
	case STI_PENDING_CROSSED:
		sti_mailbox_tell_congestion(&entry->sub->mailbox);
		stasis_object_unref(entry->sub);
		break;
	case STI_PENDING_DROP:
		sti_object_unref_n(entry->item, (uint32_t)entry->n, NULL);
		break;
	case STI_PENDING_ROOM:
		break;
	}
}

/* What a list has claimed, as its thread knows it. */
struct pending_claims {
	struct sti_claims claims; /* first */
	struct sti_pending *pending;
};

static void let_go(struct sti_claims *claims)
{
	sti_pending_let_go(((struct pending_claims *)claims)->pending);
}

void sti_pending_let_go(struct sti_pending *pending)
{
	struct sti_mailbox *mailbox;

	/* Off the list first: what runs here may come by again (exec/claims.h). */
	while ((mailbox = pending_next_run(pending)) != NULL)
		sti_executor_submit(mailbox);
}

size_t sti_pending_settle(struct sti_pending *pending, uint64_t deadline_ns)
{
	struct pending_claims claims = { .pending = pending };
	size_t refused;

	if (sti_pending_is_empty(pending))
		return 0;
	/* The usual case of a publisher that delivers: there is nothing to let go of, neither now
	 * nor meanwhile. */
	if (pending->n == 0 && pending->first_run == pending->last_run && !sti_claims_any()) {
		settle_runs(pending);
		return 0;
	}
	sti_claims_keep(&claims.claims, NULL);
	claims.claims.let_go = let_go;
	/* Callbacks may take long: what else this thread has claimed is not to wait for them. */
	if (pending->first_run != NULL || pending->n_crossed > 0)
		sti_claims_let_go_of(claims.claims.outer);
	if (pending->first_run != NULL)
		settle_runs(pending);
	for (unsigned i = 0; i < pending->n; i++)
		settle(pending_at(pending, i));
	refused = settle_room(pending, deadline_ns);
	sti_claims_take_back(&claims.claims);
	if (pending->n > STI_PENDING_FIRST)
		sti_free(pending->more);
	return refused;
}
