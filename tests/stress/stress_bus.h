/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_STRESS_BUS_H
#define STASIS_TESTS_STRESS_BUS_H

/* stress_bus.h — numbered messages, and receivers that check what they are given
 *
 * Every publisher numbers its messages per topic: 0, 1, 2, ... A subscription must see an unbroken
 * run of each publisher's numbers, whenever it came and went. A receiver checks that, and that its
 * own Subscribe is first, that callbacks do not overlap, and that one final message is the last.
 *
 * A receiver's fields are plain: callbacks write them, and whoever has joined, drained or shut down
 * reads them. A race detector then checks the library's promise that this is safe.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <stasis/stasis.h>

#include "stress_impl.h"

/* What is published. */
struct stress_datum {
	uint64_t seq;
	uint32_t publisher;
	uint32_t topic;
};

struct stress_run {
	uint64_t first, next; /* numbers seen: first to next - 1 */
	bool any;
};

struct stress_receiver {
	uint32_t topic;
	uint32_t n_publishers;
	/* called after the checks; may be NULL */
	void (*hook)(struct stress_receiver *receiver, struct stasis_subscription *sub,
		     struct stasis_message *message, bool final);
	void *user;

	uint64_t n_calls;
	uint64_t n_data;
	uint64_t n_subscribes;
	uint64_t n_unsubscribes;
	uint64_t n_finals;
	_Atomic int inside;	   /* relaxed: must order nothing */
	_Atomic bool closed;	   /* relaxed: whoever set it knows that nothing may come */
	_Atomic uint64_t progress; /* relaxed: data so far, for whoever watches */
	struct stress_run runs[];  /* per publisher */
};

struct stress_receiver *stress_receiver_new(uint32_t topic, uint32_t n_publishers);

/* The callback; data is a struct stress_receiver. */
void stress_receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message);

/* Checks a receiver whose subscription is done: exactly one end. */
void stress_receiver_check_ended(const struct stress_receiver *receiver);

/* How far a publisher was when a path to a receiver began and ended: messages completed before it
 * began, begun when it was there, completed when it was about to end, begun when it was gone.
 * What is begun and completed while it is there must be seen, and nothing outside of it. */
struct stress_marks {
	uint64_t completed_before, begun_at, completed_at, begun_after;
};

void stress_run_check(const struct stress_run *run, const struct stress_marks *marks,
		      uint32_t publisher);

/* Subscriptions and forwards let go of their topics shortly after their end. */
void stress_await_refs(const struct stasis_topic *topic, unsigned refs);

struct stasis_message_type *stress_type(void);

struct stasis_message *stress_message(uint32_t publisher, uint32_t topic, uint64_t seq);

/* Made and freed, of the things that must be both: at the end they are equal. */
struct stress_balance {
	_Atomic uint64_t made, freed;
};

void stress_balance_check(const struct stress_balance *balance, const char *what);

/* Keeps publishers from running away from workers: waits while more than so many deliveries are
 * outstanding. Deliveries are counted by receivers, expectations by publishers. */
extern _Atomic uint64_t stress_delivered;
extern _Atomic uint64_t stress_expected;
void stress_throttle(struct stress *stress, uint64_t outstanding_max);

#endif
