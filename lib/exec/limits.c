/* SPDX-License-Identifier: BSD-2-Clause */
/* exec/limits.c — room and congestion. The protocols and edges are in limits.h. */

#include "exec/limits.h"

#include "base/callout.h"
#include "exec/mailbox.h"
#include "sync/rcu.h"

static uint64_t depth_now(const struct sti_mailbox *mailbox)
{
	uint64_t depth;

	sti_rcu_read_lock();
	depth = sti_mpsc_depth(&mailbox->head);
	sti_rcu_read_unlock();
	return depth;
}

/* Sets WANT. True: the caller has taken BUSY and has to tell. */
static bool congestion_set(struct sti_limits *limits, bool want)
{
	/* Relaxed: the CAS decides. */
	uint32_t old = atomic_load_explicit(&limits->congestion, memory_order_relaxed);
	uint32_t new;

	do {
		new = want ? old | STI_CONGESTION_WANT : old & ~STI_CONGESTION_WANT;
		if (!(new & STI_CONGESTION_BUSY) && want != !!(new & STI_CONGESTION_SHOWN))
			new |= STI_CONGESTION_BUSY;
		if (new == old)
			return false;
		/* S2: before the next look at the depth; pairs with the other side's. */
	} while (!atomic_compare_exchange_weak_explicit(&limits->congestion, &old, new,
							memory_order_seq_cst,
							memory_order_relaxed));
	return !(old & STI_CONGESTION_BUSY) && (new & STI_CONGESTION_BUSY);
}

/* Sets WANT by the depth, and looks again whether the other side has been through meanwhile. True:
 * the caller has taken BUSY and has to tell. */
static bool congestion_follow(struct sti_mailbox *mailbox, bool want)
{
	struct sti_limits *limits = mailbox->limits;
	bool tell = congestion_set(limits, want);

	while (want ? depth_now(mailbox) <= limits->low : depth_now(mailbox) >= limits->high) {
		want = !want;
		tell |= congestion_set(limits, want);
	}
	return tell;
}

/* Calls until the last call and the state agree. BUSY is the caller's. */
static void congestion_tell(struct sti_mailbox *mailbox)
{
	struct sti_limits *limits = mailbox->limits;
	/* Relaxed: the CAS decides. */
	uint32_t old = atomic_load_explicit(&limits->congestion, memory_order_relaxed);
	int cancel = sti_cancel_hold();

	for (;;) {
		bool want = old & STI_CONGESTION_WANT;

		if (want != !!(old & STI_CONGESTION_SHOWN)) {
			STI_CALLOUT inside = true;

			mailbox->ops->congestion(mailbox, want);
			inside = false;
			/* S2: SHOWN is for whoever has BUSY to write, and differs from want. One
			 * call comes before the next, which somebody else may make. */
			old = atomic_fetch_xor_explicit(&limits->congestion, STI_CONGESTION_SHOWN,
							memory_order_seq_cst) ^
			      STI_CONGESTION_SHOWN;
			continue;
		}
		/* S2: gives BUSY back, unless WANT has changed meanwhile. */
		if (atomic_compare_exchange_weak_explicit(&limits->congestion, &old,
							  old & ~STI_CONGESTION_BUSY,
							  memory_order_seq_cst,
							  memory_order_relaxed))
			break;
	}
	sti_cancel_release(cancel);
}

bool sti_mailbox_has_crossed(const struct sti_mailbox *mailbox)
{
	const struct sti_limits *limits = mailbox->limits;

	/* S2: after the push; pairs with the consumer's CAS that clears WANT, who looks at the
	 * depth after that. */
	return !(atomic_load_explicit(&limits->congestion, memory_order_seq_cst) &
		 STI_CONGESTION_WANT) &&
	       depth_now(mailbox) >= limits->high;
}

void sti_mailbox_tell_congestion(struct sti_mailbox *mailbox)
{
	if (congestion_follow(mailbox, true))
		congestion_tell(mailbox);
}

void sti_mailbox_wake_waiters(struct sti_mailbox *mailbox)
{
	if (mailbox->limits != NULL)
		sti_eventcount_signal(&mailbox->limits->room);
}

void sti_limits_taken(struct sti_mailbox *mailbox)
{
	struct sti_limits *limits = mailbox->limits;

	/* S1: after head, which sti_mpsc_take_one() stored; pairs with bus/pending.c. */
	if (sti_unlikely(atomic_load_explicit(&limits->waiters, memory_order_seq_cst) != 0))
		sti_eventcount_signal(&limits->room);
	/* S2: as above; pairs with congestion_set(). */
	if (sti_unlikely(atomic_load_explicit(&limits->congestion, memory_order_seq_cst) &
			 STI_CONGESTION_WANT) &&
	    depth_now(mailbox) <= limits->low && congestion_follow(mailbox, false))
		congestion_tell(mailbox);
}
