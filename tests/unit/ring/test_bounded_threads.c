/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bounded_threads.c — bounded queues between threads: evicting, waiting for room, forcing */

#include <criterion/criterion.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "faulty.h"
#include "gate.h"
#include "queue.h"
#include "sync/eventcount.h"

#define PRODUCERS 6
#define WHOLE 3 /* items of a batch that goes in whole */

/* What a producer does when the queue is full. */
enum policy {
	EVICT, /* takes the oldest out */
	WAIT,  /* sleeps until there is room */
	MIXED, /* gives single items and whole batches up, and forces some */
};

struct run {
	struct queue queue;
	struct gate start;
	enum policy policy;
	uint64_t capacity;
	size_t per_producer;

	/* producers that wait */
	struct sti_eventcount room;
	_Atomic unsigned n_waiting;

	/* the sampler's */
	_Atomic bool done;
	uint64_t depth_max;
	uint64_t n_samples;

	/* the consumer's, plain: passed on by the queue itself */
	uint64_t next[PRODUCERS]; /* the least sequence number that may follow */
	const struct item *last;
	uint64_t n_delivered;
	uint64_t n_out_of_order;
	uint64_t n_split;
	uint64_t n_finals;
};

struct producer {
	struct run *run;
	struct item *items;
	uint64_t number;
	uint64_t n_begun;
	uint64_t n_pushed;
	uint64_t n_evicted; /* by this thread */
	uint64_t n_refused; /* none of it went in */
	uint64_t n_wrong;   /* outcomes that should not be */
};

static void consume_one(struct run *run, struct item *item)
{
	if (item->seq < run->next[item->producer])
		run->n_out_of_order++;
	run->next[item->producer] = item->seq + 1;
	if (item->index > 0 && (run->last == NULL || run->last->producer != item->producer ||
				run->last->seq + 1 != item->seq))
		run->n_split++;
	run->last = item;
	run->n_delivered++;
	atomic_fetch_add_explicit(&item->n_taken, 1, memory_order_relaxed);
}

/* Sequentially consistent, after the room was made. */
static void wake_waiting(struct run *run)
{
	if (atomic_load(&run->n_waiting) > 0)
		sti_eventcount_signal(&run->room);
}

static void consume(struct run *run)
{
	void *item;

	for (;;) {
		while (sti_mpsc_take_one(&run->queue.head, &item)) {
			wake_waiting(run);
			consume_one(run, item);
			/* A consumer who is slow now and then: the queue fills up. */
			if (run->n_delivered % 64 == 0)
				sched_yield();
		}
		switch (queue_rest(&run->queue)) {
		case STI_REST_GONE:
			return;
		case STI_REST_FINAL:
			run->n_finals++;
			return;
		case STI_REST_HOLE:
			sched_yield();
			break;
		case STI_REST_MORE:
			wake_waiting(run);
			break;
		}
	}
}

static enum sti_push push(struct producer *producer, size_t n, enum sti_mpsc_how how)
{
	struct run *run = producer->run;
	void *batch[WHOLE];
	enum sti_push result;
	size_t pushed = 0;

	for (size_t i = 0; i < n; i++) {
		batch[i] = &producer->items[producer->n_begun + i];
		producer->items[producer->n_begun + i].index = how == STI_MPSC_WHOLE ? i : 0;
	}
	if (n == 1 && how == STI_MPSC_FIT) {
		result = queue_push(&run->queue, batch[0]);
		pushed = !(result & ~STI_PUSH_WAKE);
	} else {
		result = queue_push_how(&run->queue, batch, n, how, &pushed);
	}
	producer->n_pushed += pushed;
	producer->n_wrong += pushed != n && pushed != 0;
	producer->n_wrong += (pushed == 0) != ((result & STI_PUSH_FULL) != 0);
	if (result & STI_PUSH_WAKE)
		consume(run);
	return result;
}

static bool evict(struct producer *producer)
{
	struct item *item = NULL;
	void *evicted;

	switch (queue_evict(&producer->run->queue, &evicted)) {
	case STI_EVICT_TAKEN:
		item = evicted;
		atomic_fetch_add_explicit(&item->n_taken, 1, memory_order_relaxed);
		producer->n_evicted++;
		return true;
	case STI_EVICT_ROOM:
		return true;
	case STI_EVICT_HOLE:
		return false;
	default:
		producer->n_wrong++;
		return false;
	}
}

static void push_evicting(struct producer *producer)
{
	while (push(producer, 1, STI_MPSC_FIT) & STI_PUSH_FULL) {
		if (!evict(producer)) {
			producer->n_refused++;
			break;
		}
	}
	producer->n_begun++;
}

static void push_waiting(struct producer *producer)
{
	struct run *run = producer->run;

	if (push(producer, 1, STI_MPSC_FIT) & STI_PUSH_FULL) {
		atomic_fetch_add(&run->n_waiting, 1);
		for (;;) {
			uint32_t value = sti_eventcount_value(&run->room);

			if (!(push(producer, 1, STI_MPSC_FIT) & STI_PUSH_FULL))
				break;
			sti_eventcount_wait(&run->room, value, 0);
		}
		atomic_fetch_sub(&run->n_waiting, 1);
	}
	producer->n_begun++;
}

static void push_mixed(struct producer *producer)
{
	uint64_t left = producer->run->per_producer - producer->n_begun;
	size_t n = left >= WHOLE && producer->n_begun % 2 == 0 ? WHOLE : 1;
	enum sti_mpsc_how how = n > 1			       ? STI_MPSC_WHOLE :
				producer->n_begun % 7 == 1 ? STI_MPSC_FORCE :
							     STI_MPSC_FIT;

	if (push(producer, n, how) & STI_PUSH_FULL) {
		producer->n_wrong += how == STI_MPSC_FORCE;
		producer->n_refused += n;
		sched_yield();
	}
	producer->n_begun += n;
}

static void *produce(void *arg)
{
	struct producer *producer = arg;
	struct run *run = producer->run;

	gate_pass(&run->start);
	while (producer->n_begun < run->per_producer) {
		if (run->policy == EVICT)
			push_evicting(producer);
		else if (run->policy == WAIT)
			push_waiting(producer);
		else
			push_mixed(producer);
	}
	return NULL;
}

static void *sample(void *arg)
{
	struct run *run = arg;

	gate_pass(&run->start);
	do {
		uint64_t depth = queue_depth(&run->queue);

		if (depth > run->depth_max)
			run->depth_max = depth;
		run->n_samples++;
	} while (!atomic_load(&run->done));
	return NULL;
}

static void prepare(struct run *run, struct producer *producers)
{
	faulty_install();
	run->start = (struct gate)GATE_INIT;
	sti_eventcount_init(&run->room);
	cr_assert_eq(sti_mpsc_init_bounded(&run->queue.tail, &run->queue.head, run->capacity,
					   run->policy == EVICT, NULL),
		     0);
	for (size_t i = 0; i < PRODUCERS; i++) {
		producers[i].run = run;
		producers[i].number = i;
		producers[i].items = calloc(run->per_producer, sizeof(struct item));
		cr_assert_not_null(producers[i].items);
		for (size_t k = 0; k < run->per_producer; k++) {
			producers[i].items[k].producer = i;
			producers[i].items[k].seq = k;
		}
	}
}

/* Every item was taken once, by the consumer or by a producer, or else refused. */
static void check(struct run *run, struct producer *producers)
{
	uint64_t n_pushed = 0, n_evicted = 0;

	for (size_t i = 0; i < PRODUCERS; i++) {
		uint64_t n_taken = 0;

		for (size_t k = 0; k < run->per_producer; k++) {
			cr_assert_leq(producers[i].items[k].n_taken, 1, "item %zu of %zu", k, i);
			n_taken += producers[i].items[k].n_taken;
		}
		cr_assert_eq(n_taken, producers[i].n_pushed);
		cr_assert_eq(n_taken + producers[i].n_refused, run->per_producer);
		cr_assert_eq(producers[i].n_wrong, 0);
		n_pushed += producers[i].n_pushed;
		n_evicted += producers[i].n_evicted;
		free(producers[i].items);
	}
	cr_assert_eq(run->n_delivered + n_evicted, n_pushed);
	cr_assert_eq(queue_pushed(&run->queue), n_pushed);
	cr_assert_eq(queue_depth(&run->queue), 0);
	cr_assert_eq(run->n_out_of_order, 0);
	/* A batch that went in whole is cut only where a place in it was taken over. */
	sti_rcu_read_lock();
	cr_assert_leq(run->n_split, sti_mpsc_taken_over(&run->queue.head));
	sti_rcu_read_unlock();
	cr_assert_eq(run->n_finals, 1);
	cr_assert_gt(run->n_samples, 0);
	sti_mpsc_deinit(&run->queue.tail, &run->queue.head);
	sti_rcu_barrier();
	cr_assert_eq(faulty_outstanding(), 0);
}

static void run_policy(enum policy policy, uint64_t capacity, size_t per_producer)
{
	struct run run = {
		.policy = policy,
		.capacity = capacity,
		.per_producer = per_producer,
	};
	struct producer producers[PRODUCERS] = { 0 };
	pthread_t sampler;

	prepare(&run, producers);
	cr_assert_eq(pthread_create(&sampler, NULL, sample, &run), 0);
	gate_open(&run.start);
	run_threads(PRODUCERS, produce, producers, sizeof(producers[0]));
	/* Nobody runs the queue now: it is at rest, and the close wakes. */
	cr_assert_eq(queue_close(&run.queue), STI_PUSH_WAKE);
	consume(&run);
	atomic_store(&run.done, true);
	pthread_join(sampler, NULL);
	if (policy != MIXED)
		cr_assert_leq(run.depth_max, capacity);
	check(&run, producers);
}

Test(bounded_threads, evicted_or_delivered_once_and_never_too_many)
{
	run_policy(EVICT, 1, 10000);
	run_policy(EVICT, 2, 10000);
	run_policy(EVICT, 8, 10000);
	run_policy(EVICT, 64, 10000);
}

Test(bounded_threads, evicted_or_delivered_once_where_holes_are_taken_over_at_once)
{
	sti_ring_set_patience(0);
	run_policy(EVICT, 1, 10000);
	run_policy(EVICT, 2, 10000);
	run_policy(EVICT, 8, 10000);
	run_policy(EVICT, 64, 10000);
}

Test(bounded_threads, those_who_wait_for_room_get_in)
{
	run_policy(WAIT, 1, 3000);
	run_policy(WAIT, 4, 5000);
	run_policy(WAIT, 16, 5000);
}

Test(bounded_threads, forced_whole_and_ordinary_pushes_mix)
{
	run_policy(MIXED, 1, 10000);
	run_policy(MIXED, 4, 10000);
	run_policy(MIXED, 32, 10000);
}

Test(bounded_threads, they_mix_where_holes_are_taken_over_at_once)
{
	sti_ring_set_patience(0);
	run_policy(WAIT, 1, 3000);
	run_policy(WAIT, 16, 5000);
	run_policy(MIXED, 1, 10000);
	run_policy(MIXED, 4, 10000);
	run_policy(MIXED, 32, 10000);
}
