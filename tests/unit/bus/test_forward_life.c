/* SPDX-License-Identifier: BSD-2-Clause */
/* test_forward_life.c — how forwards end, in any order, from many threads, and without memory */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "faulty.h"
#include "graph_fixture.h"
#include "sync/rcu.h"

/* Waits until what the library holds has come down to n blocks: one grace period after another, for
 * a topic that is freed after one frees others after the next. */
static void await_outstanding(int64_t n)
{
	for (int i = 0; i < 1000 && faulty_outstanding() > n; i++)
		sti_rcu_barrier();
	cr_assert_eq(faulty_outstanding(), n, "%ld blocks left, not %ld",
		     (long)faulty_outstanding(), (long)n);
}

/* --- one thread --- */

Test(forward_life, dropping_its_handle_does_not_end_it)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = listen(&bus, to, &probe);

	stasis_object_unref(lead(bus.topic, to));
	sti_rcu_barrier();
	cr_assert_eq(publish_data(bus.topic, 0, 0, 3), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 3);
	bus_close(&bus);
	stasis_object_unref(to);
}

Test(forward_life, target_may_be_dropped_early)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = listen(&bus, to, &probe);
	struct stasis_forward *forward = lead(bus.topic, to);

	stasis_object_unref(to);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 3), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 3);
	sti_rcu_barrier();
	/* Only the forward holds it now. */
	cr_assert_eq(publish_data(bus.topic, 0, 3, 3), 0);
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 0);
	cancel(forward);
	cr_assert_eq(publish_data(bus.topic, 0, 6, 3), 0);
	bus_close(&bus);
}

Test(forward_life, cancelling_twice_says_so)
{
	struct stasis_topic *topics[2];
	struct stasis_forward *forward;

	topics_make(topics, 2);
	forward = lead(topics[0], topics[1]);
	stasis_object_ref(forward);
	cancel(forward);
	errno = 0;
	cr_assert_null(stasis_forward_cancel(forward));
	cr_assert_eq(errno, EALREADY);
	sti_rcu_barrier();
	cr_assert_eq(stasis_object_refs(topics[1]), 1);
	topics_drop(topics, 2);
}

Test(forward_life, ends_with_its_source)
{
	struct stasis_topic *topics[2];
	struct stasis_forward *forward;

	topics_make(topics, 2);
	forward = lead(topics[0], topics[1]);
	cr_assert_eq(stasis_object_refs(topics[0]), 1);
	cr_assert_eq(stasis_object_refs(topics[1]), 2);
	topics[0] = stasis_object_unref(topics[0]);
	sti_rcu_barrier();
	cr_assert_eq(stasis_object_refs(topics[1]), 1);
	cr_assert_eq(stasis_object_refs(forward), 1);
	errno = 0;
	cr_assert_null(stasis_forward_cancel(forward));
	cr_assert_eq(errno, EALREADY);
	topics_drop(topics + 1, 1);
}

Test(forward_life, chain_is_freed_from_its_head)
{
	enum {
		N = 100
	};
	struct stasis_topic *topics[N];
	int64_t before;

	faulty_install();
	topics_make(topics, 2);
	lead_for_good(topics[0], topics[1]);
	topics_drop(topics, 2);
	sti_rcu_barrier();
	sti_rcu_barrier();
	before = faulty_outstanding();
	topics_make(topics, N);
	for (int i = 0; i + 1 < N; i++)
		lead_for_good(topics[i], topics[i + 1]);
	topics_drop(topics + 1, N - 1);
	sti_rcu_barrier();
	/* A topic, a forward, an array; but the last has but the topic. */
	cr_assert_eq(faulty_outstanding(), before + 3 * N - 2);
	topics_drop(topics, 1);
	await_outstanding(before);
}

/* Two topics leading to a third, with a subscription there: six handles to let go of. */
struct handles {
	struct stasis_topic *topics[3];
	struct stasis_forward *forwards[2];
	struct stasis_subscription *sub;
	struct probe probe;
};

enum { N_HANDLES = 6 };

static void handles_let_go(struct handles *it, unsigned which, unsigned ways)
{
	if (which < 3) {
		stasis_object_unref(it->topics[which]);
	} else if (which == 5) {
		stasis_unsubscribe(it->sub);
	} else if (ways & (1u << (which - 3))) {
		errno = 0;
		stasis_forward_cancel(it->forwards[which - 3]);
		cr_assert(errno == 0 || errno == EALREADY);
	} else {
		stasis_object_unref(it->forwards[which - 3]);
	}
}

static void run_order(struct bus *bus, const unsigned *order, unsigned ways)
{
	struct handles it = { 0 };
	struct stasis_subscription *sub;

	topics_make(it.topics, 3);
	it.sub = listen(bus, it.topics[2], &it.probe);
	sub = stasis_object_ref(it.sub);
	it.forwards[0] = lead(it.topics[0], it.topics[1]);
	it.forwards[1] = lead(it.topics[1], it.topics[2]);
	cr_assert_eq(publish_data(it.topics[0], 0, 0, 1), 0);
	for (unsigned i = 0; i < N_HANDLES; i++)
		handles_let_go(&it, order[i], ways);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	stasis_object_unref(sub);
	check_ended(&it.probe, 1);
}

/* All orders of the first n. */
static void run_orders(struct bus *bus, unsigned *order, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned last = order[n - 1];

		order[n - 1] = order[i];
		order[i] = last;
		run_orders(bus, order, n - 1);
		order[i] = order[n - 1];
		order[n - 1] = last;
	}
	for (unsigned ways = 0; n == 0 && ways < 4; ways++)
		run_order(bus, order, ways);
}

Test(forward_life, everything_may_be_dropped_in_any_order)
{
	unsigned order[N_HANDLES] = { 0, 1, 2, 3, 4, 5 };
	unsigned refs;
	struct bus bus;
	int64_t before;

	faulty_install();
	bus = bus_open(1);
	refs = stasis_object_refs(bus.executor);
	run_order(&bus, order, 0);
	/* Subscriptions that are freed have let go of their executor. */
	for (int i = 0; i < 10 || stasis_object_refs(bus.executor) > refs; i++)
		sti_rcu_barrier();
	before = faulty_outstanding();
	run_orders(&bus, order, N_HANDLES);
	await_outstanding(before);
	bus_close(&bus);
}

/* --- many threads --- */

enum {
	ROUNDS = 2000,
	SIDES_MAX = 5,
	LENGTH = 50 /* so that looking for a cycle takes a while */
};

struct ring {
	unsigned n; /* chains, and threads */
	_Atomic unsigned n_arrived;
	struct stasis_topic *chains[SIDES_MAX][LENGTH];
	struct side {
		struct ring *ring;
		unsigned index;
		int errors[ROUNDS];
	} sides[SIDES_MAX];
};

/* Waits for the others so that they go on at the same time: not woken one by one. */
static void meet(struct ring *ring, unsigned n_meetings)
{
	unsigned n = atomic_fetch_add(&ring->n_arrived, 1) + 1;

	for (unsigned spins = 1; n < n_meetings * ring->n; spins++) {
		if (spins % 1000 == 0)
			sched_yield();
		n = atomic_load(&ring->n_arrived);
	}
}

static void *close_side(void *arg)
{
	struct side *side = arg;
	struct ring *ring = side->ring;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct stasis_forward *forward;

		meet(ring, 2 * i + 1);
		errno = 0;
		forward = stasis_forward_all(ring->chains[side->index][LENGTH - 1],
					     ring->chains[(side->index + 1) % ring->n][0]);
		side->errors[i] = forward != NULL ? 0 : errno;
		meet(ring, 2 * i + 2);
		if (forward != NULL)
			stasis_forward_cancel(forward);
	}
	return NULL;
}

static void run_ring(unsigned n)
{
	static struct ring ring;

	ring.n = n;
	atomic_store(&ring.n_arrived, 0);
	for (unsigned i = 0; i < n; i++) {
		topics_make(ring.chains[i], LENGTH);
		for (unsigned j = 0; j + 1 < LENGTH; j++)
			lead_for_good(ring.chains[i][j], ring.chains[i][j + 1]);
		ring.sides[i].ring = &ring;
		ring.sides[i].index = i;
	}
	run_threads(n, close_side, ring.sides, sizeof(ring.sides[0]));
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned n_loops = 0;

		for (unsigned j = 0; j < n; j++) {
			int error = ring.sides[j].errors[i];

			cr_assert(error == 0 || error == ELOOP, "%s", strerror(error));
			n_loops += error == ELOOP;
		}
		cr_assert_eq(n_loops, 1, "round %u: %u refused", i, n_loops);
	}
	for (unsigned i = 0; i < n; i++)
		topics_drop(ring.chains[i], LENGTH);
}

Test(forward_life, of_those_who_close_a_cycle_at_once_one_is_refused)
{
	for (unsigned n = 2; n <= SIDES_MAX; n++)
		run_ring(n);
}

struct stream {
	struct stasis_topic *topic;
	_Atomic uint64_t begun, completed, refused;
	_Atomic bool stop;
};

static void *publish_stream(void *arg)
{
	struct stream *stream = arg;

	while (!atomic_load(&stream->stop)) {
		uint64_t seq = atomic_fetch_add(&stream->begun, 1);

		int result = stasis_publish_take(stream->topic, datum_message(0, seq));

		if (result != 0)
			atomic_fetch_add(&stream->refused, 1);
		atomic_fetch_add(&stream->completed, 1);
	}
	return NULL;
}

/* Each time to another topic: a publish that began under the last forward may still be on its way
 * to that one's target. */
static void run_interval(struct bus *bus, struct stream *stream)
{
	struct stasis_topic *to = stasis_topic_create("to");
	struct probe probe = { 0 };
	struct stasis_subscription *sub = listen(bus, to, &probe);
	uint64_t completed_before = atomic_load(&stream->completed);
	struct stasis_forward *forward = lead(stream->topic, to);
	uint64_t begun_at = atomic_load(&stream->begun);
	uint64_t first, completed_at, begun_after;

	while (atomic_load(&stream->completed) < begun_at + 5)
		sched_yield();
	completed_at = atomic_load(&stream->completed);
	cancel(forward);
	begun_after = atomic_load(&stream->begun);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(atomic_load(&stream->refused), 0);
	cr_assert_eq(probe.log[1].kind, PROBE_DATUM);
	first = probe.log[1].datum.seq;
	cr_assert_eq(probe.n_out_of_order, first != 0, "%zu gaps, %zu from %lu to %lu",
		     probe.n_out_of_order, probe.n_data, (unsigned long)first,
		     (unsigned long)probe.next[0]);
	cr_assert_eq(probe.n_data, probe.next[0] - first);
	cr_assert_geq(first, completed_before, "completed before the forward was made");
	cr_assert_leq(first, begun_at, "begun after the forward was made, and lost");
	cr_assert_geq(probe.next[0], completed_at, "completed before the cancel, and lost");
	cr_assert_leq(probe.next[0], begun_after, "begun after the cancel");
	stasis_object_unref(to);
}

Test(forward_life, begins_and_ends_sharply_while_others_publish)
{
	struct bus bus = bus_open(1);
	struct stream stream = { .topic = bus.topic };
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, publish_stream, &stream), 0);
	for (int i = 0; i < 200; i++)
		run_interval(&bus, &stream);
	atomic_store(&stream.stop, true);
	pthread_join(thread, NULL);
	bus_close(&bus);
}

/* --- no memory --- */

static uint64_t forwards_of(struct stasis_topic *topic)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(topic, &stats), 0);
	return stats.forwards;
}

Test(forward_life, making_one_without_memory_changes_nothing)
{
	struct stasis_topic *topics[3];
	uint64_t n = 0;

	faulty_install();
	topics_make(topics, 3);
	lead_for_good(topics[0], topics[2]);
	cancel(lead(topics[0], topics[1]));
	for (;; n++) {
		struct stasis_forward *forward;

		sti_rcu_barrier();
		errno = 0;
		faulty_arm(n, false);
		forward = stasis_forward_all(topics[0], topics[1]);
		if (!faulty_disarm()) {
			cancel(forward);
			break;
		}
		cr_assert_null(forward);
		cr_assert_eq(errno, ENOMEM);
		cr_assert_eq(forwards_of(topics[0]), 1);
		cr_assert_eq(stasis_object_refs(topics[1]), 1);
		/* Nothing leads there, so this is no cycle. */
		cancel(lead(topics[1], topics[0]));
	}
	cr_assert_geq(n, 2);
	topics_drop(topics, 3);
}

Test(forward_life, cancelling_needs_no_memory)
{
	enum {
		N = 5
	};
	struct bus bus;
	struct stasis_topic *topics[2];
	struct stasis_forward *forwards[N];
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];
	struct stasis_message_type *type = datum_type();

	faulty_install();
	bus = bus_open(1);
	topics_make(topics, 2);
	subs[0] = listen(&bus, topics[0], &probes[0]);
	subs[1] = listen(&bus, topics[1], &probes[1]);
	subs[2] = listen_with(&bus, bus.topic, &probes[2],
			      (struct stasis_subscribe_options){ .types = &type, .n_types = 1 });
	/* 0 1 0 1 0 */
	for (int i = 0; i < N; i++)
		forwards[i] = lead(bus.topic, topics[i % 2]);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	faulty_arm(0, true);
	cancel(forwards[0]);
	cr_assert(faulty_disarm());
	cr_assert_eq(forwards_of(bus.topic), 4);
	cr_assert_eq(publish_data(bus.topic, 1, 0, 1), 0);
	faulty_arm(0, true);
	cancel(forwards[1]);
	cancel(forwards[3]);
	cr_assert(faulty_disarm());
	cr_assert_eq(forwards_of(bus.topic), 2);
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 2);
	cr_assert_eq(publish_data(bus.topic, 2, 0, 1), 0);
	/* A copy, without the empty places. */
	forwards[0] = lead(bus.topic, topics[1]);
	expect_loop(topics[1], bus.topic);
	cr_assert_eq(forwards_of(bus.topic), 3);
	cr_assert_eq(publish_data(bus.topic, 3, 0, 1), 0);
	for (int i = 0; i < N; i += 2) {
		faulty_arm(0, true);
		cancel(forwards[i]);
		faulty_disarm();
	}
	cr_assert_eq(forwards_of(bus.topic), 0);
	cr_assert_eq(publish_data(bus.topic, 4, 0, 1), 0);
	cancel(lead(topics[0], bus.topic));
	cancel(lead(topics[1], bus.topic));
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	/* Three paths, two, two, two, none; then two, two, none, one, none. */
	cr_assert_eq(probes[0].n_data, 3 + 2 + 2 + 2);
	cr_assert_eq(probes[1].n_data, 2 + 2 + 0 + 1);
	cr_assert_eq(probes[2].n_data, 5);
	bus_close(&bus);
	topics_drop(topics, 2);
}

Test(forward_life, unsubscribe_needs_no_memory_beside_forwards_and_filters)
{
	struct bus bus;
	struct stasis_topic *to = stasis_topic_create("to");
	struct stasis_message_type *type = datum_type();
	struct probe probes[6] = { 0 };
	struct stasis_subscription *subs[6];

	faulty_install();
	bus = bus_open(1);
	lead_for_good(bus.topic, to);
	/* Open ones, selective ones, of each a distinct one; one behind the forward. */
	for (int i = 0; i < 6; i++) {
		struct stasis_subscribe_options options = { .distinct = i == 1 || i == 3 };

		if (i == 2 || i == 3 || i == 4) {
			options.types = &type;
			options.n_types = 1;
		}
		subs[i] = listen_with(&bus, i == 5 ? to : bus.topic, &probes[i], options);
	}
	cr_assert_eq(publish_data(bus.topic, 0, 0, 2), 0);
	for (int i = 0; i < 4; i++) {
		/* So that nobody's queue has to grow. */
		bus_drain(&bus);
		faulty_arm(0, true);
		stasis_unsubscribe(stasis_object_ref(subs[i]));
		cr_assert(faulty_disarm());
		/* Filters of those that are gone may change all the same. */
		cr_assert_eq(stasis_subscription_decline_message_type(subs[i], type), 0);
		cr_assert_eq(publish_data(bus.topic, 0, 2 + (uint64_t)i, 1), 0);
		cr_assert_eq(stasis_topic_subscribers(bus.topic), 5 - (size_t)i);
	}
	/* A copy, without the empty places. */
	cr_assert_eq(stasis_subscription_set_filter(subs[4], STASIS_SUBSCRIPTION_FILTER_NONE), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 6, 1), 0);
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 2);
	for (int i = 0; i < 6; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, i < 4 ? 2 + (size_t)i : 7, "subscription %d", i);
		cr_assert_eq(probes[i].n_out_of_order, 0);
		cr_assert_eq(probes[i].n_finals, 1);
		cr_assert_eq(probes[i].n_after_final, 0);
	}
	/* Four ended without memory, one with; each told those still there. */
	cr_assert_eq(probes[5].n_unsubscribes, 5);
	cr_assert_eq(stasis_topic_wants(bus.topic, type), 0);
	bus_close(&bus);
	stasis_object_unref(to);
}
