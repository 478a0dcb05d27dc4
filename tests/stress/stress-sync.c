/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-sync.c — synchronous publishes that go round in rings, on a pool of two threads
 *
 * There are as many subscriptions as threads. Thread i publishes to subscription i and waits; each
 * callback passes the message on to the next one and waits, until it has made its hops. Messages
 * that follow each other round close circles of waits, one of which must be refused: everybody else
 * gets on. Whoever is told 0 has had his message handled exactly once, and
 * whoever is told that nothing was published has not; what has timed out is handled once, later.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stress_bus.h"

#define HOPS_MAX 6u

/* What goes round. */
struct hop {
	uint64_t seq;	   /* per thread that began it, and hop */
	uint32_t from;	   /* the subscription whose callback, or thread, published it */
	uint32_t left;	   /* hops to be made yet */
	_Atomic uint32_t *handled; /* by whoever waits for it without a timeout; NULL */
	bool inside;	   /* published by a callback */
};

struct station {
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	uint64_t random; /* the callback's own */
	uint64_t next_seq; /* the next that its callback publishes */
	/* what its callback has seen of threads and of the station before */
	uint64_t thread_next, inside_next;
	uint64_t n_handled, n_finals;
	_Atomic int in_callback;
	_Atomic uint64_t n_expected;
};

static struct {
	struct stasis_executor *executors[2];
	struct station *stations;
	uint32_t n;
	struct stasis_message_type *type;
	_Atomic uint64_t n_refused, n_late, n_deep;
} ring;

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Publishes to a station and accounts for what became of it. True: it has been published. */
static bool send(uint32_t to, struct hop hop, uint64_t *random)
{
	static const struct timespec times[] = { { 0, 0 }, { 0, 50000 }, { 0, 2000000 } };
	struct station *station = &ring.stations[to];
	_Atomic uint32_t handled = 0;
	struct stasis_message *message;
	uint64_t dice = stress_random(random) % 8;
	bool timed = dice < 3;
	int result;

	hop.handled = timed ? NULL : &handled;
	message = stasis_message_create_inline(ring.type, &hop, sizeof(hop));
	if (message == NULL)
		stress_die("no memory for a message");
	result = timed ? stasis_publish_sync_timed(station->sub, message, &times[dice]) :
			 stasis_publish_sync(station->sub, message);
	stasis_object_unref(message);
	switch (result) {
	case 0:
		/* Relaxed: the return orders it. */
		stress_check(timed || atomic_load_explicit(&handled, memory_order_relaxed) == 1,
			     "station %u: not handled when it returned", to);
		break;
	case -ETIMEDOUT:
		stress_check(timed, "station %u: timed out without a timeout", to);
		count(&ring.n_late);
		break;
	case -EDEADLK:
	case -ELOOP:
		stress_check(atomic_load_explicit(&handled, memory_order_relaxed) == 0,
			     "station %u: refused and handled", to);
		stress_check(hop.inside, "station %u: refused outside callbacks", to);
		count(result == -ELOOP ? &ring.n_deep : &ring.n_refused);
		return false;
	default:
		stress_violation("station %u: result %d", to, result);
		return false;
	}
	count(&station->n_expected);
	return true;
}

static void handle(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
	struct station *station = data;
	uint32_t index = (uint32_t)(station - ring.stations);
	struct hop hop;
	uint64_t *next;

	/* Relaxed: it must order nothing. */
	if (atomic_exchange_explicit(&station->in_callback, 1, memory_order_relaxed) != 0)
		stress_violation("two callbacks of one subscription at once");
	stress_check(station->n_finals == 0, "a message after the final message");
	station->n_finals += stasis_subscription_final_message(sub, message) == 1;
	if (stasis_message_type(message) == ring.type) {
		hop = *(const struct hop *)stasis_message_data(message);
		next = hop.inside ? &station->inside_next : &station->thread_next;
		stress_check(hop.seq == *next, "station %u: number %llu, expected %llu", index,
			     (unsigned long long)hop.seq, (unsigned long long)*next);
		*next = hop.seq + 1;
		station->n_handled++;
		if (hop.left > 0) {
			struct hop on = { .seq = station->next_seq, .from = index,
					  .left = hop.left - 1, .inside = true };

			station->next_seq += send((index + 1) % ring.n, on, &station->random);
		}
		if (hop.handled != NULL)
			atomic_fetch_add_explicit(hop.handled, 1, memory_order_relaxed);
	}
	atomic_store_explicit(&station->in_callback, 0, memory_order_relaxed);
}

static void sync_thread(struct stress_thread *self)
{
	uint64_t seq = 0;

	while (!stress_stopping(self->stress)) {
		struct hop hop = { .seq = seq, .from = self->index,
				   .left = (uint32_t)stress_below(self, HOPS_MAX + 1) };

		/* Now and then all the way round. */
		if (stress_below(self, 64) == 0)
			hop.left = ring.n + 2;
		seq += send(self->index, hop, &self->random);
		self->n_ops++;
	}
}

static void sync_setup(struct stress *stress)
{
	ring.n = stress->n_threads;
	ring.type = stasis_message_type_create("hop");
	ring.stations = stress_alloc(ring.n * sizeof(*ring.stations));
	ring.executors[0] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2 });
	ring.executors[1] = stress->seed % 2 ? NULL :
					       stasis_executor_create(
						       &(struct stasis_executor_options){
							       .threads = 1,
							       .wait = STASIS_WAIT_INLINE });
	for (uint32_t i = 0; i < ring.n; i++) {
		struct station *station = &ring.stations[i];
		/* With an even seed every fourth is of another executor. */
		struct stasis_executor *other = i % 4 == 3 ? ring.executors[1] : NULL;

		station->random = stress_seed(stress, 1000 + i);
		station->topic = stasis_topic_create("station");
		station->sub = stasis_subscribe_with(
			station->topic, handle, station,
			&(struct stasis_subscribe_options){
				.executor = other != NULL ? other : ring.executors[0] });
		if (station->sub == NULL)
			stress_die("cannot subscribe");
	}
}

static void sync_check(struct stress *stress)
{
	/* What timed out may still be going round: once more for each hop. */
	for (uint32_t round = 0; round < ring.n + HOPS_MAX + 4; round++) {
		for (int i = 0; i < 2; i++) {
			if (ring.executors[i] != NULL)
				stasis_executor_drain(ring.executors[i]);
		}
	}
	for (uint32_t i = 0; i < ring.n; i++)
		stasis_unsubscribe_and_join(stasis_object_ref(ring.stations[i].sub));
	for (uint32_t i = 0; i < ring.n; i++) {
		struct station *station = &ring.stations[i];
		uint64_t expected = atomic_load(&station->n_expected);

		stress_check(station->n_handled == expected,
			     "station %u: %llu published, %llu handled", i,
			     (unsigned long long)expected,
			     (unsigned long long)station->n_handled);
		stress_check(station->n_finals == 1, "station %u: %llu final messages", i,
			     (unsigned long long)station->n_finals);
		stasis_object_unref(station->sub);
		stasis_object_unref(station->topic);
	}
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(ring.executors[i]);
	printf("circles refused %llu, too deep %llu, timed out %llu\n",
	       (unsigned long long)atomic_load(&ring.n_refused),
	       (unsigned long long)atomic_load(&ring.n_deep),
	       (unsigned long long)atomic_load(&ring.n_late));
	free(ring.stations);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Publishes synchronously round a ring of subscriptions.",
		.ops = "messages begun",
		.threads_min = 64,
		.setup = sync_setup,
		.thread = sync_thread,
		.check = sync_check,
	};

	return stress_main(argc, argv, &program);
}
