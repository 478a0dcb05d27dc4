/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_PROBE_H
#define STASIS_TESTS_PROBE_H

/* probe.h — a subscriber that writes down what it is given
 *
 * Callbacks write plain fields and the test reads them after a join or a drain, so a race detector
 * also proves that the library orders the two. Only the check for overlapping callbacks uses an
 * atomic, and that one orders nothing.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stasis/stasis.h>

#include "gate.h"

#define PROBE_PUBLISHERS 16
#define PROBE_LOG 64
#define PROBE_ID 64

/* What the tests publish. */
struct datum {
	uint64_t publisher; /* below PROBE_PUBLISHERS */
	uint64_t seq;	    /* 0, 1, 2, ... per publisher */
};

enum probe_kind {
	PROBE_DATUM = 1,
	PROBE_SUBSCRIBE,   /* a change: somebody, perhaps this one, came */
	PROBE_UNSUBSCRIBE, /* a change: somebody else went */
	PROBE_FINAL,
};

struct probe_entry {
	enum probe_kind kind;
	struct datum datum;
	struct stasis_topic *topic;	   /* as given to the callback */
	struct stasis_topic *change_topic; /* as found in the change */
	char uniqueid[PROBE_ID];	   /* as found in the change */
};

struct probe;
typedef void (*probe_hook)(struct probe *probe, struct stasis_subscription *sub,
			   struct stasis_topic *topic, struct stasis_message *message);

struct probe {
	/* before subscribing */
	struct gate *hold;  /* data waits here */
	probe_hook on_any;  /* called last in every callback */
	probe_hook on_data; /* called last for data only */
	void *user;

	/* written by callbacks */
	size_t n_calls;
	size_t n_data;
	size_t n_subscribes;
	size_t n_unsubscribes;
	size_t n_finals;
	size_t n_out_of_order; /* data that did not follow its publisher's last one by 1 */
	size_t n_after_final;
	uint64_t next[PROBE_PUBLISHERS];
	struct probe_entry log[PROBE_LOG]; /* the first ones */
	pthread_t last_thread;
	_Atomic int inside;
	_Atomic int overlaps;
};

/* The callback; data is a struct probe. */
void probe_callback(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message);

/* The type of all data that the helpers publish; made at the first call. */
struct stasis_message_type *datum_type(void);

/* A message with a datum in it, inline. */
struct stasis_message *datum_message(uint64_t publisher, uint64_t seq);

/* Publishes data number first up to, not including, first + n. Returns the sum of the results. */
int publish_data(struct stasis_topic *topic, uint64_t publisher, uint64_t first, size_t n);

/* An executor with so many threads and default options otherwise. */
struct stasis_executor *executor_with(unsigned threads);

/* Subscribes probe_callback() on an executor. */
struct stasis_subscription *subscribe_on(struct stasis_topic *topic, struct probe *probe,
					 struct stasis_executor *executor);

#endif
