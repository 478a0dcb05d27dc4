/* SPDX-License-Identifier: BSD-2-Clause */
/* ring/count.c — what is in the queue, and what has been: figures for anybody, from the words that
 * protocol.h explains */

#include "ring/ring.h"

uint64_t sti_mpsc_pushed(const struct sti_mpsc_head *head)
{
	/* A6: the ring and its base; pairs with R6 in head_advance(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_acquire);
	uint64_t pushed = sti_ring_base(ring);

	while (ring != NULL) {
		/* A7: a push that happens before this call is counted; it reserved at S1. */
		pushed += sti_ring_pos(atomic_load_explicit(&ring->tail, memory_order_acquire));
		/* A3: pairs with R3 in sti_ring_link(). */
		ring = atomic_load_explicit(&ring->next, memory_order_acquire);
	}
	return pushed;
}

bool sti_mpsc_mark(const struct sti_mpsc_head *head, uint64_t *pushedp)
{
	/* A6: see sti_mpsc_pushed(). */
	const struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_acquire);

	/* A10: pairs with R8 in sti_ring_carry(). A push behind the item has found the word
	 * CARRYING or later, so this finds that, too. */
	if (atomic_load_explicit(&ring->idle_at, memory_order_acquire) == STI_RING_IDLE_CARRYING)
		return false;
	*pushedp = sti_mpsc_pushed(head);
	return true;
}

uint64_t sti_mpsc_taken(const struct sti_mpsc_head *head)
{
	/* A6: see sti_mpsc_pushed(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_acquire);
	/* A8, S7: after what the caller has told the consumer. */
	uint64_t pos = atomic_load_explicit(&ring->head, memory_order_seq_cst) & ~STI_RING_SHUT;

	return sti_ring_base(ring) + pos - ring->skipping;
}

uint64_t sti_mpsc_taken_over(const struct sti_mpsc_head *head)
{
	/* A6: see sti_mpsc_pushed(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_acquire);

	return ring->skipped + ring->skipping;
}

uint64_t sti_mpsc_skipped(const struct sti_mpsc_head *head)
{
	/* A6: see sti_mpsc_pushed(). */
	return atomic_load_explicit(&head->ring, memory_order_acquire)->skipped;
}

/* Items in a ring. */
static uint64_t ring_depth(const struct sti_ring *ring)
{
	/* A7, S1: as in sti_mpsc_pushed(), and after what the caller has told publishers; before
	 * A8. */
	uint64_t word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
	/* A8, S7: after tail, so that there were at least as many in the ring just now; and after
	 * what the caller has told the consumer. */
	uint64_t pos = atomic_load_explicit(&ring->head, memory_order_seq_cst) & ~STI_RING_SHUT;

	return sti_ring_pos(word) > pos ? sti_ring_pos(word) - pos : 0;
}

uint64_t sti_mpsc_depth(const struct sti_mpsc_head *head)
{
	/* A6: see sti_mpsc_pushed(). */
	struct sti_ring *first = atomic_load_explicit(&head->ring, memory_order_acquire);

	for (;;) {
		struct sti_ring *ring = first;
		uint64_t depth = 0;

		/* A3: pairs with R3 in sti_ring_link(). */
		while ((ring = atomic_load_explicit(&ring->next, memory_order_acquire)) != NULL)
			depth += ring_depth(ring);
		/* Last: what is taken there makes room behind. */
		depth += ring_depth(first);
		/* A6: who takes a hole over gives its room away only after he has gone on. */
		ring = atomic_load_explicit(&head->ring, memory_order_acquire);
		if (sti_likely(ring == first))
			return depth;
		first = ring;
	}
}

bool sti_mpsc_is_closed(const struct sti_mpsc_tail *tail)
{
	/* A4: see sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);

	while (ring != NULL) {
		/* A7: as in sti_mpsc_pushed(). */
		if (atomic_load_explicit(&ring->tail, memory_order_acquire) & STI_RING_FINAL)
			return true;
		/* A3: pairs with R3 in sti_ring_link(). */
		ring = atomic_load_explicit(&ring->next, memory_order_acquire);
	}
	return false;
}
