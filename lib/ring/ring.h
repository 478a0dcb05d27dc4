/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_RING_RING_H
#define STI_RING_RING_H

/* ring/ring.h — the multi-producer single-consumer queue: what may be done with it
 *
 * How it works is said in protocol.h, with the threads that may do what, the edges, and the
 * progress of each operation.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/thread.h"
#include "ring/protocol.h"
#include "sync/backoff.h"

/* What a push left to do and what became of it; bits. */
enum sti_push {
	STI_PUSH_OK = 0,
	STI_PUSH_WAKE = 1,  /* the caller must schedule the consumer */
	STI_PUSH_ENDED = 2, /* refused: the queue has been closed */
	STI_PUSH_NOMEM = 4, /* refused: full, and no memory to grow */
	STI_PUSH_FULL = 8,  /* refused: bounded and full */
};

/* What a push into a bounded queue does if there is not room for all items. One without bounds
 * grows, whatever is asked for. */
enum sti_mpsc_how {
	STI_MPSC_FIT,	/* takes as many as there is room for */
	STI_MPSC_WHOLE, /* takes none */
	STI_MPSC_FORCE, /* grows: the queue gets longer than its capacity. Not if it evicts */
};

enum sti_evict {
	STI_EVICT_TAKEN, /* the oldest item is the caller's */
	STI_EVICT_ROOM,	 /* the queue is not full any more */
	STI_EVICT_HOLE,	 /* the oldest is reserved but not filled yet, and cannot be taken */
	STI_EVICT_ENDED, /* the queue has been closed: there is nothing to make room for */
};

enum sti_rest {
	STI_REST_GONE,  /* let go; the caller is the consumer no longer and may touch nothing */
	STI_REST_MORE,  /* still the consumer: there is something to take */
	STI_REST_HOLE,  /* still the consumer: the next slot is reserved but not filled yet */
	STI_REST_FINAL, /* still the consumer: everything has been taken and the queue is closed */
};

/* The smallest ring, for embedding: it is not freed with the queue and must outlive it by a grace
 * period. */
#define STI_RING_MIN_SIZE (sizeof(struct sti_ring) + (sizeof(uintptr_t) << STI_RING_ORDER_MIN))

/* 0 or -ENOMEM. order is that of the first ring; embedded: memory for it, of
 * STI_RING_MIN_SIZE and aligned to a line, when order is the least; NULL: it is allocated. The
 * queue starts at rest: the first push says STI_PUSH_WAKE. */
int sti_mpsc_init(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, unsigned order,
		  void *embedded);

/* Likewise for a queue that holds no more than capacity items, a power of two from 1 to 2^24: a
 * push into a full one is refused with STI_PUSH_FULL. evicts: sti_mpsc_evict() may be used, and
 * items are taken by sti_mpsc_take_one() alone. embedded, or NULL, serves for capacities up to the
 * size of the smallest ring; for a larger one memory is allocated. */
int sti_mpsc_init_bounded(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, uint64_t capacity,
			  bool evicts, void *embedded);

/* As if somebody had claimed the consumer already: no push says STI_PUSH_WAKE until he has rested.
 * Before anybody else knows the queue. */
void sti_mpsc_start_claimed(struct sti_mpsc_tail *tail);

/* For tests: a new queue's positions count from about pos, below it by less than two laps. Before
 * anybody else knows the queue. */
void sti_mpsc_start_at(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head, uint64_t pos);

/* Frees the rings, at once: nobody may be inside a push. Items left in them are not looked at. */
void sti_mpsc_deinit(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head);

/* Pushes n items in order; *pushedp says how many went in before a refusal. Of a WHOLE batch that
 * is none, or all unless the queue ends or memory runs out in the middle of a take-over. */
enum sti_push sti_mpsc_push_n(struct sti_mpsc_tail *tail, void *const *items, size_t n,
			      enum sti_mpsc_how how, size_t *pushedp);

/* Ends the queue: what is pushed later is refused. STI_PUSH_WAKE, STI_PUSH_ENDED (was closed
 * before) or STI_PUSH_OK. */
enum sti_push sti_mpsc_close(struct sti_mpsc_tail *tail);

/* Takes one item from a bounded queue. False: nothing is there, or not yet, as sti_mpsc_rest() will
 * tell. The room is published in the order of all that is sequentially consistent: before a load
 * of that kind by which the consumer looks who waits for it. */
bool sti_mpsc_take_one(struct sti_mpsc_head *head, void **itemp);

/* Makes room in a queue that evicts, if it is full. Inside an RCU read section. Says nothing about
 * the consumer: the push that found the queue full did. */
enum sti_evict sti_mpsc_evict(struct sti_mpsc_tail *tail, void **itemp);

/* Lets go of an empty queue, or says why not. */
enum sti_rest sti_mpsc_rest(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head);

/* Positions ever reserved, and what was carried: items pushed, and those whose place was taken
 * over. Never goes back. Every push that happens before the call is counted. This and the next: any
 * thread, inside an RCU read section. */
uint64_t sti_mpsc_pushed(const struct sti_mpsc_head *head);

/* The same, for who waits until as many have been delivered: then every push that happens before
 * the call has been. False: not now, for somebody is about to count what he carries, and that comes
 * before some of them. */
bool sti_mpsc_mark(const struct sti_mpsc_head *head, uint64_t *pushedp);

/* Of these, how many the consumer has taken, or has gone past, or producers have evicted:
 * what was pushed before has been taken, too. Nothing beyond the ring he is at is counted. */
uint64_t sti_mpsc_taken(const struct sti_mpsc_head *head);

/* Of these, places taken over: all of them, and those among what sti_mpsc_taken() counts. */
uint64_t sti_mpsc_taken_over(const struct sti_mpsc_head *head);
uint64_t sti_mpsc_skipped(const struct sti_mpsc_head *head);

/* Items queued now: pushed, and neither taken nor evicted. Any thread, inside an RCU read section.
 * Exact while nobody pushes or takes; else what is taken during the call may be missing, so it is
 * never more than a capacity that no forced push has exceeded. */
uint64_t sti_mpsc_depth(const struct sti_mpsc_head *head);

/* Is a queue without bounds so long, in this ring, that producers take turns? A hint. */
bool sti_ring_is_long(const struct sti_ring *ring);

/* So long consumers wait at a hole before they take it over, in nanoseconds; UINT64_MAX: for ever.
 * For tests. */
void sti_ring_set_patience(uint64_t ns);

/* Has the queue been ended? Any thread, inside an RCU read section. */
bool sti_mpsc_is_closed(const struct sti_mpsc_tail *tail);

static inline uint64_t sti_ring_pos(uint64_t tail_word)
{
	return tail_word >> STI_RING_POS_SHIFT;
}

/* The parity bit of position pos. The first lap's is 1: a zeroed slot is an empty one. */
static inline uintptr_t sti_ring_parity(uint32_t order, uint64_t pos)
{
	return (uintptr_t)((pos >> order) & 1) ^ 1;
}

static inline void sti_ring_fill(struct sti_ring *ring, uint64_t pos, void *item)
{
	/* R1: the item's contents before its address; pairs with A1 in sti_mpsc_take(). */
	atomic_store_explicit(&ring->slots[pos & ring->mask],
			      (uintptr_t)item | sti_ring_parity(ring->order, pos),
			      memory_order_release);
}

/* Does position pos hold the item of its lap, by the word in its slot? */
static inline bool sti_ring_is_filled(uint32_t order, uint64_t pos, uintptr_t word)
{
	return ((word ^ sti_ring_parity(order, pos)) & 1) == 0;
}

/* Relaxed, both: the consumer's, who goes by it; others by R6, or by their own pushes. */
static inline uint64_t sti_ring_base(const struct sti_ring *ring)
{
	return atomic_load_explicit(&ring->base, memory_order_relaxed);
}

static inline void sti_ring_set_base(struct sti_ring *ring, uint64_t base)
{
	atomic_store_explicit(&ring->base, base, memory_order_relaxed);
}

/* Does the consumer rest, and is nothing in the ring, by these two words of it? */
static inline bool sti_ring_is_at_rest(uint64_t idle_at, uint64_t tail_word)
{
	return idle_at < STI_RING_IDLE_CARRYING && idle_at != STI_RING_IDLE_TAKEN &&
	       tail_word == (idle_at - 1) << STI_RING_POS_SHIFT;
}

enum sti_push sti_ring_claim(struct sti_ring *ring, uint64_t idle_at);

/* Becomes responsible for the consumer if it rests at or before pos. */
static inline enum sti_push sti_ring_wake(struct sti_ring *ring, uint64_t pos)
{
	/* S2: after the push (S1) in the single order; pairs with S3 in sti_mpsc_rest(). */
	uint64_t idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);

	return sti_likely(idle_at > pos + 1) ? STI_PUSH_OK : sti_ring_claim(ring, idle_at);
}

enum sti_push sti_ring_put_slow(struct sti_mpsc_tail *tail, struct sti_ring *ring, uint64_t pos,
				void *item, uint64_t idle_at);

/* The second half of a push: fills the position that has been reserved. */
static inline enum sti_push sti_ring_put(struct sti_mpsc_tail *tail, struct sti_ring *ring,
					 uint64_t pos, void *item)
{
	uint64_t idle_at;

	sti_ring_fill(ring, pos, item);
	if ((pos & 7) == 0)
		sti_prefetch_write(&ring->slots[(pos + STI_RING_PREFETCH) & ring->mask]);
	/* F1: the compiler, too, leaves the store before the load; for the processor the consumer
	 * sees to it, by F2 in sti_ring_take_over(). */
	atomic_signal_fence(memory_order_seq_cst);
	/* S2: as in sti_ring_wake(). */
	idle_at = atomic_load_explicit(&ring->idle_at, memory_order_seq_cst);
	return sti_likely(idle_at > pos + 1) ? STI_PUSH_OK :
					       sti_ring_put_slow(tail, ring, pos, item, idle_at);
}

/* The first half of a push, where nothing stands in its way. False: the ring is closed or looks
 * full. */
static inline bool sti_ring_reserve(struct sti_ring *ring, uint64_t *posp)
{
	for (;;) {
		/* Relaxed: only the CAS decides. */
		uint64_t word = atomic_load_explicit(&ring->tail, memory_order_relaxed);

		*posp = sti_ring_pos(word);
		/* A5: slots below head_cache have been read by the consumer; pairs with R5. The
		 * limit relaxed: an old one is less, and then sti_mpsc_push_n() looks. */
		if (sti_unlikely(
			    (word & STI_RING_CLOSED) ||
			    *posp - atomic_load_explicit(&ring->head_cache, memory_order_acquire) >=
				    atomic_load_explicit(&ring->limit, memory_order_relaxed)))
			return false;
		/* S1: pairs with S3 in sti_mpsc_rest(). */
		if (sti_likely(atomic_compare_exchange_weak_explicit(
			    &ring->tail, &word, word + STI_RING_ONE, memory_order_seq_cst,
			    memory_order_relaxed)))
			return true;
		sti_backoff();
	}
}

/* Pushes one item, whose address has bit 0 clear. Inside an RCU read section. */
static inline enum sti_push sti_mpsc_push(struct sti_mpsc_tail *tail, void *item)
{
	/* A4: the ring is initialized; pairs with R4 in sti_ring_follow() and sti_mpsc_init(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);
	uint64_t pos;
	size_t pushed;

	if (sti_unlikely(!sti_ring_reserve(ring, &pos)))
		return sti_mpsc_push_n(tail, &item, 1, STI_MPSC_FIT, &pushed);
	return sti_ring_put(tail, ring, pos, item);
}

enum sti_carry {
	STI_CARRY_NOT,	   /* it is not idle: push */
	STI_CARRY_CLAIMED, /* the caller is responsible for the consumer, and pushes all the same */
	STI_CARRY_DONE,	   /* and has an item to hand him that does not go through the queue */
};

/* The second half of sti_mpsc_carry(): idle_at and tail are as they were when it looked. */
static inline enum sti_carry sti_ring_carry(struct sti_ring *ring, uint64_t idle_at, uint64_t word)
{
	bool first;

	/* S4: as in sti_ring_claim(). */
	if (!sti_ring_is_at_rest(idle_at, word) ||
	    !atomic_compare_exchange_strong_explicit(&ring->idle_at, &idle_at,
						     STI_RING_IDLE_CARRYING, memory_order_seq_cst,
						     memory_order_relaxed))
		return STI_CARRY_NOT;
	/* S9: has nobody pushed? Who does from now on finds the claim; pairs with S1 and S2. */
	first = atomic_load_explicit(&ring->tail, memory_order_seq_cst) == word;
	if (sti_likely(first))
		sti_ring_set_base(ring, sti_ring_base(ring) + 1);
	/* R8: base; pairs with A10 in sti_mpsc_mark(). */
	atomic_store_explicit(&ring->idle_at, STI_RING_IDLE_NONE, memory_order_release);
	return first ? STI_CARRY_DONE : STI_CARRY_CLAIMED;
}

/* Becomes responsible for the consumer of an open queue without bounds that rests and is empty, in
 * order to hand him an item that does not go through the queue, and counts as pushed: see "Carry".
 * Inside an RCU read section. */
static inline enum sti_carry sti_mpsc_carry(struct sti_mpsc_tail *tail)
{
	/* A4: as in sti_mpsc_push(). */
	struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);
	/* Relaxed, both: hints. The CAS decides, and the second look. */
	uint64_t idle_at = atomic_load_explicit(&ring->idle_at, memory_order_relaxed);
	uint64_t word = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	return sti_ring_carry(ring, idle_at, word);
}

/* Is it this thread's turn already? A thread without a record has it always. */
static inline bool sti_mpsc_has_turn(const struct sti_mpsc_tail *tail,
				     const struct sti_thread *thread)
{
	/* A4: as in sti_mpsc_push(). */
	const struct sti_ring *ring = atomic_load_explicit(&tail->ring, memory_order_acquire);

	/* Relaxed: a hint. */
	return thread == NULL || atomic_load_explicit(&ring->turn, memory_order_relaxed) ==
					 thread->number + 1;
}

/* Before a push by one of several threads that may be pushing all the time: see "Turns". may_wait:
 * the thread is not one that others wait for. Inside an RCU read section. */
void sti_mpsc_take_turn(struct sti_mpsc_tail *tail, struct sti_thread *thread, bool may_wait);

/* Is an item there to be taken, in the ring that the consumer is at? Not of a queue that evicts. */
static inline bool sti_mpsc_has_next(const struct sti_mpsc_head *head)
{
	/* Relaxed, both: a hint. Who takes loads the word anew (A1), who rests looks at tail. */
	const struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uintptr_t word = atomic_load_explicit(&ring->slots[head->pos & ring->take_mask],
					      memory_order_relaxed);

	return sti_ring_is_filled(ring->take_order, head->pos, word);
}

/* Takes up to max items that are filled and consecutive, and have none of the bits in stop. *stopp:
 * one that has, and is filled, is next. */
static inline size_t sti_mpsc_take_until(struct sti_mpsc_head *head, void **items, size_t max,
					 uintptr_t stop, bool *stopp)
{
	/* Relaxed: the consumer reads what he wrote; a claim (S4) ordered it when he changed. */
	struct sti_ring *ring = atomic_load_explicit(&head->ring, memory_order_relaxed);
	uint64_t mask = ring->take_mask;
	uint32_t order = ring->take_order;
	uint64_t pos = head->pos;
	size_t n = 0;

	*stopp = false;
	while (n < max) {
		/* A1: the item's contents; pairs with R1 in sti_ring_fill(). */
		uintptr_t word = atomic_load_explicit(&ring->slots[pos & mask],
						      memory_order_acquire);
		uintptr_t odd = (word ^ sti_ring_parity(order, pos)) & (stop | 1);

		if (odd != 0) {
			*stopp = (odd & 1) == 0;
			break;
		}
		items[n] = (void *)(word & ~(uintptr_t)1);
		sti_prefetch_read(items[n]);
		n++;
		pos++;
	}
	if (n > 0) {
		head->pos = pos;
		/* R2: the slots are read before they may be reused; pairs with A2 in push. */
		atomic_store_explicit(&ring->head, pos, memory_order_release);
	}
	return n;
}

/* Takes up to max items that are filled and consecutive. */
static inline size_t sti_mpsc_take(struct sti_mpsc_head *head, void **items, size_t max)
{
	bool stop;

	return sti_mpsc_take_until(head, items, max, 0, &stop);
}

/* --- between the files of this folder --- */

/* What the rings of a queue have in common. */
struct sti_ring_shape {
	unsigned order;
	uint32_t capacity; /* 0: not bounded */
	bool evicts;
};

/* NULL: no memory. */
struct sti_ring *sti_ring_new(const struct sti_ring_shape *shape, uint64_t limit);

/* At once, and once everybody has gone who may be looking at it. Not if it is embedded. */
void sti_ring_free(struct sti_ring *ring);
void sti_ring_retire(struct sti_ring *ring);

/* Links a fresh ring, unless there is one already. Returns the next ring. */
struct sti_ring *sti_ring_link(struct sti_ring *ring, struct sti_ring *fresh);

/* The ring after a closed one. Moves the queue's ring pointer along, if it is still here. */
struct sti_ring *sti_ring_follow(struct sti_mpsc_tail *tail, struct sti_ring *ring);

/* Room in the next ring of a bounded queue, if so many items are left before it. */
void sti_ring_lend(struct sti_ring *next, uint64_t left);

/* The consumer has found the position at which he is reserved and not filled. True: it was taken
 * over, he is at another ring, and there may be something to take. */
bool sti_ring_wait_at_hole(struct sti_mpsc_tail *tail, struct sti_mpsc_head *head,
			   struct sti_ring *ring, uint64_t pos);

/* The producer's part of it: n positions have been filled, and idle_at is TAKEN. How many of them
 * stay; the others are to be pushed again. */
uint64_t sti_ring_settle(struct sti_ring *ring, uint64_t pos, uint64_t n);

#endif
