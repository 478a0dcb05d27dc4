/* SPDX-License-Identifier: BSD-2-Clause */
/* ring/takeover.c — a hole that lasts: the consumer takes it over and goes on. See
 * protocol.h. */

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "ring/ring.h"
#include "sync/membarrier.h"

static _Atomic uint64_t patience_ns = STI_RING_PATIENCE_NS;

void sti_ring_set_patience(uint64_t ns)
{
	/* Relaxed, here and below: no more than a figure. */
	atomic_store_explicit(&patience_ns, ns, memory_order_relaxed);
}

/* --- the producer --- */

uint64_t sti_ring_settle(struct sti_ring *ring, uint64_t pos, uint64_t n)
{
	/* A9: pairs with R7 in positions_decide(). */
	struct sti_takeover *takeover = atomic_load_explicit(&ring->takeover, memory_order_acquire);

	/* In the order in which they were filled. */
	for (uint64_t i = 0; i < n; i++) {
		uint8_t verdict = STI_VERDICT_UNDECIDED;

		/* Behind the consumer when he began: it has been taken. */
		if (pos + i < takeover->first)
			continue;
		stasis_assert(pos + i - takeover->first < takeover->n);
		/* S8: one of the two decides; the slot is filled before it. */
		if (!atomic_compare_exchange_strong_explicit(
			    &takeover->verdicts[pos + i - takeover->first], &verdict,
			    STI_VERDICT_FILLED, memory_order_seq_cst, memory_order_seq_cst) &&
		    verdict == STI_VERDICT_TAKEN)
			return i;
	}
	return n;
}

/* --- the consumer --- */

/* A ring as large as this one, within reason: it is needed now. Behind the last one, which has
 * ended, it only keeps the place: a producer who found the ring full before would link one of his
 * own there, at any time, and it would be lost with the ring. */
static struct sti_ring *ring_new_beside(const struct sti_ring *ring, bool ended)
{
	struct sti_ring_shape shape = {
		.order = ended ? STI_RING_ORDER_MIN : ring->order,
		.capacity = ring->capacity,
		.evicts = ring->evicts,
	};

	if (shape.capacity == 0 && shape.order > STI_RING_ORDER_BEHIND_MAX)
		shape.order = STI_RING_ORDER_BEHIND_MAX;
	return sti_ring_new(&shape, shape.capacity != 0 ? 0 : (uint64_t)1 << shape.order);
}

/* Links a ring behind this one and closes it. Returns its last word, or 0: no memory, and nothing
 * has happened. */
static uint64_t ring_close(struct sti_ring *ring, uint64_t pos)
{
	/* S1: as in sti_mpsc_close(). */
	uint64_t word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
	/* A3: pairs with R3 in sti_ring_link(). */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_acquire);

	if (next == NULL) {
		next = ring_new_beside(ring, word & STI_RING_FINAL);
		if (next == NULL)
			return 0;
		next = sti_ring_link(ring, next);
	}
	for (;;) {
		/* Those who find it closed find room behind it. Also if somebody else has closed it
		 * meanwhile, with more in it. */
		if (ring->capacity != 0 && !(word & STI_RING_FINAL))
			sti_ring_lend(next, sti_ring_pos(word) - pos);
		if (word & STI_RING_CLOSED)
			return word;
		/* S1: nothing is reserved after this. */
		if (atomic_compare_exchange_weak_explicit(&ring->tail, &word,
							  word | STI_RING_CLOSED,
							  memory_order_seq_cst,
							  memory_order_seq_cst))
			return word | STI_RING_CLOSED;
	}
}

/* What is left in a ring, for the consumer alone. */
struct remainder {
	struct sti_ring *ring;
	struct sti_takeover *takeover;
	uint64_t n;	/* positions */
	uint64_t taken; /* of them */
};

/* False: no memory. */
static bool remainder_new(struct remainder *remainder, const struct sti_ring *ring)
{
	struct sti_ring_shape shape = {
		.order = STI_RING_ORDER_MIN,
		.capacity = ring->capacity,
	};
	struct sti_takeover *takeover;

	while ((uint64_t)1 << shape.order < remainder->n)
		shape.order++;
	takeover = sti_alloc(sizeof(*takeover) + remainder->n);
	remainder->ring = takeover != NULL ? sti_ring_new(&shape, 0) : NULL;
	if (remainder->ring == NULL) {
		sti_free(takeover);
		return false;
	}
	takeover->n = remainder->n;
	for (uint64_t i = 0; i < remainder->n; i++)
		atomic_init(&takeover->verdicts[i], STI_VERDICT_UNDECIDED);
	remainder->takeover = takeover;
	return true;
}

/* Whoever evicts takes nothing from here any more. Returns where the consumer is. */
static uint64_t ring_shut(struct sti_ring *ring, uint64_t pos)
{
	if (!ring->evicts)
		return pos;
	/* S5: after this a CAS on head fails. */
	return atomic_fetch_or_explicit(&ring->head, STI_RING_SHUT, memory_order_seq_cst);
}

/* Is the item at pos the consumer's? Else its producer will push it again. */
static bool position_decide(struct sti_ring *ring, uint64_t pos, _Atomic uint8_t *verdict,
			    uintptr_t *wordp)
{
	_Atomic uintptr_t *slot = &ring->slots[pos & ring->take_mask];
	uint8_t undecided = STI_VERDICT_UNDECIDED;

	/* A1: the item's contents; pairs with R1 in sti_ring_fill(). */
	*wordp = atomic_load_explicit(slot, memory_order_acquire);
	if (sti_ring_is_filled(ring->take_order, pos, *wordp))
		return true;
	/* S8: one of the two decides; pairs with sti_ring_settle(). */
	if (atomic_compare_exchange_strong_explicit(verdict, &undecided, STI_VERDICT_TAKEN,
						    memory_order_seq_cst, memory_order_seq_cst))
		return false;
	/* A1: filled before it was decided. */
	*wordp = atomic_load_explicit(slot, memory_order_acquire);
	return true;
}

/* Takes over what is not filled, and copies the rest. */
static void positions_decide(struct remainder *remainder, struct sti_ring *ring)
{
	struct sti_takeover *takeover = remainder->takeover;
	uint64_t to = remainder->n;

	/* R7: the verdicts before they are looked for; pairs with A9. */
	atomic_store_explicit(&ring->takeover, takeover, memory_order_release);
	/* S3: whoever fills a slot and does not see this ... */
	atomic_store_explicit(&ring->idle_at, STI_RING_IDLE_TAKEN, memory_order_seq_cst);
	/* F2: ... has filled it before the looks that follow; pairs with F1. */
	sti_membarrier();
	/* From the last to the first, see protocol.h. */
	for (uint64_t i = remainder->n; i-- > 0;) {
		uintptr_t word;

		if (!position_decide(ring, takeover->first + i, &takeover->verdicts[i], &word)) {
			remainder->taken++;
			continue;
		}
		/* atomic_init: nobody else knows that ring yet. It is in its first lap. */
		to--;
		atomic_init(&remainder->ring->slots[to], word | sti_ring_parity(0, 0));
	}
	/* Before the first, too: what looks empty in this lap looks filled in the next. */
	while (to-- > 0)
		atomic_init(&remainder->ring->slots[to], sti_ring_parity(0, 0));
}

/* Goes on with the remainder. */
static void remainder_enter(struct remainder *remainder, struct sti_mpsc_tail *tail,
			    struct sti_mpsc_head *head, struct sti_ring *ring, uint64_t word)
{
	struct sti_ring *left = remainder->ring;
	/* A3: pairs with R3 in sti_ring_link(). */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_acquire);

	/* atomic_init, here and below: as above. */
	atomic_init(&left->tail, remainder->n << STI_RING_POS_SHIFT | (word & STI_RING_ENDED));
	atomic_init(&left->head, remainder->taken);
	atomic_init(&left->next, next);
	sti_ring_set_base(left, sti_ring_base(ring) + remainder->takeover->first);
	left->skipped = ring->skipped;
	left->skipping = (uint32_t)remainder->taken;
	left->lends = ring->capacity != 0 && !(word & STI_RING_FINAL);
	if (word & STI_RING_FINAL) {
		/* R4: the last ring is this one now; pairs with A4 in sti_mpsc_push(). */
		atomic_compare_exchange_strong_explicit(&tail->ring, &(struct sti_ring *){ ring },
							left, memory_order_release,
							memory_order_relaxed);
	} else {
		sti_ring_follow(tail, ring);
	}
	head->pos = remainder->taken;
	/* R6: its base before its address; pairs with A6 in sti_mpsc_pushed(). */
	atomic_store_explicit(&head->ring, left, memory_order_release);
	/* Only now: see sti_mpsc_depth(). */
	if (left->lends)
		sti_ring_lend(next, remainder->n - remainder->taken);
}

static void takeover_free_rcu(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct sti_takeover, rcu));
}

/* False: no memory; the ring may be closed. */
static bool ring_take_over(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
			   struct sti_ring *ring, uint64_t pos)
{
	uint64_t word = ring_close(ring, pos);
	struct remainder remainder = { .n = sti_ring_pos(word) - pos };

	if (word == 0 || !remainder_new(&remainder, ring))
		return false;
	remainder.takeover->first = ring_shut(ring, pos);
	remainder.takeover->n = sti_ring_pos(word) - remainder.takeover->first;
	remainder.n = remainder.takeover->n;
	positions_decide(&remainder, ring);
	remainder_enter(&remainder, tail, head, ring, word);
	/* Freed after a grace period: a late producer is in a read section that began before he
	 * reserved, and may still store to his slot, and look for his verdict. */
	sti_rcu_call(&remainder.takeover->rcu, takeover_free_rcu);
	sti_ring_retire(ring);
	return true;
}

bool sti_ring_wait_at_hole(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
			   struct sti_ring *ring, uint64_t pos)
{
	uint64_t ns = atomic_load_explicit(&patience_ns, memory_order_relaxed);
	uint64_t now;

	if (ns == UINT64_MAX)
		return false;
	now = sti_ticks();
	if (ring->hole_tick == 0 || ring->hole != pos) {
		ring->hole = pos;
		ring->hole_tick = now;
	}
	if (ring->capacity != 0)
		ns *= 1 + (ring->take_mask >> STI_RING_PATIENCE_ORDER);
	if (now - ring->hole_tick < sti_ticks_from_ns(ns))
		return false;
	if (sti_membarrier_is_usable() && ring_take_over(tail, head, ring, pos))
		return true;
	/* Once more, but not at once. */
	ring->hole_tick = now;
	return false;
}
