/* SPDX-License-Identifier: BSD-2-Clause */
/* test_caches.c — defects of caches that have been found and mended */

#include "regress_fixture.h"

/* A snapshot. */
struct held {
	char id[8];
	struct stasis_caching_topic *other; /* ended when the snapshot is; may be NULL */
};

static struct stasis_message_type *snap, *plain;

static const char *snap_id(struct stasis_message *message)
{
	struct held *held = stasis_message_data(message);

	return stasis_message_type(message) == snap ? held->id : NULL;
}

static struct stasis_message *snap_new(const char *id)
{
	struct held held = { .other = NULL };

	strncpy(held.id, id, sizeof(held.id) - 1);
	return stasis_message_create_inline(snap, &held, sizeof(held));
}

struct world {
	struct stasis_topic *topic;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;
};

static struct world world_open(void)
{
	struct world world = { .topic = topic_new(), .cache = stasis_cache_create(snap_id) };

	if (snap == NULL) {
		snap = stasis_message_type_create("snap");
		plain = stasis_message_type_create("plain");
	}
	world.caching = stasis_caching_topic_create(world.topic, world.cache);
	cr_assert_not_null(world.caching);
	return world;
}

static void world_close(struct world *world)
{
	world->caching = stasis_caching_unsubscribe_and_join(world->caching);
	world->cache = stasis_object_unref(world->cache);
	world->topic = stasis_object_unref(world->topic);
}

/* --- at the end of a cache, release functions ran inside a read section --- */

static int n_released;

static void release_and_wait(void *data)
{
	struct held *held = data;

	/* Waits for a grace period. */
	held->other = stasis_caching_unsubscribe_and_join(held->other);
	n_released++;
}

Test(caches, a_release_function_may_wait_at_the_end_of_a_cache)
{
	struct world world = world_open(), other = world_open();
	struct held held = { .id = "a", .other = other.caching };

	stasis_publish_take(world.topic,
			    stasis_message_create_foreign(snap, &held, release_and_wait));
	world.caching = stasis_caching_unsubscribe(world.caching);
	/* The caching topic's goes on another thread. */
	while (stasis_object_refs(world.cache) > 1)
		sched_yield();
	stasis_object_unref(world.cache);
	cr_assert_eq(n_released, 1);
	stasis_object_unref(world.topic);
	other.caching = NULL;
	stasis_object_unref(other.cache);
	stasis_object_unref(other.topic);
}

/* --- others' callbacks ran under a lock of the cache's, when somebody joined with the state --- */

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate in_callback = GATE_INIT;

static void lock_once(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		      struct stasis_message *message)
{
	const struct stasis_subscription_change *change = stasis_message_data(message);

	if (stasis_message_type(message) != stasis_subscription_change_type() ||
	    strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0 ||
	    *(int *)data != 0)
		return;
	*(int *)data = 1;
	gate_pass(&in_callback);
	pthread_mutex_lock(&users_lock);
	pthread_mutex_unlock(&users_lock);
}

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

static void *join_with_state(void *arg)
{
	must(stasis_unsubscribe(
		     stasis_caching_subscribe_with_state(arg, ignore, NULL, NULL)) == NULL);
	return NULL;
}

Test(caches, callbacks_run_without_a_lock_when_somebody_joins)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_INLINE, 1);
	struct stasis_subscribe_options options = { .executor = executor };
	struct world world = world_open();
	struct stasis_subscription *sub, *second;
	int locked = 0;
	pthread_t first;

	sub = stasis_subscribe_with(stasis_caching_get_topic(world.caching), lock_once, &locked,
				    &options);
	cr_assert_not_null(sub);
	drain(executor);
	pthread_mutex_lock(&users_lock);
	gate_open(&in_callback);
	start(&first, join_with_state, world.caching);
	gate_await(&in_callback, 1);
	/* The callback waits for the lock, inside the first call; the second is not to wait. */
	second = stasis_caching_subscribe_with_state(world.caching, ignore, NULL, NULL);
	cr_assert_not_null(second);
	pthread_mutex_unlock(&users_lock);
	pthread_join(first, NULL);
	cr_assert_eq(locked, 1);
	stasis_unsubscribe_and_join(second);
	stasis_unsubscribe_and_join(sub);
	world_close(&world);
	stasis_executor_shutdown(executor);
}

/* --- a batch reached somebody by a tap and a forward in another order than one by one --- */

/* What comes: p a plain message, s a snapshot, u an update. */
struct letters {
	char text[64];
	size_t n;
	struct gate *gate; /* the first waits here; may be NULL */
};

static void write_letter(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			 struct stasis_message *message)
{
	struct letters *letters = data;
	const struct stasis_message_type *type = stasis_message_type(message);

	if (type == stasis_subscription_change_type() || letters->n + 1 == sizeof(letters->text))
		return;
	letters->text[letters->n++] = type == plain ? 'p' : type == snap ? 's' : 'u';
	if (letters->n == 1 && letters->gate != NULL)
		gate_pass(letters->gate);
}

/* A topic to which both the original and the caching topic lead. */
static struct stasis_topic *both_of(const struct world *world)
{
	struct stasis_topic *both = topic_new();

	cr_assert_null(stasis_object_unref(stasis_forward_all(world->topic, both)));
	cr_assert_null(stasis_object_unref(
		stasis_forward_all(stasis_caching_get_topic(world->caching), both)));
	return both;
}

Test(caches, a_batch_comes_in_the_order_of_single_messages)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_PARK, 1);
	struct stasis_subscribe_options options = { .executor = executor };
	struct world world = world_open();
	struct stasis_topic *both = both_of(&world);
	struct letters singles = { .n = 0 }, batch = { .n = 0 };
	struct stasis_message *messages[] = { snap_new("a"), snap_new("b"), snap_new("a") };
	struct stasis_subscription *sub;

	sub = stasis_subscribe_with(both, write_letter, &singles, &options);
	for (int i = 0; i < 3; i++)
		stasis_publish(world.topic, messages[i]);
	stasis_unsubscribe_and_join(sub);
	sub = stasis_subscribe_with(both, write_letter, &batch, &options);
	cr_assert_eq(stasis_publish_batch(world.topic, messages, 3), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(singles.n, 6);
	cr_assert_str_eq(batch.text, singles.text);
	stasis_object_unref(both);
	world_close(&world);
	stasis_executor_shutdown(executor);
}

/* --- an update overtook what the same publish had waiting for room --- */

static void *publish_plain_and_snapshot(void *arg)
{
	struct stasis_message *messages[] = {
		stasis_message_create_inline(plain, "m", 2),
		snap_new("a"),
	};

	must(stasis_publish_batch(arg, messages, 2) == 0);
	return NULL;
}

Test(caches, an_update_does_not_overtake_what_waits_for_room)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_PARK, 1);
	struct stasis_subscribe_options options = {
		.executor = executor,
		.capacity = 2,
		.overflow = STASIS_OVERFLOW_BLOCK,
	};
	struct gate gate = GATE_INIT;
	struct world world = world_open();
	struct stasis_topic *both = both_of(&world);
	struct letters letters = { .gate = &gate };
	struct stasis_subscription *sub;
	pthread_t publisher;

	sub = stasis_subscribe_with(both, write_letter, &letters, &options);
	stasis_publish_take(both, stasis_message_create_inline(plain, "0", 2));
	gate_await(&gate, 1);
	for (int i = 0; i < 2; i++)
		stasis_publish_take(both, stasis_message_create_inline(plain, "1", 2));
	start(&publisher, publish_plain_and_snapshot, world.topic);
	while (stats_of(sub).blocked == 0)
		sched_yield();
	gate_open(&gate);
	pthread_join(publisher, NULL);
	stasis_unsubscribe_and_join(sub);
	cr_assert_str_eq(letters.text, "ppppus");
	stasis_object_unref(both);
	world_close(&world);
	stasis_executor_shutdown(executor);
}
