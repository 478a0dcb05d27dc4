/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_RING_QUEUE_H
#define STASIS_TESTS_RING_QUEUE_H

/* queue.h — a queue under test: the ring's functions inside read sections, and items to push */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/ring.h"

struct queue {
	struct sti_mpsc_tail tail;
	struct sti_mpsc_head head;
};

struct item {
	/* beside runs, the bit that tells their places is clear in items */
	_Alignas(16) uint64_t producer;
	uint64_t seq;
	uint64_t index;		  /* in a batch that goes in whole */
	_Atomic unsigned n_taken; /* delivered or evicted */
};

static inline enum sti_push queue_push(struct queue *queue, struct item *item)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_push(&queue->tail, item);
	sti_rcu_read_unlock();
	return result;
}

static inline enum sti_push queue_push_how(struct queue *queue, void *const *items, size_t n,
					   enum sti_mpsc_how how, size_t *pushedp)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_push_n(&queue->tail, items, n, how, pushedp);
	sti_rcu_read_unlock();
	return result;
}

static inline enum sti_push queue_push_n(struct queue *queue, void *const *items, size_t n,
					 size_t *pushedp)
{
	return queue_push_how(queue, items, n, STI_MPSC_FIT, pushedp);
}

static inline enum sti_evict queue_evict(struct queue *queue, void **itemp)
{
	enum sti_evict result;

	sti_rcu_read_lock();
	result = sti_mpsc_evict(&queue->tail, itemp);
	sti_rcu_read_unlock();
	return result;
}

static inline enum sti_push queue_close(struct queue *queue)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_close(&queue->tail);
	sti_rcu_read_unlock();
	return result;
}

static inline enum sti_rest queue_rest(struct queue *queue)
{
	enum sti_rest result;

	sti_rcu_read_lock();
	result = sti_mpsc_rest(&queue->tail, &queue->head);
	sti_rcu_read_unlock();
	return result;
}

/* Items: a place that was taken over held none. */
static inline uint64_t queue_pushed(struct queue *queue)
{
	uint64_t pushed;

	sti_rcu_read_lock();
	pushed = sti_mpsc_pushed(&queue->head) - sti_mpsc_taken_over(&queue->head);
	sti_rcu_read_unlock();
	return pushed;
}

static inline uint64_t queue_depth(struct queue *queue)
{
	uint64_t depth;

	sti_rcu_read_lock();
	depth = sti_mpsc_depth(&queue->head);
	sti_rcu_read_unlock();
	return depth;
}

static inline struct sti_ring *queue_ring(struct queue *queue)
{
	return atomic_load(&queue->tail.ring);
}

#endif
