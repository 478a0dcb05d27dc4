/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_RING_RUN_H
#define STI_RING_RUN_H

/* ring/run.h — items in a row, taken as one
 *
 * What is pushed at once to one queue after another need not be read from each queue. The items
 * stand in an array of places, made once. The queue's item is the address of a place, with
 * STI_RUN_PLACE set, and a place says how many follow. Slots are filled as ever, one for each: so
 * positions count items, a run may be split where a ring is full or a hole is taken over, and the
 * consumer may stop anywhere in it. But he looks at two slots only: the one that he is at, and that
 * of the last place he wants. If it holds that place, he takes all from the array.
 *
 * Why two are enough. Places of a run are in a queue in their order, each at most once: its
 * producer reserves and fills them in that order, and pushes again only what has been taken over,
 * from the first such on ("Take-over" in ring/protocol.h). So between a place and the k-th after
 * it, both filled, are the k - 1 others. If their positions are k apart, there is room for nothing
 * else. That a slot is filled in this lap its parity tells: every slot is filled once a lap, also
 * one that the consumer does not read. A slot of an earlier lap cannot look like it.
 *
 * Threads: take is for the consumer.
 *
 * Edges
 *   A1  load-acquire slot, the first and the last  <- R1 in ring/protocol.h: the places' contents,
 *         and that the slots between are filled, before they may be reused
 *   R2  store-release ring->head  take -> A2 in ring/protocol.h
 */

#include <assert.h>
#include <stdalign.h>

#include "ring/ring.h"

/* In an item: it is a place. Other items of the queue have the bit clear: they are aligned to twice
 * that. */
#define STI_RUN_PLACE ((uintptr_t)8)

struct sti_place {
	alignas(2 * STI_RUN_PLACE) void *item;
	uint32_t index; /* how many are before it in its run */
	uint32_t left;	/* so many from here on, itself included */
};

static_assert(sizeof(struct sti_place) % (2 * STI_RUN_PLACE) == 0, "the bit is free in each");

/* Does the queue have a capacity? Inside an RCU read section. */
static inline bool sti_mpsc_is_bounded(const struct sti_mpsc_tail *tail)
{
	/* A4: the ring is initialized; pairs with R4 in sti_ring_follow(). */
	return atomic_load_explicit(&tail->ring, memory_order_acquire)->capacity != 0;
}

static inline void *sti_place_item(const struct sti_place *place)
{
	return (void *)((uintptr_t)place | STI_RUN_PLACE);
}

/* As sti_mpsc_take(), but, if there are places in the queue, stops before one: then *placep is
 * true. */
static inline size_t sti_mpsc_take_items(struct sti_mpsc_head *head, void **items, size_t max,
					 bool places, bool *placep)
{
	return sti_mpsc_take_until(head, items, max, places ? STI_RUN_PLACE : 0, placep);
}

/* Where the next item is a place: takes it and up to max - 1 that follow, at once. How many. */
static inline size_t sti_mpsc_take_run(struct sti_mpsc_head *head, size_t max,
				       const struct sti_place **firstp)
{
	/* Relaxed: as in sti_mpsc_take(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uint64_t mask = ring->take_mask;
	uint32_t order = ring->take_order;
	uint64_t pos = head->pos;
	/* A1: the places; pairs with R1 in sti_ring_fill(). */
	uintptr_t word = atomic_load_explicit(&ring->slots[pos & mask], memory_order_acquire);
	const struct sti_place *first = (const struct sti_place *)(word & ~(STI_RUN_PLACE | 1));
	size_t n = first->left < max ? first->left : max;

	if (n > mask + 1)
		n = mask + 1;
	for (; n > 1; n /= 2) {
		uint64_t last = pos + n - 1;

		/* A1: if this one is filled, those before it are, and nobody fills them late, over
		 * what comes a lap later; pairs with R1. */
		word = atomic_load_explicit(&ring->slots[last & mask], memory_order_acquire);
		if (word == ((uintptr_t)sti_place_item(first + n - 1) |
			     sti_ring_parity(order, last)))
			break;
	}
	head->pos = pos + n;
	/* R2: as in sti_mpsc_take_until(). */
	atomic_store_explicit(&ring->head, pos + n, memory_order_release);
	*firstp = first;
	return n;
}

#endif
