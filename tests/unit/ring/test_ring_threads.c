/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ring_threads.c — the queue between threads: order, growth, the consumer's role, close */

#include <criterion/criterion.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "faulty.h"
#include "gate.h"
#include "queue.h"

#define PRODUCERS 8

/* One run: producers push, whoever is told to wake the consumer becomes it. */
struct run {
	struct queue queue;
	struct gate start;
	size_t per_producer;
	size_t batch;  /* 1: single pushes */
	size_t window; /* a producer's items in flight at most; 0: any number, so queues grow */
	_Atomic bool closed;

	/* the consumer's, plain: passed on by the queue itself */
	uint64_t next[PRODUCERS];
	uint64_t n_out_of_order;
	uint64_t n_finals;
	uint64_t n_after_final;
	uint64_t n_turns;
	/* read by producers for their window */
	_Atomic uint64_t done[PRODUCERS];
};

struct producer {
	struct run *run;
	struct item *items;
	uint64_t number;
	uint64_t n_pushed; /* accepted */
	uint64_t n_after_refusal;
};

static void consume_one(struct run *run, const struct item *item)
{
	if (item->seq != run->next[item->producer])
		run->n_out_of_order++;
	if (run->n_finals > 0)
		run->n_after_final++;
	run->next[item->producer] = item->seq + 1;
	atomic_store_explicit(&run->done[item->producer], item->seq + 1, memory_order_relaxed);
}

/* What a worker does with a scheduled queue. */
static void consume(struct run *run)
{
	void *items[32];

	run->n_turns++;
	for (;;) {
		size_t n = sti_mpsc_take(&run->queue.head, items, 32);

		for (size_t i = 0; i < n; i++)
			consume_one(run, items[i]);
		if (n > 0)
			continue;
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
			break;
		}
	}
}

static bool produce_some(struct producer *producer, size_t n)
{
	struct run *run = producer->run;
	uint64_t first = producer->n_pushed;
	void *items[64];
	enum sti_push result;
	size_t pushed;

	for (size_t i = 0; i < n; i++)
		items[i] = &producer->items[first + i];
	if (n == 1) {
		result = queue_push(&run->queue, items[0]);
		pushed = !(result & STI_PUSH_ENDED);
	} else {
		result = queue_push_n(&run->queue, items, n, &pushed);
	}
	producer->n_pushed += pushed;
	if (result & STI_PUSH_WAKE)
		consume(run);
	return !(result & STI_PUSH_ENDED);
}

static void *produce(void *arg)
{
	struct producer *producer = arg;
	struct run *run = producer->run;
	uint64_t n = run->per_producer;

	gate_pass(&run->start);
	while (producer->n_pushed < n) {
		uint64_t left = n - producer->n_pushed;

		while (run->window > 0 &&
		       producer->n_pushed - atomic_load_explicit(&run->done[producer->number],
								 memory_order_relaxed) >=
			       run->window)
			sched_yield();
		if (!produce_some(producer, left < run->batch ? left : run->batch))
			break;
	}
	/* Refused once: refused for ever. */
	if (producer->n_pushed < n && produce_some(producer, 1))
		producer->n_after_refusal++;
	return NULL;
}

static void prepare(struct run *run, struct producer *producers)
{
	faulty_install();
	run->start = (struct gate)GATE_INIT;
	cr_assert_eq(sti_mpsc_init(&run->queue.tail, &run->queue.head, STI_RING_ORDER_MIN, NULL),
		     0);
	for (size_t i = 0; i < PRODUCERS; i++) {
		producers[i].run = run;
		producers[i].number = i;
		producers[i].items = calloc(run->per_producer, sizeof(struct item));
		cr_assert_not_null(producers[i].items);
		for (size_t k = 0; k < run->per_producer; k++)
			producers[i].items[k] = (struct item){ .producer = i, .seq = k };
	}
	gate_open(&run->start);
}

static void check(struct run *run, struct producer *producers)
{
	uint64_t n = 0;

	cr_assert_eq(run->n_out_of_order, 0);
	for (size_t i = 0; i < PRODUCERS; i++) {
		cr_assert_eq(run->next[i], producers[i].n_pushed, "producer %zu: %lu of %lu", i,
			     (unsigned long)run->next[i], (unsigned long)producers[i].n_pushed);
		cr_assert_eq(producers[i].n_after_refusal, 0);
		n += producers[i].n_pushed;
		free(producers[i].items);
	}
	cr_assert_eq(queue_pushed(&run->queue), n);
	sti_mpsc_deinit(&run->queue.tail, &run->queue.head);
	sti_rcu_barrier();
	cr_assert_eq(faulty_outstanding(), 0);
}

static void run_to_the_end(struct run *run)
{
	struct producer producers[PRODUCERS] = { 0 };

	prepare(run, producers);
	run_threads(PRODUCERS, produce, producers, sizeof(producers[0]));
	for (size_t i = 0; i < PRODUCERS; i++)
		cr_assert_eq(producers[i].n_pushed, run->per_producer);
	check(run, producers);
}

Test(ring_threads, single_pushes_arrive_in_each_producers_order)
{
	struct run run = { .per_producer = 30000, .batch = 1 };

	run_to_the_end(&run);
}

Test(ring_threads, batches_arrive_in_each_producers_order)
{
	struct run run = { .per_producer = 60000, .batch = 60 };

	run_to_the_end(&run);
}

Test(ring_threads, a_ring_that_never_grows_laps_safely)
{
	/* One item in flight per producer: eight slots suffice for ever. */
	struct run run = { .per_producer = 5000, .batch = 1, .window = 1 };

	run_to_the_end(&run);
}

struct closer {
	struct producer producer;
	uint64_t n_closed;
};

/* Every thread pushes; each also closes when it is half-way. */
static void *produce_and_close(void *arg)
{
	struct closer *closer = arg;
	struct run *run = closer->producer.run;
	enum sti_push result;

	gate_pass(&run->start);
	while (closer->producer.n_pushed < run->per_producer / 2) {
		if (!produce_some(&closer->producer, run->batch))
			break;
	}
	result = queue_close(&run->queue);
	closer->n_closed = !(result & STI_PUSH_ENDED);
	if (result & STI_PUSH_WAKE)
		consume(run);
	if (produce_some(&closer->producer, 1))
		closer->producer.n_after_refusal++;
	return NULL;
}

static void run_with_close(size_t per_producer, size_t batch)
{
	struct run run = { .per_producer = per_producer, .batch = batch };
	struct producer producers[PRODUCERS] = { 0 };
	struct closer closers[PRODUCERS] = { 0 };
	uint64_t n_closed = 0;

	prepare(&run, producers);
	for (size_t i = 0; i < PRODUCERS; i++)
		closers[i].producer = producers[i];
	run_threads(PRODUCERS, produce_and_close, closers, sizeof(closers[0]));
	for (size_t i = 0; i < PRODUCERS; i++) {
		producers[i] = closers[i].producer;
		n_closed += closers[i].n_closed;
	}
	cr_assert_eq(n_closed, 1, "closed %lu times", (unsigned long)n_closed);
	cr_assert_eq(run.n_finals, 1, "ended %lu times", (unsigned long)run.n_finals);
	cr_assert_eq(run.n_after_final, 0);
	check(&run, producers);
}

Test(ring_threads, close_races_with_pushes)
{
	for (size_t i = 0; i < 100; i++)
		run_with_close(10 + i * 20, 1);
}

Test(ring_threads, close_races_with_batches)
{
	for (size_t i = 0; i < 100; i++)
		run_with_close(200 + i * 20, 1 + i % 50);
}
