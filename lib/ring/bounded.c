/* SPDX-License-Identifier: BSD-2-Clause */
/* ring/bounded.c — taking from a bounded queue, one by one: the consumer, and producers that evict.
 * The design is in protocol.h. */

#include "base/assert.h"
#include "ring/ring.h"

/* Takes the item at pos for the one whose CAS moves head on. */
static bool ring_remove(struct sti_ring *ring, uint64_t pos)
{
	/* S5: the slot has been read; pairs with A2 and S7 in ring_room(). */
	return atomic_compare_exchange_strong_explicit(&ring->head, &pos, pos + 1,
						       memory_order_seq_cst, memory_order_relaxed);
}

static void *item_of(uintptr_t word)
{
	return (void *)(word & ~(uintptr_t)1);
}

/* A queue that evicts: one of several who take. */
static bool take_shared(struct sti_ring *ring, void **itemp)
{
	for (;;) {
		/* A8: pairs with S5, here and in sti_mpsc_evict(). */
		uint64_t pos = atomic_load_explicit(&ring->head, memory_order_acquire);
		/* A1: the item's contents; pairs with R1 in sti_ring_fill(). */
		uintptr_t word = atomic_load_explicit(&ring->slots[pos & ring->take_mask],
						      memory_order_acquire);

		if (!sti_ring_is_filled(ring->take_order, pos, word))
			return false;
		if (sti_likely(ring_remove(ring, pos))) {
			*itemp = item_of(word);
			return true;
		}
	}
}

/* Nothing is pushed into a remainder: room in it is for the ring behind. */
static void remainder_lend(struct sti_ring *ring, uint64_t pos)
{
	/* Relaxed, both: written by the consumer, before he came here. */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_relaxed);
	uint64_t end = sti_ring_pos(atomic_load_explicit(&ring->tail, memory_order_relaxed));

	sti_ring_lend(next, end - pos);
}

bool sti_mpsc_take_one(struct sti_mpsc_head *head, void **itemp)
{
	/* Relaxed: see sti_mpsc_take(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uint64_t pos = head->pos;
	uintptr_t word;

	if (ring->evicts)
		return take_shared(ring, itemp);
	/* A1: the item's contents; pairs with R1 in sti_ring_fill(). */
	word = atomic_load_explicit(&ring->slots[pos & ring->take_mask], memory_order_acquire);
	if (!sti_ring_is_filled(ring->take_order, pos, word))
		return false;
	*itemp = item_of(word);
	head->pos = pos + 1;
	/* S5: the slot is read before it may be reused, and the room is there before the consumer
	 * looks who waits for it; pairs with A2 and S7 in ring_room(). */
	atomic_store_explicit(&ring->head, pos + 1, memory_order_seq_cst);
	if (sti_unlikely(ring->lends))
		remainder_lend(ring, pos + 1);
	return true;
}

enum sti_evict sti_mpsc_evict(struct sti_mpsc_tail *tail, void **itemp)
{
	/* A4: see sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);

	for (;;) {
		/* A8: before tail, so that the distance is never negative, and so that the ring is
		 * seen to be closed if it is shut. */
		uint64_t pos = atomic_load_explicit(&ring->head, memory_order_acquire);
		/* S1: at least as new as what filled the queue. */
		uint64_t end = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
		uintptr_t word;

		if (end & STI_RING_FINAL)
			return STI_EVICT_ENDED;
		if (end & STI_RING_CLOSED) {
			ring = sti_ring_follow(tail, ring);
			continue;
		}
		stasis_assert_slow(ring->evicts);
		/* S7: pairs with S6 in sti_ring_lend(). */
		if (sti_ring_pos(end) - pos <
		    atomic_load_explicit(&ring->limit, memory_order_seq_cst))
			return STI_EVICT_ROOM;
		/* A1: the item's contents; pairs with R1 in sti_ring_fill(). */
		word = atomic_load_explicit(&ring->slots[pos & ring->mask], memory_order_acquire);
		if (sti_ring_is_filled(ring->order, pos, word)) {
			if (ring_remove(ring, pos)) {
				*itemp = item_of(word);
				return STI_EVICT_TAKEN;
			}
			/* A8: an unfilled slot, or one of a later lap? */
		} else if (atomic_load_explicit(&ring->head, memory_order_acquire) == pos) {
			return STI_EVICT_HOLE;
		}
	}
}
