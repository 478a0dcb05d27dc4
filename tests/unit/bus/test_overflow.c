/* SPDX-License-Identifier: BSD-2-Clause */
/* test_overflow.c — what each policy does with a full queue, message by message */

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bus_fixture.h"
#include "faulty.h"

#define SEEN_MAX 4096u

/* A subscription whose first datum is held up, so that the rest stays queued. */
struct full {
	struct bus bus;
	struct stasis_executor *loop; /* instead of a pool; NULL: a pool */
	struct gate hold;
	struct stasis_subscription *sub;
	size_t capacity; /* as rounded */
	uint64_t seen[SEEN_MAX];
	size_t n_seen, n_finals;
};

static struct stasis_stats stats_of(const void *handle)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(handle, &stats), 0);
	return stats;
}

static void see(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		struct stasis_message *message)
{
	struct full *full = data;
	const struct datum *datum = stasis_message_data(message);

	full->n_finals += stasis_subscription_final_message(sub, message) == 1;
	if (stasis_message_type(message) != datum_type())
		return;
	if (full->loop == NULL)
		gate_pass(&full->hold);
	if (full->n_seen < SEEN_MAX)
		full->seen[full->n_seen] = datum->seq;
	full->n_seen++;
}

static void full_open(struct full *full, enum stasis_overflow overflow, size_t capacity,
		      bool manual)
{
	struct stasis_subscribe_options options = { .capacity = capacity, .overflow = overflow };

	*full = (struct full){ .bus = bus_open(1), .hold = GATE_INIT, .capacity = 1 };
	while (full->capacity < capacity)
		full->capacity *= 2;
	if (manual)
		full->loop = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	options.executor = manual ? full->loop : full->bus.executor;
	full->sub = stasis_subscribe_with(full->bus.topic, see, full, &options);
	cr_assert_not_null(full->sub);
	if (manual) {
		cr_assert_eq(stasis_executor_run(full->loop, SIZE_MAX), 1);
		return;
	}
	/* One is with the callback: it takes no room. */
	bus_drain(&full->bus);
	cr_assert_eq(publish_data(full->bus.topic, 0, 9999, 1), 0);
	gate_await(&full->hold, 1);
}

/* Lets everything through; what was seen after the first is first, first + 1, ... */
static void full_close(struct full *full, uint64_t first, size_t n)
{
	size_t skip = full->loop == NULL;

	stasis_unsubscribe(stasis_object_ref(full->sub));
	gate_open(&full->hold);
	if (full->loop != NULL)
		stasis_executor_run(full->loop, SIZE_MAX);
	cr_assert_eq(stasis_subscription_join(full->sub), 0);
	cr_assert_eq(full->n_seen, n + skip, "%zu instead of %zu", full->n_seen, n + skip);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(full->seen[i + skip], first + i, "place %zu: %lu", i,
			     (unsigned long)full->seen[i + skip]);
	cr_assert_eq(full->n_finals, 1);
	stasis_object_unref(full->sub);
	stasis_executor_shutdown(full->loop);
	bus_close(&full->bus);
}

static int publish_together(struct stasis_topic *topic, uint64_t first, size_t n)
{
	struct stasis_message **messages = calloc(n, sizeof(struct stasis_message *));
	int result;

	for (size_t i = 0; i < n; i++)
		messages[i] = datum_message(0, first + i);
	result = stasis_publish_batch(topic, messages, n);
	free(messages);
	return result;
}

static const size_t capacities[] = { 1, 2, 4, 8, 1000 };

#define FOR_EACH_CASE(i)                                                                           \
	for (unsigned i = 0; i < 2 * sizeof(capacities) / sizeof(capacities[0]); i++)

static void full_open_case(struct full *full, enum stasis_overflow overflow, unsigned i)
{
	full_open(full, overflow, capacities[i / 2], i % 2);
}

/* --- one by one --- */

Test(overflow, drop_newest_keeps_what_came_first)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		struct stasis_message *message = datum_message(0, 1);
		size_t cap;

		full_open_case(&full, STASIS_OVERFLOW_DROP_NEWEST, i);
		cap = full.capacity;
		cr_assert_eq(publish_data(full.bus.topic, 0, 0, cap), 0);
		cr_assert_eq(publish_data(full.bus.topic, 0, cap, 5), 5);
		cr_assert_eq(stasis_publish(full.bus.topic, message), 1);
		cr_assert_eq(stasis_object_refs(message), 1);
		stasis_object_unref(message);
		cr_assert_eq(stats_of(full.sub).dropped, 6);
		cr_assert_eq(stats_of(full.sub).grown, 0);
		full_close(&full, 0, cap);
	}
}

Test(overflow, reject_keeps_what_came_first)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		full_open_case(&full, STASIS_OVERFLOW_REJECT, i);
		cr_assert_eq(publish_data(full.bus.topic, 0, 0, full.capacity), 0);
		cr_assert_eq(publish_data(full.bus.topic, 0, 5000, 5), 5);
		cr_assert_eq(stats_of(full.sub).dropped, 5);
		full_close(&full, 0, full.capacity);
	}
}

Test(overflow, drop_oldest_keeps_what_came_last)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		struct stasis_message *message;

		full_open_case(&full, STASIS_OVERFLOW_DROP_OLDEST, i);
		message = datum_message(0, 0);
		cr_assert_eq(stasis_publish(full.bus.topic, message), 0);
		cr_assert_eq(stasis_object_refs(message), 2);
		cr_assert_eq(publish_data(full.bus.topic, 0, 1, 2 * full.capacity + 2), 0);
		cr_assert_eq(stasis_object_refs(message), 1);
		stasis_object_unref(message);
		cr_assert_eq(stats_of(full.sub).dropped, full.capacity + 3);
		cr_assert_eq(stats_of(full.sub).depth, full.capacity + (full.loop == NULL));
		full_close(&full, full.capacity + 3, full.capacity);
	}
}

Test(overflow, grow_keeps_everything)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		full_open_case(&full, STASIS_OVERFLOW_GROW, i);
		cr_assert_eq(publish_data(full.bus.topic, 0, 0, 2100), 0);
		cr_assert_eq(stats_of(full.sub).dropped, 0);
		cr_assert_eq(stats_of(full.sub).depth, 2100 + (full.loop == NULL));
		full_close(&full, 0, 2100);
	}
}

/* --- several at once --- */

Test(overflow, of_a_batch_drop_newest_takes_what_fits)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		full_open_case(&full, STASIS_OVERFLOW_DROP_NEWEST, i);
		cr_assert_eq(publish_together(full.bus.topic, 0, full.capacity + 7), 7);
		cr_assert_eq(publish_together(full.bus.topic, 0, 3), 3);
		cr_assert_eq(stats_of(full.sub).dropped, 10);
		full_close(&full, 0, full.capacity);
	}
}

Test(overflow, of_a_batch_reject_takes_all_or_none)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		size_t cap;

		full_open_case(&full, STASIS_OVERFLOW_REJECT, i);
		cap = full.capacity;
		cr_assert_eq(publish_together(full.bus.topic, 0, cap + 1), (int)cap + 1);
		cr_assert_eq(publish_data(full.bus.topic, 0, 0, 1), 0);
		cr_assert_eq(publish_together(full.bus.topic, 1, cap), (int)cap);
		if (cap > 1)
			cr_assert_eq(publish_together(full.bus.topic, 1, cap - 1), 0);
		cr_assert_eq(stats_of(full.sub).dropped, 2 * cap + 1);
		full_close(&full, 0, cap);
	}
}

Test(overflow, of_a_batch_drop_oldest_keeps_the_last)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		full_open_case(&full, STASIS_OVERFLOW_DROP_OLDEST, i);
		cr_assert_eq(publish_together(full.bus.topic, 0, 3 * full.capacity), 0);
		cr_assert_eq(stats_of(full.sub).dropped, 2 * full.capacity);
		full_close(&full, 2 * full.capacity, full.capacity);
	}
}

/* --- block --- */

struct publisher {
	struct stasis_topic *topic;
	uint64_t first;
	size_t n;
	bool together;
	int result;
	pthread_t thread;
};

static void *publish(void *arg)
{
	struct publisher *publisher = arg;

	publisher->result =
		publisher->together ?
			publish_together(publisher->topic, publisher->first, publisher->n) :
			publish_data(publisher->topic, 0, publisher->first, publisher->n);
	return NULL;
}

static void publisher_start(struct publisher *publisher)
{
	cr_assert_eq(pthread_create(&publisher->thread, NULL, publish, publisher), 0);
}

static void await_blocked(const struct stasis_subscription *sub, uint64_t n)
{
	while (stats_of(sub).blocked < n)
		sched_yield();
}

Test(overflow, block_makes_the_publisher_wait)
{
	static struct full full;

	FOR_EACH_CASE (i) {
		struct publisher publisher;

		full_open_case(&full, STASIS_OVERFLOW_BLOCK, i);
		cr_assert_eq(publish_data(full.bus.topic, 0, 0, full.capacity), 0);
		publisher = (struct publisher){
			.topic = full.bus.topic,
			.first = full.capacity,
			.n = 5,
			.together = i % 4 < 2,
		};
		publisher_start(&publisher);
		await_blocked(full.sub, 1);
		cr_assert_eq(stats_of(full.sub).depth, full.capacity + (full.loop == NULL));
		if (full.loop != NULL) {
			/* One taken: room for one. */
			cr_assert_eq(stasis_executor_run(full.loop, 1), 1);
			while (stats_of(full.sub).depth < full.capacity)
				sched_yield();
			while (full.n_seen < full.capacity + 5)
				stasis_executor_run(full.loop, 1);
		}
		gate_open(&full.hold);
		pthread_join(publisher.thread, NULL);
		cr_assert_eq(publisher.result, 0);
		cr_assert_eq(stats_of(full.sub).dropped, 0);
		full_close(&full, 0, full.capacity + 5);
	}
}

static void block_some(struct full *full, struct publisher publishers[4])
{
	full_open(full, STASIS_OVERFLOW_BLOCK, 4, false);
	cr_assert_eq(publish_data(full->bus.topic, 0, 0, 4), 0);
	for (uint64_t i = 0; i < 4; i++) {
		publishers[i] = (struct publisher){
			.topic = full->bus.topic, .first = 100, .n = 3, .together = true
		};
		publisher_start(&publishers[i]);
	}
	await_blocked(full->sub, 4);
}

static int join_all(struct publisher publishers[4])
{
	int sum = 0;

	for (int i = 0; i < 4; i++) {
		pthread_join(publishers[i].thread, NULL);
		sum += publishers[i].result;
	}
	return sum;
}

Test(overflow, block_lets_all_who_wait_go_on)
{
	static struct full full;
	struct publisher publishers[4];

	block_some(&full, publishers);
	gate_open(&full.hold);
	cr_assert_eq(join_all(publishers), 0);
	cr_assert_eq(stats_of(full.sub).dropped, 0);
	bus_drain(&full.bus);
	cr_assert_eq(full.n_seen, 17);
	/* Those of the four came in any order. */
	full.n_seen = 5;
	full_close(&full, 0, 4);
}

Test(overflow, block_is_ended_by_unsubscribe_and_not_counted)
{
	static struct full full;
	struct publisher publishers[4];

	block_some(&full, publishers);
	stasis_unsubscribe(stasis_object_ref(full.sub));
	cr_assert_eq(join_all(publishers), 0);
	cr_assert_eq(stats_of(full.sub).dropped, 0);
	full_close(&full, 0, 4);
}

static void *shut_down(void *arg)
{
	return stasis_executor_shutdown(arg);
}

Test(overflow, block_is_ended_by_shutdown_and_counted)
{
	static struct full full;
	struct publisher publishers[4];
	pthread_t thread;

	block_some(&full, publishers);
	stasis_object_ref(full.bus.executor);
	cr_assert_eq(pthread_create(&thread, NULL, shut_down, full.bus.executor), 0);
	cr_assert_eq(join_all(publishers), 12);
	cr_assert_eq(stats_of(full.sub).dropped, 12);
	gate_open(&full.hold);
	pthread_join(thread, NULL);
	full_close(&full, 0, 4);
}

struct inside {
	struct stasis_topic *topic;
	int result;
};

static void publish_inside(struct probe *probe, struct stasis_subscription *sub,
			   struct stasis_topic *topic, struct stasis_message *message)
{
	struct inside *inside = probe->user;

	inside->result = publish_data(inside->topic, 0, 2, 10) +
			 publish_together(inside->topic, 12, 10);
}

Test(overflow, block_grows_inside_callbacks)
{
	static struct full full;
	struct bus other = bus_open(1);
	struct inside inside = { NULL, 12345 };
	struct probe probe = { .on_data = publish_inside, .user = &inside };
	struct stasis_subscription *sub = bus_subscribe(&other, &probe);

	full_open(&full, STASIS_OVERFLOW_BLOCK, 2, false);
	inside.topic = full.bus.topic;
	cr_assert_eq(publish_data(full.bus.topic, 0, 0, 2), 0);
	cr_assert_eq(publish_data(other.topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(inside.result, 0);
	cr_assert_eq(stats_of(full.sub).blocked, 0);
	cr_assert_eq(stats_of(full.sub).depth, 23);
	gate_open(&full.hold);
	bus_drain(&full.bus);
	cr_assert_gt(stats_of(full.sub).grown, 0);
	full_close(&full, 0, 22);
	bus_close(&other);
}

Test(overflow, block_grows_on_the_loops_thread)
{
	static struct full full;

	full_open(&full, STASIS_OVERFLOW_BLOCK, 2, true);
	cr_assert_eq(publish_data(full.bus.topic, 0, 0, 50), 0);
	cr_assert_eq(stats_of(full.sub).blocked, 0);
	full_close(&full, 0, 50);
}

Test(overflow, changes_never_wait_for_room)
{
	static struct full full;
	struct probe probe = { 0 };

	full_open(&full, STASIS_OVERFLOW_BLOCK, 1, false);
	cr_assert_eq(publish_data(full.bus.topic, 0, 0, 1), 0);
	for (int i = 0; i < 50; i++)
		stasis_unsubscribe(subscribe_on(full.bus.topic, &probe, full.bus.executor));
	cr_assert_eq(stats_of(full.sub).blocked, 0);
	cr_assert_eq(stats_of(full.sub).dropped, 0);
	cr_assert_eq(stats_of(full.sub).depth, 102);
	full_close(&full, 0, 1);
}

/* --- many that are full --- */

#define N_FULL 100

struct crowd {
	struct bus bus;
	struct gate hold;
	struct probe probes[N_FULL];
	struct stasis_subscription *subs[N_FULL];
};

static void crowd_open(struct crowd *crowd, enum stasis_overflow overflow)
{
	struct stasis_subscribe_options options = { .capacity = 1, .overflow = overflow };

	*crowd = (struct crowd){ .bus = bus_open(N_FULL), .hold = GATE_INIT };
	options.executor = crowd->bus.executor;
	for (int i = 0; i < N_FULL; i++) {
		crowd->probes[i].hold = &crowd->hold;
		/* Nobody sees the changes of the others: there would be no room for them. */
		options.types = (struct stasis_message_type *[]){ datum_type() };
		options.n_types = 1;
		crowd->subs[i] = stasis_subscribe_with(crowd->bus.topic, probe_callback,
						       &crowd->probes[i], &options);
		cr_assert_not_null(crowd->subs[i]);
	}
	cr_assert_eq(publish_data(crowd->bus.topic, 0, 0, 1), 0);
	gate_await(&crowd->hold, N_FULL);
	cr_assert_eq(publish_data(crowd->bus.topic, 0, 1, 1), 0);
}

static void crowd_close(struct crowd *crowd, size_t n_data, uint64_t next, uint64_t dropped)
{
	gate_open(&crowd->hold);
	for (int i = 0; i < N_FULL; i++) {
		stasis_unsubscribe_and_join(stasis_object_ref(crowd->subs[i]));
		cr_assert_eq(crowd->probes[i].n_data, n_data, "%zu", crowd->probes[i].n_data);
		cr_assert_eq(crowd->probes[i].next[0], next);
		cr_assert_eq(crowd->probes[i].n_finals, 1);
		cr_assert_eq(stats_of(crowd->subs[i]).dropped, dropped);
		stasis_object_unref(crowd->subs[i]);
	}
	bus_close(&crowd->bus);
}

static void crowd_run(enum stasis_overflow overflow, bool memory)
{
	static struct crowd crowd;
	struct publisher publisher;
	struct stasis_message *message;
	bool oldest = overflow == STASIS_OVERFLOW_DROP_OLDEST;
	bool block = overflow == STASIS_OVERFLOW_BLOCK;
	int refused;

	faulty_install();
	crowd_open(&crowd, overflow);
	message = datum_message(0, 2);
	if (block && memory) {
		publisher = (struct publisher){ .topic = crowd.bus.topic, .first = 2, .n = 1 };
		publisher_start(&publisher);
		await_blocked(crowd.subs[0], 1);
		gate_open(&crowd.hold);
		pthread_join(publisher.thread, NULL);
		cr_assert_eq(publisher.result, 0);
		crowd_close(&crowd, 3, 3, 0);
		stasis_object_unref(message);
		return;
	}
	if (!memory)
		faulty_arm(0, true);
	if (block) {
		/* Those that could not be noted are refused, and that ends no wait. */
		gate_open(&crowd.hold);
		refused = stasis_publish(crowd.bus.topic, message);
		cr_assert_leq(refused, N_FULL - 8);
		faulty_disarm();
		for (int i = 0; i < N_FULL; i++)
			refused -= (int)stats_of(crowd.subs[i]).dropped;
		cr_assert_eq(refused, 0);
		for (int i = 0; i < N_FULL; i++) {
			stasis_unsubscribe_and_join(stasis_object_ref(crowd.subs[i]));
			cr_assert_eq(crowd.probes[i].n_data + stats_of(crowd.subs[i]).dropped, 3);
			stasis_object_unref(crowd.subs[i]);
		}
		bus_close(&crowd.bus);
	} else {
		cr_assert_eq(stasis_publish(crowd.bus.topic, message), oldest ? 0 : N_FULL);
		faulty_disarm();
		crowd_close(&crowd, 2, oldest ? 3 : 2, 1);
	}
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
}

Test(overflow, a_hundred_full_queues_drop_the_newest)
{
	crowd_run(STASIS_OVERFLOW_DROP_NEWEST, true);
	crowd_run(STASIS_OVERFLOW_DROP_NEWEST, false);
}

Test(overflow, a_hundred_full_queues_drop_the_oldest)
{
	crowd_run(STASIS_OVERFLOW_DROP_OLDEST, true);
	crowd_run(STASIS_OVERFLOW_DROP_OLDEST, false);
}

Test(overflow, a_hundred_full_queues_reject)
{
	crowd_run(STASIS_OVERFLOW_REJECT, true);
	crowd_run(STASIS_OVERFLOW_REJECT, false);
}

Test(overflow, a_hundred_full_queues_are_waited_for)
{
	crowd_run(STASIS_OVERFLOW_BLOCK, true);
}

Test(overflow, a_hundred_full_queues_are_waited_for_as_far_as_memory_goes)
{
	crowd_run(STASIS_OVERFLOW_BLOCK, false);
}

Test(overflow, options_out_of_range_are_refused)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	const struct stasis_subscribe_options wrong[] = {
		{ .capacity = STASIS_CAPACITY_MAX + 1 },
		{ .capacity = SIZE_MAX, .overflow = STASIS_OVERFLOW_BLOCK },
		{ .overflow = (enum stasis_overflow)(STASIS_OVERFLOW_REJECT + 1) },
		{ .overflow = (enum stasis_overflow)-1 },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		cr_assert_null(
			stasis_subscribe_with(bus.topic, probe_callback, &probe, &wrong[i]));
		cr_assert_eq(errno, EINVAL, "%zu", i);
	}
	cr_assert_eq(probe.n_calls, 0);
	bus_close(&bus);
}
