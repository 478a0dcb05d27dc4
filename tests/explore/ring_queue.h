/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPLORE_RING_QUEUE_H
#define EXPLORE_RING_QUEUE_H

/* ring_queue.h — what the cases of explore-ring are made of: one queue, threads, checks
 *
 * Whoever is told STI_PUSH_WAKE opens a gate; the consumer passes it and takes until he is let go.
 * So a push that nobody is woken for shows as an item that is never delivered.
 *
 * Producers number their items: 0, 1, 2, ... What has been pushed and what has been delivered is
 * written down, and compared in the end. */

#include <stdint.h>

#include "explore.h"
#include "ring/run.h"

#define ITEMS 64u

struct item {
	uint64_t producer;
	uint64_t number;
};

extern struct ring_queue {
	struct sti_mpsc_tail tail;
	struct sti_mpsc_head head;

	/* Written by the consumer, of whom there is one. */
	struct item delivered[ITEMS];
	unsigned n_delivered;
	unsigned n_finals;

	/* What pushes said, by producer. */
	struct told {
		unsigned pushed, ended, full;
	} told[EXPLORE_THREADS];
} queue;

/* --- the queue: ring_queue.c --- */

/* With room for all. */
void setup(void);

/* With one place left in the first ring, of two, and the consumer awake. */
void setup_nearly_full(void);

/* With room for two items and no more; for one, which may be evicted. */
void setup_bounded(void);
void setup_evicting(void);

/* The four above, in this order, and holes are taken over at once. */
void setup_takeover(void);
void setup_takeover_small(void);
void setup_takeover_bounded(void);
void setup_takeover_evicting(void);

/* One item, of that number. */
void queue_push(unsigned producer, unsigned number);

/* The n items from that number on, at once; 4 at most. */
void queue_push_n(unsigned producer, unsigned number, unsigned n, enum sti_mpsc_how how);

/* A run of n items, from number 0 on; 3 at most. By one producer, once. */
void queue_push_run(unsigned producer, unsigned n);

/* One item; others are evicted if there is no room, and told.full counts those. */
void queue_push_evicting(unsigned producer, unsigned number);

/* The end comes behind what has been pushed. */
void queue_close(void);

enum take_kind { TAKE_MANY, TAKE_ONE_BY_ONE, TAKE_RUNS };

/* Turn after turn: until the queue has ended. */
void queue_consume(enum take_kind kind);

/* --- what threads do: ring_threads.c --- */

/* Two items, one after the other. */
void producer_0(void);
void producer_1(void);

/* One item: of producer 0, of producer 1. */
void producer_single(void);
void producer_other(void);

/* Of producer 1, at once: three items, as far as there is room; two or none; two in any case. */
void producer_batch(void);
void producer_whole(void);
void producer_force(void);

/* A run of producer 0: two items, three. */
void producer_run(void);
void producer_long_run(void);

/* Two items, one item; who finds the queue full evicts. */
void evictor_0(void);
void evictor_1(void);

void closer(void);

/* Looks once whether there are more items in the queue than it may hold. */
void no_more_than_two(void);

void consumer(void);
void consumer_one_by_one(void);
void consumer_runs(void);

/* --- what must hold in the end: ring_checks.c --- */

/* All of these: each producer's items have been delivered in order, each once. */

/* All that was pushed has been delivered. */
void check_all(void);

/* The same, and there is nothing in the queue. */
void check_bounded(void);

/* As check_all(), and the end has come once, behind all items; the queue's memory is freed. */
void check_ended(void);

/* As check_all(), unless a producer has been stopped: he keeps his own items, and what is behind a
 * hole. */
void check_stopped(void);

/* Producer 0 may have been stopped, and holes are taken over: he holds up nobody, unless he was to
 * wake the consumer. */
void check_passed(void);

/* What has not been delivered has been evicted, and counted. */
void check_evicted(void);

#endif
