/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sync_end.c — publishing and waiting, where it ends early: timeouts, full queues, ends of
 * subscriptions, no memory */

#include <time.h>

#include "base/slab.h"
#include "faulty.h"
#include "sync/rcu.h"
#include "sync_fixture.h"

static const struct timespec no_time, some_time = { .tv_nsec = 2000000 };

static struct stasis_stats stats_of(const void *handle)
{
	struct stasis_stats stats = { 0 };

	cr_assert_eq(stasis_stats_read(handle, &stats), 0);
	return stats;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* A bus with one subscription whose callback is held up, and another. */
struct held {
	struct bus bus;
	struct gate hold;
	struct probe probe, other_probe;
	struct stasis_subscription *sub, *other;
};

static void held_open(struct held *held, const struct stasis_subscribe_options *given)
{
	struct stasis_subscribe_options options = *given;

	*held = (struct held){ .bus = bus_open(2), .hold = GATE_INIT };
	held->probe.hold = &held->hold;
	options.executor = held->bus.executor;
	held->sub = stasis_subscribe_with(held->bus.topic, probe_callback, &held->probe, &options);
	cr_assert_not_null(held->sub);
	held->other = bus_subscribe(&held->bus, &held->other_probe);
	bus_drain(&held->bus);
	cr_assert_eq(publish_data(held->bus.topic, 0, 0, 1), 0);
	gate_await(&held->hold, 1);
}

static void held_close(struct held *held, size_t n_data, size_t n_other)
{
	gate_open(&held->hold);
	stasis_unsubscribe_and_join(held->other);
	stasis_unsubscribe_and_join(held->sub);
	cr_assert_eq(held->probe.n_data, n_data, "%zu", held->probe.n_data);
	cr_assert_eq(held->other_probe.n_data, n_other, "%zu", held->other_probe.n_data);
	cr_assert_eq(held->probe.overlaps, 0);
	cr_assert_eq(held->probe.n_finals, 1);
	bus_close(&held->bus);
}

static const struct stasis_subscribe_options plain;

/* --- arguments --- */

Test(sync_end, wrong_arguments_are_refused)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = datum_message(0, 0);
	const struct timespec wrong[] = { { -1, 0 }, { 0, -1 }, { 0, 1000000000 } };

	cr_assert_eq(stasis_publish_sync(NULL, message), -EINVAL);
	cr_assert_eq(stasis_publish_sync(sub, NULL), -EINVAL);
	cr_assert_eq(stasis_publish_sync_timed(NULL, message, &some_time), -EINVAL);
	cr_assert_eq(stasis_publish_sync_timed(sub, NULL, &some_time), -EINVAL);
	cr_assert_eq(stasis_publish_sync_timed(sub, NULL, NULL), -EINVAL);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(stasis_publish_sync_timed(sub, message, &wrong[i]), -EINVAL);
	cr_assert_eq(published(bus.topic), 0);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 0);
	bus_close(&bus);
}

/* --- time --- */

Test(sync_end, time_runs_out_and_it_is_delivered_all_the_same)
{
	struct stasis_message *message = datum_message(0, 1);
	struct held held;
	double began;

	held_open(&held, &plain);
	began = now();
	cr_assert_eq(stasis_publish_sync_timed(held.sub, message, &some_time), -ETIMEDOUT);
	cr_assert_geq(now() - began, 0.002);
	cr_assert_eq(stasis_publish_sync_timed(held.sub, message, &no_time), -ETIMEDOUT);
	cr_assert_geq(stasis_object_refs(message), 3);
	held_close(&held, 3, 3);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
}

Test(sync_end, no_time_at_all_still_publishes)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	for (uint64_t i = 0; i < 200; i++) {
		int result = sync_datum(sub, 0, i, &no_time);

		cr_assert(result == 0 || result == -ETIMEDOUT, "%d", result);
	}
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 200);
	bus_close(&bus);
}

struct busy {
	struct stasis_subscription *target;
	_Atomic bool stop;
	int result;
};

static void publish_again(struct probe *probe, struct stasis_subscription *sub,
			  struct stasis_topic *topic, struct stasis_message *message)
{
	struct busy *busy = probe->user;

	if (!atomic_load(&busy->stop))
		must(publish_data(topic, 0, probe->n_data, 1) == 0);
}

static void wait_for_target(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct busy *busy = probe->user;

	busy->result = sync_datum(busy->target, 0, 1, &some_time);
	atomic_store(&busy->stop, true);
}

/* There is always something that the waiting worker can help with. */
Test(sync_end, time_runs_out_on_a_worker_that_is_busy)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topic = stasis_topic_create("again");
	struct busy busy = { 0 };
	struct probe again = { .on_data = publish_again, .user = &busy };
	struct probe waiting = { .on_data = wait_for_target, .user = &busy };
	struct stasis_subscription *again_sub = subscribe_on(topic, &again, bus.executor);
	struct stasis_subscription *waiting_sub = bus_subscribe(&bus, &waiting);
	struct held held;

	held_open(&held, &plain);
	busy.target = held.sub;
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(waiting_sub);
	cr_assert_eq(busy.result, -ETIMEDOUT);
	stasis_unsubscribe_and_join(again_sub);
	check_ended(&again, again.n_data);
	check_ended(&waiting, 1);
	held_close(&held, 2, 2);
	stasis_object_unref(topic);
	bus_close(&bus);
}

/* --- ends --- */

Test(sync_end, after_unsubscribe_nothing_is_published)
{
	struct held held;

	held_open(&held, &plain);
	stasis_unsubscribe(stasis_object_ref(held.sub));
	cr_assert_eq(sync_datum(held.sub, 0, 1, NULL), -ESHUTDOWN);
	cr_assert_eq(sync_datum(held.sub, 0, 1, &some_time), -ESHUTDOWN);
	gate_open(&held.hold);
	cr_assert_eq(stasis_subscription_join(held.sub), 0);
	cr_assert_eq(sync_datum(held.sub, 0, 1, NULL), -ESHUTDOWN);
	cr_assert_eq(published(held.bus.topic), 1);
	held_close(&held, 1, 1);
}

Test(sync_end, after_shutdown_nothing_is_published)
{
	struct bus bus = bus_open(1), others = bus_open(1);
	struct probe probe = { 0 }, other_probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_subscription *other = subscribe_on(bus.topic, &other_probe, others.executor);

	bus.executor = stasis_executor_shutdown(bus.executor);
	cr_assert_eq(sync_datum(sub, 0, 0, NULL), -ESHUTDOWN);
	cr_assert_eq(sync_datum(sub, 0, 0, &some_time), -ESHUTDOWN);
	cr_assert_eq(published(bus.topic), 0);
	cr_assert_eq(stats_of(sub).dropped, 0);
	/* It is not the others' concern. */
	cr_assert_eq(sync_datum(other, 0, 0, NULL), 1);
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(other);
	cr_assert_eq(probe.n_data, 0);
	cr_assert_eq(other_probe.n_data, 1);
	stasis_object_unref(bus.topic);
	bus_close(&others);
}

struct race {
	struct stasis_subscription *sub;
	struct stasis_executor *executor; /* to be shut down instead */
	pthread_barrier_t *start;
	unsigned n_handled;
	bool ends;
};

static void *run_race(void *arg)
{
	struct race *race = arg;

	pthread_barrier_wait(race->start);
	if (race->ends && race->executor != NULL) {
		stasis_executor_shutdown(race->executor);
	} else if (race->ends) {
		stasis_unsubscribe(stasis_object_ref(race->sub));
	} else {
		for (int i = 0; i < 10; i++) {
			int result = sync_datum(race->sub, 0, 0, i % 2 ? &some_time : NULL);

			must(result == 0 || result == -ESHUTDOWN || result == -ETIMEDOUT);
			/* What was too late is handled all the same. */
			race->n_handled += result != -ESHUTDOWN;
		}
	}
	return NULL;
}

static void race_with_the_end(bool shutdown)
{
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, 4);
	for (int round = 0; round < 100; round++) {
		struct bus bus = bus_open(1);
		struct probe probe = { 0 };
		struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
		struct race races[4];
		unsigned n_handled;

		for (int i = 0; i < 4; i++)
			races[i] = (struct race){ sub, shutdown ? bus.executor : NULL, &start, 0,
						  i == 0 };
		run_threads(4, run_race, races, sizeof(races[0]));
		stasis_unsubscribe_and_join(stasis_object_ref(sub));
		n_handled = races[1].n_handled + races[2].n_handled + races[3].n_handled;
		cr_assert_eq(probe.n_data, n_handled, "%zu, %u", probe.n_data, n_handled);
		cr_assert_eq(probe.n_finals, 1);
		cr_assert_eq(probe.overlaps, 0);
		cr_assert_eq(probe.n_after_final, 0);
		stasis_object_unref(sub);
		if (shutdown)
			stasis_object_unref(bus.topic);
		else
			bus_close(&bus);
	}
	pthread_barrier_destroy(&start);
}

Test(sync_end, of_a_subscription_that_ends_meanwhile)
{
	race_with_the_end(false);
}

Test(sync_end, of_an_executor_that_ends_meanwhile)
{
	race_with_the_end(true);
}

static void end_and_drop(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	stasis_unsubscribe(sub); /* the only reference */
}

Test(sync_end, subscription_may_be_dropped_inside_the_callback)
{
	struct bus bus = bus_open(1);

	for (int i = 0; i < 100; i++) {
		struct probe probe = { .on_data = end_and_drop };
		struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

		cr_assert_eq(sync_datum(sub, 0, 0, i % 2 ? &(struct timespec){ 100, 0 } : NULL), 0);
		bus_drain(&bus);
		check_ended(&probe, 1);
	}
	sti_rcu_barrier();
	cr_assert_eq(stasis_object_refs(bus.topic), 1);
	cr_assert_eq(stasis_object_refs(bus.executor), 1);
	bus_close(&bus);
}

/* --- memory --- */

Test(sync_end, nothing_is_left_behind)
{
	struct held held;
	size_t slabs;

	held_open(&held, &plain);
	gate_open(&held.hold);
	for (uint64_t i = 1; i < 100; i++)
		cr_assert_eq(sync_datum(held.sub, 0, i, NULL), 0);
	bus_drain(&held.bus);
	slabs = sti_slab_in_use();
	for (uint64_t i = 100; i < 10000; i++) {
		int result = sync_datum(held.sub, 0, i, i % 3 ? NULL : &no_time);

		cr_assert(result == 0 || result == -ETIMEDOUT, "%d", result);
	}
	bus_drain(&held.bus);
	/* A leak would fill a slab each 1,000. A thread may hold one more for another CPU. */
	cr_assert_leq(sti_slab_in_use(), slabs + 4);
	cr_assert_eq(held.probe.n_out_of_order, 0);
	held_close(&held, 10000, 10000);
}

Test(sync_end, without_memory_nothing_is_published)
{
	struct stasis_message *message;
	struct held held;
	int64_t before;
	unsigned n = 0;
	int result;

	faulty_install();
	held_open(&held, &(struct stasis_subscribe_options){ .capacity = 1 << 16 });
	/* Only this one's queue has room. */
	stasis_unsubscribe_and_join(held.other);
	message = datum_message(1, 0);
	sti_rcu_barrier();
	before = faulty_outstanding();
	faulty_arm(0, true);
	/* Each takes a block until there are none. */
	while ((result = stasis_publish_sync_timed(held.sub, message, &no_time)) == -ETIMEDOUT) {
		n++;
		cr_assert_lt(n, 60000);
	}
	cr_assert_eq(result, -ENOMEM);
	cr_assert_eq(stasis_publish_sync(held.sub, message), -ENOMEM);
	cr_assert(faulty_disarm());
	cr_assert_eq(published(held.bus.topic), n + 1);
	gate_open(&held.hold);
	cr_assert_eq(stasis_publish_sync(held.sub, message), 0);
	cr_assert_eq(held.probe.n_data, n + 2);
	bus_drain(&held.bus);
	cr_assert_eq(stasis_object_refs(message), 1);
	sti_rcu_barrier();
	/* What was queued before is gone too. */
	cr_assert_leq(faulty_outstanding(), before);
	stasis_object_unref(message);
	held.other = bus_subscribe(&held.bus, &held.other_probe);
	held_close(&held, n + 2, 1);
}

/* A queue that has to grow for the request, and cannot. */
Test(sync_end, without_memory_for_the_queue_it_is_not_taken)
{
	struct stasis_message *message = datum_message(1, 0);
	int result = -ETIMEDOUT;
	struct held held;
	size_t n = 0;

	faulty_install();
	held_open(&held, &plain);
	/* Its queue would have to grow too. */
	stasis_unsubscribe_and_join(held.other);
	faulty_arm(0, true);
	for (; result == -ETIMEDOUT && n < 100; n++)
		result = stasis_publish_sync_timed(held.sub, message, &no_time);
	cr_assert(faulty_disarm());
	/* Where requests come from the allocator too, it is they that cannot be made. */
	cr_assert_eq(result, STI_SLAB_ENABLED ? 1 : -ENOMEM, "%d", result);
	cr_assert_eq(stats_of(held.sub).dropped, STI_SLAB_ENABLED);
	cr_assert_eq(published(held.bus.topic), n + STI_SLAB_ENABLED);
	gate_open(&held.hold);
	bus_drain(&held.bus);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
	held.other = bus_subscribe(&held.bus, &held.other_probe);
	held_close(&held, n, 1);
}

/* --- full queues --- */

static void full_open(struct held *held, enum stasis_overflow overflow)
{
	held_open(held, &(struct stasis_subscribe_options){ .capacity = 2, .overflow = overflow });
	cr_assert_eq(publish_data(held->bus.topic, 0, 1, 2), 0);
}

static void run_refused(enum stasis_overflow overflow)
{
	struct held held;

	full_open(&held, overflow);
	cr_assert_eq(sync_datum(held.sub, 0, 3, NULL), 1);
	cr_assert_eq(sync_datum(held.sub, 0, 4, &some_time), 1);
	cr_assert_eq(stats_of(held.sub).dropped, 2);
	held_close(&held, 3, 5);
	cr_assert_eq(held.probe.n_out_of_order, 0);
}

Test(sync_end, drop_newest_refuses_it)
{
	run_refused(STASIS_OVERFLOW_DROP_NEWEST);
}

Test(sync_end, reject_refuses_it)
{
	run_refused(STASIS_OVERFLOW_REJECT);
}

Test(sync_end, drop_oldest_takes_it_and_may_give_it_up_again)
{
	struct caller caller;
	struct held held;

	full_open(&held, STASIS_OVERFLOW_DROP_OLDEST);
	caller = (struct caller){ .sub = held.sub, .seq = 3 };
	caller_start(&caller);
	await_published(held.bus.topic, 4);
	/* 2 and 3 are queued; 3 goes with the second of these. */
	cr_assert_eq(publish_data(held.bus.topic, 0, 4, 2), 0);
	cr_assert_eq(caller_join(&caller), 1);
	cr_assert_eq(stats_of(held.sub).dropped, 3);
	/* A request that evicts requests. */
	cr_assert_eq(sync_datum(held.sub, 0, 6, &no_time), -ETIMEDOUT);
	caller = (struct caller){ .sub = held.sub, .seq = 7 };
	caller_start(&caller);
	await_published(held.bus.topic, 8);
	gate_open(&held.hold);
	cr_assert_eq(caller_join(&caller), 0);
	held_close(&held, 3, 8);
}

Test(sync_end, block_waits_for_room_first)
{
	struct caller caller;
	struct held held;

	full_open(&held, STASIS_OVERFLOW_BLOCK);
	cr_assert_eq(sync_datum(held.sub, 0, 3, &some_time), -ETIMEDOUT);
	cr_assert_eq(stats_of(held.sub).dropped, 1);
	caller = (struct caller){ .sub = held.sub, .publisher = 1, .seq = 0 };
	caller_start(&caller);
	await_published(held.bus.topic, 5);
	gate_open(&held.hold);
	cr_assert_eq(caller_join(&caller), 0);
	cr_assert_eq(stats_of(held.sub).blocked, 2);
	held_close(&held, 4, 5);
	cr_assert_eq(held.probe.n_out_of_order, 0);
}

static void await_blocked(const struct stasis_subscription *sub, uint64_t n)
{
	while (stats_of(sub).blocked < n)
		sched_yield();
}

Test(sync_end, block_is_ended_by_unsubscribe)
{
	struct caller caller;
	struct held held;

	full_open(&held, STASIS_OVERFLOW_BLOCK);
	caller = (struct caller){ .sub = held.sub, .seq = 3 };
	caller_start(&caller);
	await_blocked(held.sub, 1);
	stasis_unsubscribe(stasis_object_ref(held.sub));
	cr_assert_eq(caller_join(&caller), -ESHUTDOWN);
	cr_assert_eq(stats_of(held.sub).dropped, 0);
	held_close(&held, 3, 4);
}

struct wait_inside {
	struct stasis_subscription *target;
	int result;
};

static void wait_inside(struct probe *probe, struct stasis_subscription *sub,
			struct stasis_topic *topic, struct stasis_message *message)
{
	struct wait_inside *wait = probe->user;
	const struct datum *datum = stasis_message_data(message);

	/* Its own may come back. */
	if (datum->publisher != 2)
		wait->result = sync_datum(wait->target, 2, probe->next[2], NULL);
}

Test(sync_end, block_grows_inside_callbacks)
{
	struct stasis_topic *topic = stasis_topic_create("inside");
	struct stasis_subscription *sub;
	struct wait_inside wait;
	struct held held;
	struct probe probe = { .on_data = wait_inside, .user = &wait };

	full_open(&held, STASIS_OVERFLOW_BLOCK);
	wait = (struct wait_inside){ held.sub, 12345 };
	sub = subscribe_on(topic, &probe, held.bus.executor);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	await_published(held.bus.topic, 4);
	gate_open(&held.hold);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(wait.result, 0);
	cr_assert_eq(stats_of(held.sub).blocked, 0);
	held_close(&held, 4, 4);
	check_ended(&probe, 1);
	stasis_object_unref(topic);
}

/* Whom the publisher would run himself is waited for by the callback that he waits for. */
Test(sync_end, nothing_stays_claimed_while_others_are_waited_for)
{
	struct bus bus = bus_open(2);
	struct gate meet = GATE_INIT;
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe), *full;
	struct wait_inside wait = { sub, 12345 };
	struct probe waiting = { .hold = &meet, .on_data = wait_inside, .user = &wait };
	struct stasis_subscribe_options options = {
		.executor = bus.executor, .capacity = 1, .overflow = STASIS_OVERFLOW_BLOCK
	};
	struct caller caller = { .sub = sub, .publisher = 0, .seq = 2 };

	full = stasis_subscribe_with(bus.topic, probe_callback, &waiting, &options);
	cr_assert_not_null(full);
	bus_drain(&bus);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_await(&meet, 1);
	cr_assert_eq(publish_data(bus.topic, 0, 1, 1), 0);
	while (stats_of(sub).delivered < 4)
		sched_yield();
	caller_start(&caller);
	await_blocked(full, 1);
	gate_open(&meet);
	cr_assert_eq(caller_join(&caller), 0);
	bus_drain(&bus);
	cr_assert_eq(wait.result, 0);
	stasis_unsubscribe_and_join(full);
	stasis_unsubscribe_and_join(sub);
	/* Each of the three led to one more. */
	cr_assert_eq(probe.n_data, 6, "%zu", probe.n_data);
	cr_assert_eq(waiting.n_data, 6, "%zu", waiting.n_data);
	bus_close(&bus);
}
