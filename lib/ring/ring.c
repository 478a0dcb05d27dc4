/* SPDX-License-Identifier: BSD-2-Clause */
/* ring/ring.c — the slow paths of the queue: full, closed, empty. The design is in protocol.h. The
 * one at a hole is in takeover.c, that of producers who meet in turn.c. */

#include "ring/ring.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/census.h"

static_assert(sizeof(struct sti_ring) == 2 * STI_CACHELINE, "a ring is two lines and its slots");

static void ring_init(struct sti_ring *ring, const struct sti_ring_shape *shape, uint64_t limit)
{
	unsigned order = shape->order;

	/* atomic_init: nobody else knows the ring yet. */
	atomic_init(&ring->tail, 0);
	atomic_init(&ring->head_cache, 0);
	atomic_init(&ring->idle_at, STI_RING_IDLE_NONE);
	atomic_init(&ring->next, NULL);
	atomic_init(&ring->takeover, NULL);
	atomic_init(&ring->head, 0);
	ring->mask = ((uint64_t)1 << order) - 1;
	ring->order = (uint16_t)order;
	atomic_init(&ring->turn, 0);
	ring->take_mask = ring->mask;
	ring->take_order = (uint8_t)order;
	ring->capacity = shape->capacity;
	atomic_init(&ring->limit, limit);
	ring->evicts = shape->evicts;
	ring->lends = false;
	atomic_init(&ring->base, 0);
	ring->skipped = 0;
	ring->skipping = 0;
	ring->hole_tick = 0;
	ring->embedded = false;
	for (uint64_t i = 0; i <= ring->mask; i++)
		atomic_init(&ring->slots[i], 0);
}

struct sti_ring *sti_ring_new(const struct sti_ring_shape *shape, uint64_t limit)
{
	struct sti_ring *ring;

	ring = sti_alloc_aligned(STI_CACHELINE,
				 sizeof(*ring) + (sizeof(ring->slots[0]) << shape->order));
	if (ring != NULL) {
		ring_init(ring, shape, limit);
		sti_census_add(STI_CENSUS_RING, 1);
	}
	return ring;
}

void sti_ring_free(struct sti_ring *ring)
{
	if (ring->embedded)
		return;
	sti_census_add(STI_CENSUS_RING, -1);
	sti_free(ring);
}

static void ring_free_rcu(struct sti_rcu_head *rcu)
{
	sti_ring_free(sti_container_of(rcu, struct sti_ring, rcu));
}

void sti_ring_retire(struct sti_ring *ring)
{
	if (!ring->embedded)
		sti_rcu_call(&ring->rcu, ring_free_rcu);
}

static int queue_init(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
		      const struct sti_ring_shape *shape, void *embedded)
{
	uint64_t limit = shape->capacity != 0 ? shape->capacity : (uint64_t)1 << shape->order;
	struct sti_ring *ring;

	if (embedded != NULL) {
		ring = embedded;
		ring_init(ring, shape, limit);
		ring->embedded = true;
	} else {
		ring = sti_ring_new(shape, limit);
		if (ring == NULL)
			return -ENOMEM;
	}
	/* At rest at 0. */
	atomic_init(&ring->idle_at, 1);
	atomic_init(&head->ring, ring);
	atomic_init(&head->left, 0);
	head->pos = 0;
	atomic_init(&tail->ring, ring);
	return 0;
}

int sti_mpsc_init(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, unsigned order,
		  void *embedded)
{
	struct sti_ring_shape shape = { .order = order };

	stasis_assert(order >= STI_RING_ORDER_MIN);
	stasis_assert(order <= STI_RING_ORDER_MAX);
	stasis_assert(embedded == NULL || order == STI_RING_ORDER_MIN);
	return queue_init(tail, head, &shape, embedded);
}

int sti_mpsc_init_bounded(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, uint64_t capacity,
			  bool evicts, void *embedded)
{
	struct sti_ring_shape shape = {
		.order = STI_RING_ORDER_MIN,
		.capacity = (uint32_t)capacity,
		.evicts = evicts,
	};

	stasis_assert(capacity > 0);
	stasis_assert(capacity <= (uint64_t)1 << STI_RING_ORDER_MAX);
	stasis_assert((capacity & (capacity - 1)) == 0);
	while ((uint64_t)1 << shape.order < capacity)
		shape.order++;
	return queue_init(tail, head, &shape, shape.order == STI_RING_ORDER_MIN ? embedded : NULL);
}

void sti_mpsc_start_claimed(struct sti_mpsc_tail *tail)
{
	/* Relaxed, both: nobody else knows the queue yet. */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_relaxed);

	atomic_store_explicit(&ring->idle_at, STI_RING_IDLE_NONE, memory_order_relaxed);
}

void sti_mpsc_start_at(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, uint64_t pos)
{
	/* Relaxed, all: nobody else knows the queue yet. */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_relaxed);

	/* A lap whose parity is that of the first: zeroed slots are empty. */
	pos &= ~(2 * ring->mask + 1);
	atomic_store_explicit(&ring->tail, pos << STI_RING_POS_SHIFT, memory_order_relaxed);
	atomic_store_explicit(&ring->head_cache, pos, memory_order_relaxed);
	atomic_store_explicit(&ring->head, pos, memory_order_relaxed);
	if (atomic_load_explicit(&ring->idle_at, memory_order_relaxed) != STI_RING_IDLE_NONE)
		atomic_store_explicit(&ring->idle_at, pos + 1, memory_order_relaxed);
	head->pos = pos;
	/* Modulo 2^64: what was pushed is what tail has moved. */
	sti_ring_set_base(ring, 0 - pos);
}

void sti_mpsc_deinit(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head)
{
	/* Relaxed, here and below: the caller has excluded everybody else. */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);

	while (ring != NULL) {
		struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_relaxed);

		sti_ring_free(ring);
		ring = next;
	}
	atomic_init(&head->ring, NULL);
	atomic_init(&tail->ring, NULL);
}

/* Out of line: rare. Whoever moves idle_at to NONE is responsible for the consumer. */
enum sti_push sti_ring_claim(struct sti_ring *ring, uint64_t idle_at)
{
	bool won;

	/* The consumer is at work, and never comes back to rest here. */
	if (idle_at == STI_RING_IDLE_TAKEN)
		return STI_PUSH_OK;
	/* S4: takes over what the consumer left at S3; one of claim and rest wins. */
	won = atomic_compare_exchange_strong_explicit(&ring->idle_at, &idle_at, STI_RING_IDLE_NONE,
						      memory_order_seq_cst, memory_order_relaxed);
	return won ? STI_PUSH_WAKE : STI_PUSH_OK;
}

/* A first ring that is larger than that is followed by smaller ones. */
static unsigned grown_order(unsigned order)
{
	return order + 2 < STI_RING_ORDER_GROW_MAX ? order + 2 : STI_RING_ORDER_GROW_MAX;
}

/* A queue without bounds goes on with a larger ring; a bounded one, which is forced, with a ring
 * that takes nothing but forced pushes until the consumer comes. */
static struct sti_ring *ring_new_behind(const struct sti_ring *ring)
{
	bool bounded = ring->capacity != 0;
	struct sti_ring_shape shape = {
		.order = bounded ? ring->order : grown_order(ring->order),
		.capacity = ring->capacity,
	};

	stasis_assert(!ring->evicts);
	return sti_ring_new(&shape, bounded ? 0 : (uint64_t)1 << shape.order);
}

struct sti_ring *sti_ring_link(struct sti_ring *ring, struct sti_ring *fresh)
{
	struct sti_ring *next = NULL;

	/* R3: the new ring is initialized; pairs with A3 wherever next is followed, and here. */
	if (atomic_compare_exchange_strong_explicit(&ring->next, &next, fresh, memory_order_release,
						    memory_order_acquire /* A3 */))
		return fresh;
	sti_ring_free(fresh);
	return next;
}

/* Links another ring behind a full one and closes it. 0 or -ENOMEM; the ring is open then. */
static int ring_grow(struct sti_ring *ring)
{
	/* A3: pairs with R3 just above. */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_acquire);

	if (next == NULL) {
		struct sti_ring *fresh = ring_new_behind(ring);

		if (fresh == NULL)
			return -ENOMEM;
		sti_ring_link(ring, fresh);
	}
	/* S1: closed only now that next is there, so CLOSED without FINAL implies next. */
	atomic_fetch_or_explicit(&ring->tail, STI_RING_CLOSED, memory_order_seq_cst);
	return 0;
}

struct sti_ring *sti_ring_follow(struct sti_mpsc_tail *tail, struct sti_ring *ring)
{
	/* A3: pairs with R3 in sti_ring_link(). */
	struct sti_ring *next = atomic_load_explicit(&ring->next, memory_order_acquire);

	stasis_assert(next != NULL);
	/* R4: hands on what A3 saw; pairs with A4 in sti_mpsc_push(). A failure means that somebody
	 * else has moved it: further on, or here; it never moves back, since rings come back to
	 * memory only after every read section that could compare with them. */
	atomic_compare_exchange_strong_explicit(&tail->ring, &(struct sti_ring *){ ring }, next,
						memory_order_release, memory_order_relaxed);
	return next;
}

/* Room at pos below a limit, refreshing the producers' copy of head when that shows less than is
 * needed. */
static uint64_t ring_room(struct sti_ring *ring, uint64_t pos, uint64_t limit, uint64_t needed)
{
	/* A5: see sti_mpsc_push(). */
	uint64_t head = atomic_load_explicit(&ring->head_cache, memory_order_acquire);

	if (pos - head >= limit || limit - (pos - head) < needed) {
		/* A2, S7: the slots below are read; pairs with R2 in sti_mpsc_take() and S5 in
		 * sti_mpsc_take_one() and sti_mpsc_evict(). */
		head = atomic_load_explicit(&ring->head, memory_order_seq_cst);
		/* R5: passes A2 on to other producers. A late store may set the copy back: it is
		 * then older, never wrong. */
		atomic_store_explicit(&ring->head_cache, head, memory_order_release);
	}
	/* A word read long ago may be behind head: its CAS will fail. Unsigned, it looks full or
	 * roomy; both only lead to another look. */
	return pos - head >= limit ? 0 : limit - (pos - head);
}

/* The most that may be in the ring for a push of that kind. */
static uint64_t ring_limit(const struct sti_ring *ring, enum sti_mpsc_how how)
{
	/* S7: pairs with S6 in head_advance(). */
	return how == STI_MPSC_FORCE ? ring->mask + 1 :
				       atomic_load_explicit(&ring->limit, memory_order_seq_cst);
}

/* What to do with a ring that has no room. 0: look again; it has been closed. */
static enum sti_push ring_overflow(struct sti_ring *ring, enum sti_mpsc_how how)
{
	if (ring->capacity != 0 && how != STI_MPSC_FORCE)
		return STI_PUSH_FULL;
	return ring_grow(ring) < 0 ? STI_PUSH_NOMEM : STI_PUSH_OK;
}

struct pushing {
	struct sti_mpsc_tail *tail;
	struct sti_ring *ring; /* where the items go: moves on to the last */
	enum sti_mpsc_how how;
	enum sti_push result;
};

/* Reserves up to n positions, consecutive from *posp. Returns how many; 0: refused. */
static uint64_t reserve(struct pushing *push, uint64_t n, uint64_t *posp)
{
	for (;;) {
		struct sti_ring *ring = push->ring;
		/* S1: at least as new as what closed or filled the ring. */
		uint64_t word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
		uint64_t pos = sti_ring_pos(word);
		uint64_t needed = push->how == STI_MPSC_WHOLE && ring->capacity != 0 ? n : 1;
		uint64_t room, take;
		enum sti_push refusal;

		if (word & STI_RING_FINAL) {
			push->result |= STI_PUSH_ENDED;
			return 0;
		}
		if (word & STI_RING_CLOSED) {
			/* Those who filled this ring may have stopped before they claimed. */
			push->result |= sti_ring_wake(ring, pos);
			push->ring = sti_ring_follow(push->tail, ring);
			continue;
		}
		room = ring_room(ring, pos, ring_limit(ring, push->how), needed);
		if (room < needed) {
			/* Relaxed: is the lack of room explained by an old word? */
			if (atomic_load_explicit(&ring->tail, memory_order_relaxed) != word)
				continue;
			refusal = ring_overflow(ring, push->how);
			if (refusal == STI_PUSH_OK)
				continue;
			push->result |= refusal | sti_ring_wake(ring, pos);
			return 0;
		}
		take = n < room ? n : room;
		/* S1: pairs with S3 in sti_mpsc_rest(). */
		if (sti_likely(atomic_compare_exchange_weak_explicit(
			    &ring->tail, &word, word + take * STI_RING_ONE, memory_order_seq_cst,
			    memory_order_relaxed))) {
			*posp = pos;
			return take;
		}
		sti_backoff();
	}
}

/* Fills what has been reserved. How many of the items stay: the others have to be pushed again. */
static uint64_t fill(struct pushing *push, uint64_t pos, void *const *items, uint64_t n)
{
	struct sti_ring *ring = push->ring;
	uint64_t idle_at;

	for (uint64_t i = 0; i < n; i++)
		sti_ring_fill(ring, pos + i, items[i]);
	/* F1: see sti_ring_put(). */
	atomic_signal_fence(memory_order_seq_cst);
	/* S2: as in sti_ring_wake(). */
	idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);
	if (sti_likely(idle_at > pos + n))
		return n;
	if (idle_at == STI_RING_IDLE_TAKEN)
		return sti_ring_settle(ring, pos, n);
	push->result |= sti_ring_claim(ring, idle_at);
	return n;
}

enum sti_push sti_mpsc_push_n(struct sti_mpsc_tail *tail, void *const *items, size_t n,
			      enum sti_mpsc_how how, size_t *pushedp)
{
	struct pushing push = {
		.tail = tail,
		/* A4: see sti_mpsc_push(). */
		.ring = atomic_load_explicit(&tail->ring, memory_order_acquire),
		.how = how,
		.result = STI_PUSH_OK,
	};
	size_t done = 0;

	while (done < n) {
		uint64_t pos;
		uint64_t take = reserve(&push, n - done, &pos);

		if (take == 0)
			break;
		done += fill(&push, pos, &items[done], take);
		/* All or none: there was room for all. */
		if (done > 0 && how == STI_MPSC_WHOLE)
			push.how = STI_MPSC_FORCE;
	}
	*pushedp = done;
	return push.result;
}

/* Out of line: rare. What sti_ring_put() has found in idle_at is not that all is well. */
enum sti_push sti_ring_put_slow(struct sti_mpsc_tail *tail, struct sti_ring *ring, uint64_t pos,
				void *item, uint64_t idle_at)
{
	size_t pushed;

	if (idle_at != STI_RING_IDLE_TAKEN)
		return sti_ring_claim(ring, idle_at);
	if (sti_ring_settle(ring, pos, 1) == 1)
		return STI_PUSH_OK;
	return sti_mpsc_push_n(tail, &item, 1, STI_MPSC_FIT, &pushed);
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
			ring = sti_ring_follow(tail, ring);
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

void sti_ring_lend(struct sti_ring *next, uint64_t left)
{
	/* S6: pairs with S7 in ring_limit(). */
	atomic_store_explicit(&next->limit, left < next->capacity ? next->capacity - left : 0,
			      memory_order_seq_cst);
}

/* Leaves an emptied, closed ring for the next. */
static void head_advance(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
			 struct sti_ring *ring, uint64_t pos)
{
	struct sti_ring *next = sti_ring_follow(tail, ring);
	/* Relaxed: only the consumer writes it; a figure. */
	uint64_t left = atomic_load_explicit(&head->left, memory_order_relaxed);

	atomic_store_explicit(&head->left, left + 1, memory_order_relaxed);
	sti_ring_set_base(next, sti_ring_base(ring) + pos);
	next->skipped = ring->skipped + ring->skipping;
	head->pos = 0;
	/* R6: the new ring's base before its address; pairs with A6 in sti_mpsc_pushed(). */
	atomic_store_explicit(&head->ring, next, memory_order_release);
	/* Room for ordinary pushes, now that nothing is before this ring. */
	if (next->capacity != 0)
		sti_ring_lend(next, 0);
	/* Freed after a grace period: producers that loaded the ring's address may still read its
	 * tail and next. None of them can store to it: it is closed, and its slots are filled, or
	 * it is a remainder. */
	sti_ring_retire(ring);
}

/* The consumer's position. */
static uint64_t head_pos(const struct sti_mpsc_head *head, struct sti_ring *ring)
{
	if (sti_likely(!ring->evicts))
		return head->pos;
	/* A8: producers move it too; pairs with S5 in sti_mpsc_evict(). */
	return atomic_load_explicit(&ring->head, memory_order_acquire);
}

/* What the consumer finds at his position, where something has been reserved. */
static enum sti_rest ring_next(struct sti_ring *ring, uint64_t pos)
{
	/* A1: only a hint here; the item is taken by sti_mpsc_take(). */
	uintptr_t slot = atomic_load_explicit(&ring->slots[pos & ring->take_mask],
					      memory_order_acquire);

	if (sti_ring_is_filled(ring->take_order, pos, slot))
		return STI_REST_MORE;
	/* A8: or it has been evicted, and the slot is of another lap. */
	if (ring->evicts && atomic_load_explicit(&ring->head, memory_order_acquire) != pos)
		return STI_REST_MORE;
	return STI_REST_HOLE;
}

/* A push has come before the consumer could rest: word is the tail as he found it. */
static STI_NOINLINE enum sti_rest rest_disturbed(struct sti_mpsc_tail *tail,
						 struct sti_mpsc_head *head, struct sti_ring *ring,
						 uint64_t pos, uint64_t word)
{
	uint64_t expected = pos + 1;
	enum sti_rest found;

	/* S4: one of claim and rest wins. */
	if (!atomic_compare_exchange_strong_explicit(&ring->idle_at, &expected, STI_RING_IDLE_NONE,
						     memory_order_seq_cst, memory_order_relaxed))
		return STI_REST_GONE;
	if (sti_ring_pos(word) != pos) {
		found = ring_next(ring, pos);
		if (found == STI_REST_HOLE && sti_ring_wait_at_hole(tail, head, ring, pos))
			found = STI_REST_MORE;
		return found;
	}
	if (word & STI_RING_FINAL)
		return STI_REST_FINAL;
	head_advance(tail, head, ring, pos);
	return STI_REST_MORE;
}

enum sti_rest sti_mpsc_rest(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head)
{
	/* Relaxed: see sti_mpsc_take(). */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uint64_t pos = head_pos(head, ring);
	uint64_t word;

	/* S3: let go, and only then look whether a push came before it was visible; pairs with S1
	 * and S2. From here to S4, head may belong to somebody else. */
	atomic_store_explicit(&ring->idle_at, pos + 1, memory_order_seq_cst);
	/* S3: the second half. */
	word = atomic_load_explicit(&ring->tail, memory_order_seq_cst);
	if (sti_likely(word == pos << STI_RING_POS_SHIFT))
		return STI_REST_GONE;
	return rest_disturbed(tail, head, ring, pos, word);
}
