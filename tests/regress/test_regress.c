/* SPDX-License-Identifier: BSD-2-Clause */
/* test_regress.c — defects that have been found and mended; each of these failed before */

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "base/clock.h"
#include "exec/executor.h"
#include "exec/mailbox.h"
#include "ring/ring.h"
#include "sync/rcu.h"

static struct stasis_executor *pool(unsigned threads)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = threads,
						   .wait = STASIS_WAIT_PARK });

	cr_assert_not_null(executor);
	return executor;
}

static struct stasis_subscription *subscribe(struct stasis_topic *topic, stasis_subscription_cb cb,
					     void *data, struct stasis_executor *executor)
{
	struct stasis_subscription *sub = stasis_subscribe_with(
		topic, cb, data, &(struct stasis_subscribe_options){ .executor = executor });

	cr_assert_not_null(sub);
	return sub;
}

/* --- the watch ends when the watcher gets work that does not return --- */

static struct stasis_message_type *data_type;
static _Atomic int n_stuck, n_seen, quit;

static void stick(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	if (stasis_message_type(message) != data_type)
		return;
	atomic_fetch_add(&n_stuck, 1);
	while (!atomic_load(&quit))
		usleep(1000);
}

static void see(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		struct stasis_message *message)
{
	if (stasis_message_type(message) == data_type)
		atomic_fetch_add(&n_seen, 1);
}

static void publish(struct stasis_topic *topic)
{
	cr_assert_eq(stasis_publish_take(topic, stasis_message_create_inline(data_type, "", 1)), 0);
}

static void wait_for(_Atomic int *value, int at_least)
{
	for (int i = 0; i < 3000 && atomic_load(value) < at_least; i++)
		usleep(1000);
	cr_assert_geq(atomic_load(value), at_least);
}

Test(regress, an_idle_worker_takes_over_whatever_the_others_are_stuck_in)
{
	struct stasis_executor *executor = pool(3);
	struct stasis_subscription *subs[4];
	struct stasis_topic *topics[4];

	data_type = stasis_message_type_create("data");
	for (int i = 0; i < 4; i++)
		topics[i] = stasis_topic_create("t");
	/* Homes go round: 0 and 3 share a worker. */
	subs[0] = subscribe(topics[0], stick, NULL, executor);
	subs[1] = subscribe(topics[1], stick, NULL, executor);
	subs[2] = subscribe(topics[2], see, NULL, executor);
	subs[3] = subscribe(topics[3], see, NULL, executor);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	publish(topics[0]);
	wait_for(&n_stuck, 1);
	publish(topics[3]);
	publish(topics[1]);
	wait_for(&n_seen, 1);
	wait_for(&n_stuck, 2);
	atomic_store(&quit, 1);
	for (int i = 0; i < 4; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		stasis_object_unref(topics[i]);
	}
	stasis_executor_shutdown(executor);
}

/* --- a timed wait lasted a second at the least --- */

static void join_other(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		       struct stasis_message *message)
{
	if (stasis_message_type(message) == data_type) {
		stasis_unsubscribe_and_join(*(struct stasis_subscription **)data);
		atomic_fetch_add(&n_seen, 1);
	}
}

Test(regress, joining_in_a_callback_does_not_take_a_second)
{
	struct stasis_executor *executor = pool(2);
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_topic *quiet = stasis_topic_create("q");
	uint64_t start;

	data_type = stasis_message_type_create("data");
	start = sti_clock_monotonic_ns();
	for (int i = 0; i < 10; i++) {
		struct stasis_subscription *other = subscribe(quiet, see, NULL, executor);
		struct stasis_subscription *sub = subscribe(topic, join_other, &other, executor);

		publish(topic);
		stasis_unsubscribe_and_join(sub);
	}
	cr_assert_eq(atomic_load(&n_seen), 10);
	cr_assert_lt(sti_clock_monotonic_ns() - start, UINT64_C(5000000000));
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	stasis_object_unref(quiet);
}

/* --- what a queue has been given was counted twice while its consumer changed rings --- */

static struct sti_mpsc_tail tail;
static struct sti_mpsc_head head;
static _Atomic uint64_t n_given;
static _Atomic int n_too_many;

static void *count_pushes(void *arg)
{
	while (!atomic_load(&quit)) {
		uint64_t counted, after;

		sti_rcu_read_lock();
		counted = sti_mpsc_pushed(&head);
		after = atomic_load(&n_given);
		sti_rcu_read_unlock();
		if (counted > after + 1)
			atomic_fetch_add(&n_too_many, 1);
	}
	return NULL;
}

Test(regress, pushes_are_counted_once_while_the_consumer_changes_rings)
{
	static uint64_t item;
	void *items[64];
	pthread_t thread;

	for (int round = 0; round < 3000; round++) {
		atomic_store(&n_given, 0);
		atomic_store(&quit, 0);
		cr_assert_eq(sti_mpsc_init(&tail, &head, STI_RING_ORDER_MIN, NULL), 0);
		cr_assert_eq(pthread_create(&thread, NULL, count_pushes, NULL), 0);
		for (int i = 0; i < 20; i++) {
			sti_rcu_read_lock();
			cr_assert_eq(sti_mpsc_push(&tail, &item) & STI_PUSH_NOMEM, 0);
			sti_rcu_read_unlock();
			atomic_fetch_add(&n_given, 1);
		}
		while (sti_mpsc_take(&head, items, 64) > 0)
			;
		sti_rcu_read_lock();
		cr_assert_eq(sti_mpsc_rest(&tail, &head), STI_REST_MORE);
		sti_rcu_read_unlock();
		cr_assert_eq(sti_mpsc_take(&head, items, 64), 12);
		atomic_store(&quit, 1);
		pthread_join(thread, NULL);
		sti_mpsc_deinit(&tail, &head);
	}
	cr_assert_eq(atomic_load(&n_too_many), 0);
}

/* --- the default executor was freed while it was shut down --- */

Test(regress, the_default_may_be_saved_set_back_and_shut_down)
{
	struct stasis_executor *old = stasis_object_ref(stasis_executor_default());
	struct stasis_executor *mine = pool(1);

	cr_assert_eq(stasis_executor_set_default(mine), 0);
	cr_assert_eq(stasis_executor_set_default(old), 0);
	cr_assert_eq(stasis_object_refs(mine), 1);
	cr_assert_eq(stasis_object_refs(old), 2);
	cr_assert_eq(stasis_executor_set_default(old), 0);
	cr_assert_null(stasis_executor_shutdown(stasis_executor_default()));
	cr_assert_eq(stasis_object_refs(old), 1);
	stasis_object_unref(old);
	stasis_executor_shutdown(mine);
}

/* --- a drain in a final callback that the unsubscriber runs waited for itself --- */

struct drained {
	struct stasis_executor *executor;
	int result;
};

static void drain_at_the_end(void *data, struct stasis_subscription *sub,
			     struct stasis_topic *topic, struct stasis_message *message)
{
	struct drained *drained = data;

	if (stasis_subscription_final_message(sub, message) == 1)
		drained->result = stasis_executor_drain(drained->executor);
}

Test(regress, drain_in_a_final_callback_after_shutdown_is_refused)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct drained drained = { .executor = pool(1) };
	struct stasis_subscription *sub;

	sub = subscribe(topic, drain_at_the_end, &drained, drained.executor);
	stasis_object_ref(drained.executor);
	stasis_executor_shutdown(drained.executor);
	stasis_unsubscribe(sub);
	cr_assert_eq(drained.result, -EDEADLK);
	stasis_object_unref(drained.executor);
	stasis_object_unref(topic);
}

/* --- "Unsubscribe" overtook "Subscribe" --- */

static void leave_at_once(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			  struct stasis_message *message)
{
	if (stasis_subscription_final_message(sub, message) == 0)
		stasis_unsubscribe(stasis_object_ref(sub));
}

static void note_changes(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			 struct stasis_message *message)
{
	const struct stasis_subscription_change *change = stasis_message_data(message);
	int *balance = data;

	if (strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0)
		return;
	/* One comes and goes at a time: 0, 1, 0, 1, ... */
	*balance += strcmp(change->description, "Subscribe") == 0 ? 1 : -1;
	if (*balance < 0 || *balance > 1)
		atomic_fetch_add(&n_too_many, 1);
}

Test(regress, others_see_a_subscription_come_before_it_goes)
{
	struct stasis_topic *topic = stasis_topic_create("t");
	struct stasis_executor *executor = pool(2);
	struct stasis_subscription *observer;
	int balance = 0;

	observer = subscribe(topic, note_changes, &balance, executor);
	for (int i = 0; i < 3000; i++) {
		struct stasis_subscription *sub = subscribe(topic, leave_at_once, NULL, executor);

		cr_assert_eq(stasis_subscription_join(sub), 0);
		stasis_object_unref(sub);
	}
	stasis_unsubscribe_and_join(observer);
	cr_assert_eq(atomic_load(&n_too_many), 0);
	cr_assert_eq(balance, 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}
