/* SPDX-License-Identifier: BSD-2-Clause */
/* test_walk.c — whom a publish reaches along forwards: how often, and with how many references */

#include "bus/walk.h"
#include "faulty.h"
#include "graph_fixture.h"
#include "sync/rcu.h"

/* A root, two in the middle, and leaves: two paths to each leaf. */
enum {
	LEAVES_MAX = 300
};

struct fan {
	struct bus bus;
	struct stasis_topic *middle[2];
	struct stasis_topic *leaves[LEAVES_MAX];
	size_t n;
};

static void fan_open(struct fan *fan, size_t n)
{
	fan->bus = bus_open(2);
	fan->n = n;
	topics_make(fan->middle, 2);
	topics_make(fan->leaves, n);
	for (int i = 0; i < 2; i++) {
		lead_for_good(fan->bus.topic, fan->middle[i]);
		for (size_t j = 0; j < n; j++)
			lead_for_good(fan->middle[i], fan->leaves[j]);
	}
}

static void fan_close(struct fan *fan)
{
	bus_close(&fan->bus);
	topics_drop(fan->middle, 2);
	topics_drop(fan->leaves, fan->n);
}

/* --- once or for each path --- */

Test(walk, distinct_is_delivered_once_and_in_order)
{
	struct fan fan;
	struct probe probe = { 0 }, other = { 0 };
	struct stasis_subscription *sub, *neighbour;
	struct stasis_message *batch[10];

	fan_open(&fan, 1);
	sub = listen_distinct(&fan.bus, fan.leaves[0], &probe);
	neighbour = listen(&fan.bus, fan.leaves[0], &other);
	cr_assert_eq(publish_data(fan.bus.topic, 0, 0, 100), 0);
	for (uint64_t i = 0; i < 10; i++)
		batch[i] = datum_message(0, 100 + i);
	cr_assert_eq(stasis_publish_batch(fan.bus.topic, batch, 10), 0);
	cr_assert_eq(publish_data(fan.middle[0], 0, 110, 10), 0);
	cr_assert_eq(publish_data(fan.leaves[0], 0, 120, 10), 0);
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(neighbour);
	check_ended(&probe, 130);
	cr_assert_eq(other.n_data, 2 * 110 + 20);
	/* The neighbour's Subscribe and Unsubscribe came to this very topic. */
	cr_assert_eq(probe.n_subscribes, 2);
	cr_assert_eq(other.n_unsubscribes, 1);
	fan_close(&fan);
}

Test(walk, distinct_gets_changes_once_too)
{
	struct fan fan;
	struct probe probe = { 0 }, other = { 0 }, visitor = { 0 };
	struct stasis_subscription *sub, *neighbour;

	fan_open(&fan, 1);
	sub = listen_distinct(&fan.bus, fan.leaves[0], &probe);
	neighbour = listen(&fan.bus, fan.leaves[0], &other);
	stasis_unsubscribe_and_join(listen_distinct(&fan.bus, fan.bus.topic, &visitor));
	stasis_unsubscribe_and_join(neighbour);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(visitor.n_calls, 2);
	/* Itself, the neighbour, the visitor. */
	cr_assert_eq(probe.n_subscribes, 3);
	cr_assert_eq(probe.n_unsubscribes, 2);
	cr_assert_eq(other.n_subscribes, 1 + 2);
	cr_assert_eq(other.n_unsubscribes, 2);
	fan_close(&fan);
}

/* Every leaf has one of each: open or selective, distinct or not. */
enum kind { OPEN, OPEN_DISTINCT, SELECTIVE, SELECTIVE_DISTINCT, N_KINDS };

struct crowd {
	struct stasis_subscription *subs[LEAVES_MAX][N_KINDS];
	struct probe probes[LEAVES_MAX][N_KINDS];
};

static void crowd_come(struct crowd *crowd, struct fan *fan, struct stasis_message_type *accepted)
{
	for (size_t i = 0; i < fan->n; i++) {
		for (int kind = 0; kind < N_KINDS; kind++) {
			struct stasis_subscribe_options options = {
				.distinct = kind == OPEN_DISTINCT || kind == SELECTIVE_DISTINCT,
				.types = &accepted,
				.n_types = kind == SELECTIVE || kind == SELECTIVE_DISTINCT,
			};

			crowd->subs[i][kind] = listen_with(&fan->bus, fan->leaves[i],
							   &crowd->probes[i][kind], options);
		}
	}
}

static void crowd_go(struct crowd *crowd, struct fan *fan)
{
	for (size_t i = 0; i < fan->n; i++) {
		for (int kind = 0; kind < N_KINDS; kind++) {
			stasis_unsubscribe_and_join(crowd->subs[i][kind]);
			cr_assert_eq(crowd->probes[i][kind].n_finals, 1);
		}
	}
}

Test(walk, distinct_among_many_topics_and_neighbours)
{
	static struct fan fan;
	static struct crowd crowd;
	struct stasis_message_type *types[2];
	struct stasis_message *batch[4];

	fan_open(&fan, LEAVES_MAX);
	types_make(types, 2);
	crowd_come(&crowd, &fan, types[0]);
	for (uint64_t i = 0; i < 4; i++)
		cr_assert_eq(stasis_publish_take(fan.bus.topic, typed_message(types[i % 2], i % 2,
									      i / 2)), 0);
	for (uint64_t i = 0; i < 4; i++)
		batch[i] = typed_message(types[i / 2], i / 2, 2 + i % 2);
	cr_assert_eq(stasis_publish_batch(fan.bus.topic, batch, 4), 0);
	crowd_go(&crowd, &fan);
	for (size_t i = 0; i < fan.n; i++) {
		const struct probe *probes = crowd.probes[i];

		cr_assert_eq(probes[OPEN].n_data, 16, "leaf %zu", i);
		cr_assert_eq(probes[OPEN_DISTINCT].n_data, 8, "leaf %zu", i);
		cr_assert_eq(probes[OPEN_DISTINCT].n_out_of_order, 0);
		cr_assert_eq(probes[SELECTIVE].n_data, 8, "leaf %zu", i);
		cr_assert_eq(probes[SELECTIVE].next[0], 4);
		cr_assert_eq(probes[SELECTIVE_DISTINCT].n_data, 4, "leaf %zu", i);
		cr_assert_eq(probes[SELECTIVE_DISTINCT].n_out_of_order, 0);
		cr_assert_eq(probes[SELECTIVE_DISTINCT].next[1], 0);
	}
	types_drop(types, 2);
	fan_close(&fan);
}

/* --- references --- */

static int n_released;

static void release(void *data)
{
	__atomic_fetch_add(&n_released, 1, __ATOMIC_RELAXED);
}

static struct stasis_message *foreign_message(struct stasis_message_type *type)
{
	static struct datum nought;
	struct stasis_message *message = stasis_message_create_foreign(type, &nought, release);

	cr_assert_not_null(message);
	return message;
}

enum {
	N_BATCH = 12,
	N_MADE = 2 * (2 + N_BATCH) /* what publish_all_ways() makes */
};

/* Each way to publish, of two types; a reference to each message is kept. */
static void publish_all_ways(struct stasis_topic *topic, struct stasis_message_type **types,
			     struct stasis_message **kept)
{
	struct stasis_message *batch[2 * N_BATCH + 2];
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		kept[n] = foreign_message(types[i]);
		cr_assert_eq(stasis_publish(topic, kept[n++]), 0);
		kept[n] = foreign_message(types[i]);
		cr_assert_eq(stasis_publish_take(topic, stasis_object_ref(kept[n++])), 0);
	}
	/* 0 0 1 1 0 0 1 1 ... and the first twice more. */
	for (int i = 0; i < 2 * N_BATCH; i++) {
		kept[n] = foreign_message(types[i / 2 % 2]);
		batch[i] = stasis_object_ref(kept[n++]);
	}
	batch[2 * N_BATCH] = stasis_object_ref(batch[0]);
	batch[2 * N_BATCH + 1] = stasis_object_ref(batch[0]);
	cr_assert_eq(stasis_publish_batch(topic, batch, 2 * N_BATCH + 2), 0);
	cr_assert_eq(n, N_MADE);
	/* And one that is nobody else's. */
	cr_assert_eq(stasis_publish_take(topic, foreign_message(types[0])), 0);
	cr_assert_eq(stasis_publish_take(topic, foreign_message(types[1])), 0);
}

/* Nobody uses the bus any more: all references but the test's are gone. */
static void check_kept(struct stasis_message **kept)
{
	cr_assert_eq(n_released, 2);
	for (int i = 0; i < N_MADE; i++) {
		cr_assert_eq(stasis_object_refs(kept[i]), 1, "message %d: %u references", i,
			     stasis_object_refs(kept[i]));
		stasis_object_unref(kept[i]);
		cr_assert_eq(n_released, 2 + i + 1);
	}
	n_released = 0;
}

/* Messages that an open subscription gets by one path; of the first type, a selective one. */
#define N_OPEN ((size_t)(N_MADE + 2 + 2))
#define N_SELECTIVE ((size_t)(N_MADE / 2 + 1 + 2))

/* Leaves with one subscription each: segments of one. */
static void run_leaves(size_t n)
{
	static struct probe probes[LEAVES_MAX];
	struct stasis_subscription *subs[LEAVES_MAX];
	struct stasis_message_type *types[2];
	struct stasis_message *kept[N_MADE];
	struct fan fan;

	memset(probes, 0, sizeof(probes));
	fan_open(&fan, n);
	types_make(types, 2);
	for (size_t i = 0; i < n; i++) {
		struct stasis_subscribe_options options = {
			.distinct = i % 5 == 0,
			.types = types,
			.n_types = i % 3 == 0,
		};

		subs[i] = listen_with(&fan.bus, fan.leaves[i], &probes[i], options);
	}
	publish_all_ways(fan.bus.topic, types, kept);
	for (size_t i = 0; i < n; i++) {
		size_t expected = (i % 5 == 0 ? 1 : 2) * (i % 3 == 0 ? N_SELECTIVE : N_OPEN);

		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, expected, "leaf %zu: %zu, not %zu", i,
			     probes[i].n_data, expected);
	}
	types_drop(types, 2);
	fan_close(&fan);
	check_kept(kept);
}

Test(walk, references_are_exact_whatever_the_number_of_segments)
{
	static const size_t sizes[] = { 0,
					1,
					2,
					STI_WALK_SEGMENTS / 2 - 1,
					STI_WALK_SEGMENTS / 2,
					STI_WALK_SEGMENTS / 2 + 1,
					STI_WALK_SEGMENTS,
					STI_WALK_SEGMENTS + 1,
					3 * STI_WALK_SEGMENTS,
					LEAVES_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		run_leaves(sizes[i]);
}

/* Many at one topic: one segment of open ones, and one for each selective one that accepts. */
static void run_crowd(size_t n_open, size_t n_accepting, size_t n_declining)
{
	static struct probe probes[400];
	struct stasis_subscription *subs[400];
	struct stasis_message_type *types[3];
	struct stasis_message *kept[N_MADE];
	struct bus bus = bus_open(2);
	size_t n = n_open + n_accepting + n_declining;

	memset(probes, 0, sizeof(probes));
	types_make(types, 3);
	for (size_t i = 0; i < n; i++) {
		struct stasis_subscribe_options options = {
			.types = &types[i < n_open + n_accepting ? 0 : 2],
			.n_types = i >= n_open,
		};

		subs[i] = listen_with(&bus, bus.topic, &probes[i], options);
	}
	publish_all_ways(bus.topic, types, kept);
	for (size_t i = 0; i < n; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		cr_assert_eq(probes[i].n_data, i < n_open		   ? N_OPEN :
					       i < n_open + n_accepting ? N_SELECTIVE :
									  0);
	}
	types_drop(types, 3);
	bus_close(&bus);
	check_kept(kept);
}

Test(walk, references_are_exact_whoever_selects)
{
	run_crowd(0, 0, 1);
	run_crowd(0, 1, 0);
	run_crowd(0, 0, 100);
	run_crowd(1, 0, 100);
	run_crowd(0, 1, 100);
	run_crowd(3, STI_WALK_SEGMENTS - 1, 9);
	run_crowd(3, STI_WALK_SEGMENTS, 0);
	run_crowd(3, 5 * STI_WALK_SEGMENTS, 7);
}

Test(walk, references_are_exact_where_it_leads_to_nobody)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topics[3];
	struct stasis_message_type *types[2];
	struct stasis_message *kept[N_MADE];

	topics_make(topics, 3);
	types_make(types, 2);
	for (int i = 0; i < 3; i++)
		lead_for_good(bus.topic, topics[i]);
	publish_all_ways(bus.topic, types, kept);
	types_drop(types, 2);
	bus_close(&bus);
	topics_drop(topics, 3);
	check_kept(kept);
}

/* --- batches --- */

Test(walk, batch_of_several_types_arrives_in_order)
{
	enum {
		N = 1000
	};
	struct fan fan;
	struct probe distinct = { 0 }, direct = { 0 };
	struct stasis_subscription *at_leaf, *at_root;
	struct stasis_message_type *types[3];
	static struct stasis_message *batch[N];

	fan_open(&fan, 3);
	types_make(types, 3);
	at_leaf = listen_distinct(&fan.bus, fan.leaves[2], &distinct);
	at_root = listen(&fan.bus, fan.bus.topic, &direct);
	for (uint64_t i = 0; i < N; i++)
		batch[i] = typed_message(types[i * i % 7 % 3], 0, i);
	cr_assert_eq(stasis_publish_batch(fan.bus.topic, batch, N), 0);
	cr_assert_eq(stasis_publish_batch(fan.bus.topic, batch, 0), 0);
	cr_assert_eq(stasis_publish_take(fan.bus.topic, typed_message(types[0], 0, N)), 0);
	stasis_unsubscribe_and_join(at_leaf);
	stasis_unsubscribe_and_join(at_root);
	check_ended(&distinct, N + 1);
	check_ended(&direct, N + 1);
	types_drop(types, 3);
	fan_close(&fan);
}

Test(walk, refusals_along_all_paths_are_told)
{
	struct fan fan;
	struct gate hold = GATE_INIT;
	struct probe probes[2] = { { .hold = &hold }, { 0 } };
	struct stasis_subscribe_options options = { .capacity = 8,
						    .overflow = STASIS_OVERFLOW_DROP_NEWEST };
	struct stasis_subscription *subs[2];
	struct stasis_message *message = foreign_message(datum_type());
	struct stasis_stats stats = { 0 };

	fan_open(&fan, 1);
	subs[0] = listen_with(&fan.bus, fan.leaves[0], &probes[0], options);
	cr_assert_eq(publish_data(fan.leaves[0], 0, 0, 1), 0);
	gate_await(&hold, 1);
	subs[1] = listen(&fan.bus, fan.middle[1], &probes[1]);
	/* That was one more: 7 places are left, 8 come. */
	for (int i = 0; i < 3; i++)
		cr_assert_eq(stasis_publish(fan.bus.topic, message), 0);
	cr_assert_eq(stasis_publish(fan.bus.topic, message), 1);
	cr_assert_eq(stasis_publish(fan.bus.topic, message), 2);
	cr_assert_eq(stasis_publish_batch(fan.bus.topic,
					  (struct stasis_message *[]){ stasis_object_ref(message),
								       stasis_object_ref(message) },
					  2), 4);
	gate_open(&hold);
	for (int i = 0; i < 2; i++)
		stasis_unsubscribe_and_join(stasis_object_ref(subs[i]));
	cr_assert_eq(probes[0].n_data, 8);
	cr_assert_eq(probes[1].n_data, 7);
	cr_assert_eq(stasis_stats_read(subs[0], &stats), 0);
	cr_assert_eq(stats.dropped, 7);
	for (int i = 0; i < 2; i++)
		stasis_object_unref(subs[i]);
	fan_close(&fan);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
}

/* --- deep --- */

enum {
	DEPTH = STASIS_FORWARD_DEPTH_MAX
};

struct comb {
	struct stasis_topic *spine[DEPTH + 1];
	struct stasis_topic *leaf;
};

static void publish_into_comb(struct probe *probe, struct stasis_subscription *sub,
			      struct stasis_topic *topic, struct stasis_message *message)
{
	struct comb *comb = probe->user;

	stasis_publish(comb->spine[0], message);
}

/* The spine first and the leaf after it, so that the walk comes back to each topic of the spine. */
Test(walk, goes_as_deep_as_forwards_may)
{
	static struct comb comb;
	struct bus bus = bus_open(1);
	struct probe end = { 0 }, leaf = { 0 };
	struct probe inside = { .on_data = publish_into_comb, .user = &comb };
	struct stasis_subscription *at_end, *at_leaf, *sub;

	topics_make(comb.spine, DEPTH + 1);
	topics_make(&comb.leaf, 1);
	for (int i = 0; i < DEPTH; i++)
		lead_for_good(comb.spine[i], comb.spine[i + 1]);
	for (int i = 0; i < DEPTH; i++)
		lead_for_good(comb.spine[i], comb.leaf);
	at_end = listen(&bus, comb.spine[DEPTH], &end);
	at_leaf = listen(&bus, comb.leaf, &leaf);
	sub = bus_subscribe(&bus, &inside);
	cr_assert_eq(stasis_topic_subscribers(comb.spine[0]), 2);
	cr_assert_eq(publish_data(comb.spine[0], 0, 0, 1), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 1, 1), 0);
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(at_end);
	stasis_unsubscribe_and_join(at_leaf);
	check_ended(&end, 2);
	/* The end was told that the leaf's came, by no path; the leaf has got one for each. */
	cr_assert_eq(leaf.n_data, 2 * DEPTH);
	topics_drop(comb.spine, DEPTH + 1);
	topics_drop(&comb.leaf, 1);
	bus_close(&bus);
}

/* --- no memory --- */

/* Open and distinct ones at each leaf; what the distinct ones got of one message. */
static size_t run_without_memory(bool forever)
{
	static struct fan fan;
	static struct crowd crowd;
	struct stasis_message_type *type;
	struct stasis_message *message;
	size_t n_distinct = 0;

	faulty_install();
	type = stasis_message_type_create("memory");
	fan_open(&fan, 100);
	crowd_come(&crowd, &fan, type);
	/* Queues must not have to grow. */
	bus_drain(&fan.bus);
	message = foreign_message(type);
	faulty_arm(0, forever);
	cr_assert_eq(stasis_publish(fan.bus.topic, message), 0);
	cr_assert(faulty_disarm());
	crowd_go(&crowd, &fan);
	for (size_t i = 0; i < fan.n; i++) {
		for (int kind = 0; kind < N_KINDS; kind++) {
			size_t n = crowd.probes[i][kind].n_data;

			if (kind == OPEN || kind == SELECTIVE) {
				cr_assert_eq(n, 2);
			} else {
				cr_assert(n == 1 || n == 2);
				n_distinct += n;
			}
		}
	}
	fan_close(&fan);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
	stasis_object_unref(type);
	return n_distinct;
}

Test(walk, distinct_is_kept_when_there_is_memory_again)
{
	cr_assert_eq(run_without_memory(false), 200);
}

Test(walk, without_memory_distinct_rather_twice_than_not_at_all)
{
	/* One place stays empty; what is in the others is remembered. */
	size_t remembered = STI_WALK_VISITED - 1;

	cr_assert_eq(run_without_memory(true), 2 * (remembered + 2 * (100 - remembered)));
}
