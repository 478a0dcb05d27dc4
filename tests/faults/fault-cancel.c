/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-cancel.c — threads that are cancelled while they use the library
 *
 * No function of the library is a cancellation point, and what it calls back is not cancelled
 * either. A thread with a cancellation pending acts on it at the first cancellation point there is:
 * so each of them must return to it, and the thread must be gone right after.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "faults.h"
#include "gate.h"
#include "probe.h"

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	struct probe probe;
	uint64_t n_published;
	_Atomic unsigned n_released;
	_Atomic unsigned n_congested;
} world;

static struct {
	void (*call)(void);
	bool returned;
} doomed;

static void *doomed_thread(void *arg)
{
	pthread_cancel(pthread_self());
	doomed.call();
	doomed.returned = true;
	pthread_testcancel();
	return NULL;
}

/* Calls on a thread with a cancellation pending. */
static void call_cancelled(void (*call)(void))
{
	pthread_t thread;
	void *result;

	doomed.call = call;
	doomed.returned = false;
	CHECK(pthread_create(&thread, NULL, doomed_thread, NULL) == 0);
	CHECK(pthread_join(thread, &result) == 0);
	CHECK(doomed.returned);
	CHECK(result == PTHREAD_CANCELED);
}

/* A callback that could be cancelled. */
static void test_cancel(struct probe *probe, struct stasis_subscription *sub,
			struct stasis_topic *topic, struct stasis_message *message)
{
	pthread_testcancel();
}

static void on_congestion(void *data, struct stasis_subscription *sub, bool congested)
{
	pthread_testcancel();
	atomic_fetch_add(&world.n_congested, 1);
}

static void world_begin(enum stasis_wait wait, const struct stasis_subscribe_options *given)
{
	struct stasis_subscribe_options options = { 0 };

	if (given != NULL)
		options = *given;
	world.executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2, .wait = wait });
	CHECK(world.executor != NULL);
	world.topic = stasis_topic_create("cancelled");
	world.probe.on_any = test_cancel;
	options.executor = world.executor;
	world.sub = stasis_subscribe_with(world.topic, probe_callback, &world.probe, &options);
	CHECK(world.sub != NULL);
	stasis_executor_drain(world.executor);
}

/* Nothing is held: everything ends, and all has come. */
static void world_end(void)
{
	world.sub = stasis_unsubscribe_and_join(world.sub);
	CHECK(world.probe.n_data == world.n_published);
	CHECK(world.probe.n_out_of_order == 0);
	CHECK(world.probe.n_finals == 1);
	world.executor = stasis_executor_shutdown(world.executor);
	world.topic = stasis_object_unref(world.topic);
}

static void publish(void)
{
	for (unsigned i = 0; i < 100; i++)
		CHECK(publish_data(world.topic, 0, world.n_published++, 1) == 0);
}

static void publish_sync(const struct timespec *timeout)
{
	struct stasis_message *message = datum_message(0, world.n_published++);

	CHECK(stasis_publish_sync_timed(world.sub, message, timeout) == 0);
	stasis_object_unref(message);
}

static void publish_and_wait(void)
{
	publish_sync(NULL);
	publish_sync(&(struct timespec){ .tv_sec = 50 });
}

static void drain(void)
{
	publish();
	CHECK(stasis_executor_drain(world.executor) == 0);
	CHECK(world.probe.n_data == world.n_published);
}

static void run(void)
{
	publish();
	CHECK(stasis_executor_run(world.executor, SIZE_MAX) == 100);
}

static void come_and_go(void)
{
	static struct probe probe;
	struct stasis_subscribe_options options = { .executor = world.executor };
	struct stasis_subscription *sub;

	sub = stasis_subscribe_with(world.topic, probe_callback, &probe, &options);
	CHECK(sub != NULL);
	stasis_unsubscribe_and_join(sub);
	CHECK(probe.n_finals > 0);
}

static void whole_life(void)
{
	struct stasis_executor *executor = executor_with(2);
	struct stasis_subscribe_options options = { .executor = executor };
	struct stasis_topic *topic = stasis_topic_create("short-lived");
	struct stasis_subscription *sub;
	static struct probe probe;

	sub = stasis_subscribe_with(topic, probe_callback, &probe, &options);
	CHECK(publish_data(topic, 0, 0, 100) == 0);
	stasis_executor_shutdown(executor);
	CHECK(probe.n_data == 100);
	stasis_unsubscribe(sub);
	CHECK(probe.n_finals == 1);
	stasis_object_unref(topic);
}

static void test_pool(void)
{
	world_begin(STASIS_WAIT_PARK, NULL);
	call_cancelled(publish);
	call_cancelled(publish_and_wait);
	call_cancelled(drain);
	call_cancelled(come_and_go);
	call_cancelled(whole_life);
	call_cancelled(world_end);
}

static void test_manual(void)
{
	world_begin(STASIS_WAIT_MANUAL, NULL);
	/* Its descriptor is written, and read. */
	call_cancelled(publish);
	call_cancelled(drain);
	call_cancelled(run);
	call_cancelled(publish);
	/* The loop's thread has gone: this one takes its place. */
	CHECK(stasis_executor_run(world.executor, SIZE_MAX) == 100);
	world_end();
}

static void test_inline(void)
{
	world_begin(STASIS_WAIT_INLINE, NULL);
	call_cancelled(publish);
	call_cancelled(publish_and_wait);
	call_cancelled(come_and_go);
	call_cancelled(world_end);
}

static void test_congestion(void)
{
	struct stasis_subscribe_options options = { .low_water = 1,
						    .high_water = 50,
						    .on_congestion = on_congestion };

	world_begin(STASIS_WAIT_MANUAL, &options);
	call_cancelled(publish);
	CHECK(atomic_load(&world.n_congested) == 1);
	call_cancelled(drain);
	CHECK(atomic_load(&world.n_congested) % 2 == 0);
	world_end();
}

static void release(void *data)
{
	pthread_testcancel();
	atomic_fetch_add(&world.n_released, 1);
}

static void drop_objects(void)
{
	struct stasis_message *message;

	stasis_object_unref(stasis_object_alloc(16, release));
	/* Nobody is there: publish drops it, in the middle of it all. */
	message = stasis_message_create_foreign(datum_type(), &world, release);
	CHECK(stasis_publish_take(world.topic, message) == 0);
}

static void test_release(void)
{
	world.topic = stasis_topic_create("cancelled");
	call_cancelled(drop_objects);
	CHECK(atomic_load(&world.n_released) == 2);
	stasis_object_unref(world.topic);
}

static const char *get_id(struct stasis_message *message)
{
	return "one";
}

static void cache_life(void)
{
	struct stasis_cache *cache = stasis_cache_create(get_id);
	struct stasis_topic *topic = stasis_topic_create("cached");
	struct stasis_topic *all = stasis_topic_create("all");
	struct stasis_caching_topic *caching = stasis_caching_topic_create(topic, cache);
	struct stasis_forward *forward =
		stasis_forward_all(stasis_caching_get_topic(caching), all);
	struct stasis_message_router *router = stasis_message_router_create(all);
	struct stasis_message *got;

	CHECK(caching != NULL && forward != NULL && router != NULL);
	CHECK(publish_data(topic, 0, 0, 100) == 0);
	got = stasis_cache_get(cache, datum_type(), "one");
	CHECK(got != NULL);
	stasis_object_unref(got);
	stasis_message_router_unsubscribe_and_join(router);
	stasis_forward_cancel(forward);
	stasis_caching_unsubscribe_and_join(caching);
	stasis_object_unref(cache);
	stasis_object_unref(all);
	stasis_object_unref(topic);
}

static void test_cache(void)
{
	call_cancelled(cache_life);
	stasis_executor_shutdown(stasis_executor_default());
}

/* --- cancelled while it waits --- */

static struct gate hold = GATE_INIT;
static struct gate waiting = GATE_INIT;

static void wait_for_room(void)
{
	gate_open(&waiting);
	gate_pass(&waiting);
	CHECK(publish_data(world.topic, 0, world.n_published++, 1) == 0);
}

static void wait_for_callback(void)
{
	gate_open(&waiting);
	gate_pass(&waiting);
	publish_sync(NULL);
}

static void wait_for_end(void)
{
	gate_open(&waiting);
	gate_pass(&waiting);
	CHECK(stasis_subscription_join(world.sub) == 0);
}

static void wait_for_drain(void)
{
	gate_open(&waiting);
	gate_pass(&waiting);
	CHECK(stasis_executor_drain(world.executor) == 0);
}

static void *waiting_thread(void *arg)
{
	doomed.call();
	doomed.returned = true;
	pthread_testcancel();
	return NULL;
}

/* A thread is cancelled while it waits, and then what it waits for happens. */
static void cancel_waiting(void (*call)(void), bool ends)
{
	struct stasis_subscribe_options options = { .capacity = 1,
						    .overflow = STASIS_OVERFLOW_BLOCK };
	pthread_t thread;
	void *result;

	world.probe.hold = &hold;
	world_begin(STASIS_WAIT_PARK, &options);
	/* One in its callback, one behind it: full. */
	CHECK(publish_data(world.topic, 0, world.n_published++, 1) == 0);
	gate_await(&hold, 1);
	CHECK(publish_data(world.topic, 0, world.n_published++, 1) == 0);
	doomed.call = call;
	CHECK(pthread_create(&thread, NULL, waiting_thread, NULL) == 0);
	gate_await(&waiting, 1);
	usleep(20000); /* it sleeps by now, most likely */
	CHECK(pthread_cancel(thread) == 0);
	usleep(20000);
	CHECK(!doomed.returned);
	if (ends)
		stasis_unsubscribe(stasis_object_ref(world.sub));
	gate_open(&hold);
	CHECK(pthread_join(thread, &result) == 0);
	CHECK(doomed.returned);
	CHECK(result == PTHREAD_CANCELED);
	world_end();
}

static void test_wait_for_room(void)
{
	cancel_waiting(wait_for_room, false);
}

static void test_wait_for_callback(void)
{
	cancel_waiting(wait_for_callback, false);
}

static void test_wait_for_end(void)
{
	cancel_waiting(wait_for_end, true);
}

static void test_wait_for_drain(void)
{
	cancel_waiting(wait_for_drain, false);
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "pool", test_pool, NULL },
		{ "manual", test_manual, NULL },
		{ "inline", test_inline, NULL },
		{ "congestion", test_congestion, NULL },
		{ "release", test_release, NULL },
		{ "cache", test_cache, NULL },
		{ "wait-for-room", test_wait_for_room, NULL },
		{ "wait-for-callback", test_wait_for_callback, NULL },
		{ "wait-for-end", test_wait_for_end, NULL },
		{ "wait-for-drain", test_wait_for_drain, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
