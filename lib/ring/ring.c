/* SPDX-License-Identifier: BSD-2-Clause */
/* ring/ring.c — the slow paths of the queue: full, closed, empty. The design is in ring.h. */

#include "ring/ring.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"

static_assert(sizeof(struct sti_ring) == 2 * STI_CACHELINE, "a ring is two lines and its slots");

static void ring_init(struct sti_ring *ring, unsigned order, bool embedded)
{
	/* atomic_init: nobody else knows the ring yet. */
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->head_cache, 0);
	atomic_init(&ring->idle_at, STI_RING_IDLE_NONE);
	atomic_init(&ring->next, NULL);
	atomic_init(&ring->head, 0);
	ring->mask = ((uint64_t)1 << order) - 1;
	ring->order = order;
	ring->take_mask = ring->mask;
	ring->take_order = order;
	ring->base = 0;
	ring->embedded = embedded;
	for (uint64_t i = 0; i <= ring->mask; i++)
		atomic_init(&ring->slots[i], 0);
}

static struct sti_ring *ring_new(unsigned order)
{
	struct sti_ring *ring;

	ring = sti_alloc_aligned(STI_CACHELINE,
				 sizeof(*ring) + (sizeof(ring->slots[0]) << order));
	if (ring != NULL)
		ring_init(ring, order, false);
	return ring;
}

static void ring_free(struct sti_ring *ring)
{
	if (!ring->embedded)
		sti_free(ring);
}

static void ring_free_rcu(struct sti_rcu_head *rcu)
{
	ring_free(sti_container_of(rcu, struct sti_ring, rcu));
}

int sti_mpsc_init(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, unsigned order,
		  void *embedded)
{
	struct sti_ring *ring;

	stasis_assert(order >= STI_RING_ORDER_MIN);
	stasis_assert(order <= STI_RING_ORDER_MAX);
	if (embedded != NULL) {
		stasis_assert(order == STI_RING_ORDER_MIN);
		ring = embedded;
		ring_init(ring, order, true);
	} else {
		ring = ring_new(order);
		if (ring == NULL)
			return -ENOMEM;
	}
	atomic_init(&ring->idle_at, 0);
	atomic_init(&head->ring, ring);
	atomic_init(&head->left, 0);
	head->pos = 0;
	atomic_init(&tail->ring, ring);
	return 0;
}

void sti_mpsc_deinit(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head)
{
	/* Relaxed, here and below: the caller has excluded everybody else. */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);

	while (ring != NULL) {
		struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_relaxed);

		ring_free(ring);
		ring = next;
	}
	atomic_init(&head->ring, NULL);
	atomic_init(&tail->ring, NULL);
}

/* Out of line: rare. Whoever moves idle_at to NONE is responsible for the consumer. */
enum sti_push sti_ring_claim(struct sti_ring *ring, uint64_t idle_at)
{
	/* S4: takes over what the consumer left at S3; one of claim and rest wins. */
	bool won = atomic_compare_exchange_strong_explicit(&ring->idle_at, &idle_at,
							   STI_RING_IDLE_NONE, memory_order_seq_cst,
							   memory_order_relaxed);

	return won ? STI_PUSH_WAKE : STI_PUSH_OK;
}

/* A first ring that is larger than that is followed by smaller ones. */
static unsigned grown_order(unsigned order)
{
	return order + 2 < STI_RING_ORDER_GROW_MAX ? order + 2 : STI_RING_ORDER_GROW_MAX;
}

/* Links a larger ring behind a full one and closes it. 0 or -ENOMEM; the ring is open then. */
static int ring_grow(struct sti_ring *ring)
{
	/* A3: pairs with R3 just below. */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_acquire);

	if (next == NULL) {
		struct sti_ring *fresh = ring_new(grown_order(ring->order));

		if (fresh == NULL)
			return -ENOMEM;
		/* R3: the new ring is initialized; pairs with A3 wherever next is followed. */
		if (!atomic_compare_exchange_strong_explicit(&ring->next, &next, fresh,
							     memory_order_release,
							     memory_order_relaxed))
			ring_free(fresh);
	}
	/* S1: closed only now that next is there, so CLOSED without FINAL implies next. */
	atomic_fetch_or_explicit(&ring->tail, STI_RING_CLOSED, memory_order_seq_cst);
	return 0;
}

/* The ring after a closed one. Moves the queue's ring pointer along, if it is still here. */
static struct sti_ring *ring_follow(struct sti_mpsc_tail *tail, struct sti_ring *ring)
{
	/* A3: pairs with R3 in ring_grow(). */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_acquire);

	stasis_assert(next != NULL);
	/* R4: hands on what A3 saw; pairs with A4 in sti_mpsc_push(). A failure means that somebody
	 * else has moved it: further on, or here; it never moves back, since rings come back to
	 * memory only after every read section that could compare with them. */
	atomic_compare_exchange_strong_explicit(&tail->ring, &(struct sti_ring *){ ring }, next,
						memory_order_release, memory_order_relaxed);
	return next;
}

/* Room at pos, refreshing the producers' copy of head when that shows none. */
static uint64_t ring_room(struct sti_ring *ring, uint64_t pos)
{
	/* A5: see sti_mpsc_push(). */
	uint64_t head = atomic_load_explicit(&ring->head_cache, memory_order_acquire);

	if (pos - head > ring->mask) {
		/* A2: the slots below are read; pairs with R2 in sti_mpsc_take(). */
		head = atomic_load_explicit(&ring->head, memory_order_acquire);
		/* R5: passes A2 on to other producers. A late store may set the copy back: it is
		 * then older, never wrong. */
		atomic_store_explicit(&ring->head_cache, head, memory_order_release);
	}
	/* A word read long ago may be behind head: its CAS will fail. Unsigned, it looks full or
	 * roomy; both only lead to another look. */
	return pos - head > ring->mask ? 0 : ring->mask + 1 - (pos - head);
}

enum sti_push sti_mpsc_push_n(struct sti_mpsc_tail *tail, void *const *items, size_t n,
			      size_t *pushedp)
{
	enum sti_push result = STI_PUSH_OK;
	/* A4: see sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);
	size_t done = 0;

	while (done < n) {
		/* S1: at least as new as what closed or filled the ring. */
		uint64_t word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
		uint64_t pos = sti_ring_pos(word);
		uint64_t room, take;

		if (word & STI_RING_FINAL) {
			result |= STI_PUSH_ENDED;
			break;
		}
		if (word & STI_RING_CLOSED) {
			/* Those who filled this ring may have stopped before they claimed. */
			result |= sti_ring_wake(ring, pos);
			ring = ring_follow(tail, ring);
			continue;
		}
		room = ring_room(ring, pos);
		if (room == 0) {
			/* Relaxed: is the emptiness of room explained by an old word? */
			if (atomic_load_explicit(&ring->tail, memory_order_relaxed) == word &&
			    ring_grow(ring) < 0) {
				result |= STI_PUSH_NOMEM | sti_ring_wake(ring, pos);
				break;
			}
			continue;
		}
		take = n - done < room ? n - done : room;
		/* S1: pairs with S3 in sti_mpsc_rest(). */
		if (!atomic_compare_exchange_weak_explicit(
			    &ring->tail, &word, word + take * STI_RING_ONE, memory_order_seq_cst,
			    memory_order_relaxed)) {
			sti_backoff();
			continue;
		}
		for (uint64_t i = 0; i < take; i++)
			sti_ring_fill(ring, pos + i, items[done + i]);
		done += take;
		result |= sti_ring_wake(ring, pos + take - 1);
	}
	*pushedp = done;
	return result;
}

enum sti_push sti_mpsc_close(struct sti_mpsc_tail *tail)
{
	enum sti_push result = STI_PUSH_OK;
	/* A4: see sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);

	for (;;) {
		/* S1: at least as new as what closed the ring. */
		uint64_t word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);

		if (word & STI_RING_FINAL)
			return result | STI_PUSH_ENDED;
		if (word & STI_RING_CLOSED) {
			result |= sti_ring_wake(ring, sti_ring_pos(word));
			ring = ring_follow(tail, ring);
			continue;
		}
		/* S1: nothing is reserved after this; pairs with S3 in sti_mpsc_rest(). Not a
		 * fetch-or: FINAL must never get onto a ring that is already closed, for pushes
		 * have gone on to the next. */
		if (atomic_compare_exchange_weak_explicit(&ring->tail, &word, word | STI_RING_ENDED,
							  memory_order_seq_cst,
							  memory_order_relaxed))
			return result | sti_ring_wake(ring, sti_ring_pos(word));
	}
}

/* Leaves an emptied, closed ring for the next. */
static void head_advance(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
			 struct sti_ring *ring)
{
	struct sti_ring *next = ring_follow(tail, ring);
	/* Relaxed: only the consumer writes it; a figure. */
	uint64_t left = atomic_load_explicit(&head->left, memory_order_relaxed);

	atomic_store_explicit(&head->left, left + 1, memory_order_relaxed);
	next->base = ring->base + head->pos;
	head->pos = 0;
	/* R6: the new ring's base before its address; pairs with A6 in sti_mpsc_pushed(). */
	atomic_store_explicit(&head->ring, next, memory_order_release);
	/* Freed after a grace period: producers that loaded the ring's address may still read its
	 * tail and next. None of them can store to it: it is closed, and its slots are filled. */
	if (!ring->embedded)
		sti_rcu_call(&ring->rcu, ring_free_rcu);
}

enum sti_rest sti_mpsc_rest(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head)
{
	/* Relaxed: see sti_mpsc_take(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uint64_t pos = head->pos;
	uint64_t expected = pos;
	uint64_t word;

	/* S3: let go, and only then look whether a push came before it was visible; pairs with S1
	 * and S2. From here to S4, head may belong to somebody else. */
	atomic_store_explicit(&ring->idle_at, pos, memory_order_seq_cst);
	/* S3: the second half. */
	word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
	if (word == pos << STI_RING_POS_SHIFT)
		return STI_REST_GONE;
	/* S4: one of claim and rest wins. */
	if (!atomic_compare_exchange_strong_explicit(&ring->idle_at, &expected, STI_RING_IDLE_NONE,
						     memory_order_seq_cst, memory_order_relaxed))
		return STI_REST_GONE;
	if (sti_ring_pos(word) != pos) {
		/* A1: only a hint here; the item is taken by sti_mpsc_take(). */
		uintptr_t slot = atomic_load_explicit(&ring->slots[pos & ring->take_mask],
						      memory_order_acquire);

		return ((slot ^ sti_ring_parity(ring->take_order, pos)) & 1) == 0 ? STI_REST_MORE :
									STI_REST_HOLE;
	}
	if (word & STI_RING_FINAL)
		return STI_REST_FINAL;
	head_advance(tail, head, ring);
	return STI_REST_MORE;
}

uint64_t sti_mpsc_pushed(const struct sti_mpsc_head *head)
{
	/* A6: the ring and its base; pairs with R6 in head_advance(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_acquire);
	uint64_t pushed = ring->base;

	while (ring != NULL) {
		/* A7: a push that happens before this call is counted; it reserved at S1. */
		pushed += sti_ring_pos(atomic_load_explicit(&ring->tail, memory_order_acquire));
		/* A3: pairs with R3 in ring_grow(). */
		ring = atomic_load_explicit(&ring->next, memory_order_acquire);
	}
	return pushed;
}

bool sti_mpsc_is_closed(const struct sti_mpsc_tail *tail)
{
	/* A4: see sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);

	while (ring != NULL) {
		/* A7: as in sti_mpsc_pushed(). */
		if (atomic_load_explicit(&ring->tail, memory_order_acquire) & STI_RING_FINAL)
			return true;
		/* A3: pairs with R3 in ring_grow(). */
		ring = atomic_load_explicit(&ring->next, memory_order_acquire);
	}
	return false;
}
