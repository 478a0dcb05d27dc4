/* SPDX-License-Identifier: BSD-2-Clause */
/* test_concurrent.c — a channel that several threads change, and that is changed by callbacks which
 * its own publishing runs */

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "channel_fixture.h"
#include "gate.h"

#define N_FIELDS 4
#define N_CHANGES 500

/* --- order --- */

struct changer {
	struct stasis_channel *chan;
	int field;
	int n_failed;
};

/* Counts a field up, which is its own. */
static void *count_up(void *arg)
{
	struct changer *changer = arg;
	char text[16];

	for (int i = 1; i <= N_CHANGES; i++) {
		int result = 0;

		snprintf(text, sizeof(text), "%d", i);
		switch (changer->field) {
		case 0:
			result = stasis_channel_set_hangup_cause(changer->chan, i);
			break;
		case 1:
			result = stasis_channel_set_position(changer->chan, "c", "e", i);
			break;
		case 2:
			result = stasis_channel_set_account(changer->chan, text);
			break;
		case 3:
			result = stasis_channel_set_language(changer->chan, text);
			break;
		}
		changer->n_failed += result != 0;
	}
	return NULL;
}

/* Each snapshot has to be one change more than the one before. */
struct order {
	int last[N_FIELDS];
	size_t n, n_wrong;
};

static void check_order(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			struct stasis_message *message)
{
	const struct stasis_channel_snapshot *snapshot = stasis_message_data(message);
	struct order *order = data;
	int now[N_FIELDS], n_steps = 0, n_same = 0;

	(void)sub;
	(void)topic;
	if (stasis_message_type(message) != stasis_channel_snapshot_type())
		return;
	now[0] = snapshot->hangupcause;
	now[1] = snapshot->priority;
	now[2] = atoi(snapshot->accountcode);
	now[3] = atoi(snapshot->language);
	for (int i = 0; i < N_FIELDS; i++) {
		n_steps += now[i] == order->last[i] + 1;
		n_same += now[i] == order->last[i];
		order->last[i] = now[i];
	}
	order->n++;
	order->n_wrong += n_steps != 1 || n_same != N_FIELDS - 1;
}

Test(channel_concurrent, snapshots_come_in_the_order_of_the_changes)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct changer changers[N_FIELDS];
	struct stasis_subscription *sub;
	struct order order = { .n = 0 };

	sub = stasis_subscribe(stasis_channel_topic(chan), check_order, &order);
	cr_assert_not_null(sub);
	for (int i = 0; i < N_FIELDS; i++)
		changers[i] = (struct changer){ .chan = chan, .field = i };
	run_threads(N_FIELDS, count_up, changers, sizeof(changers[0]));
	for (int i = 0; i < N_FIELDS; i++)
		cr_assert_eq(changers[i].n_failed, 0);
	check_cached("7", "7|n|Down|||||500|500|c|e|500|500");
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(order.n, N_FIELDS * N_CHANGES);
	cr_assert_eq(order.n_wrong, 0);
	stasis_object_unref(chan);
	cr_assert_null(cached("7"));
}

/* A stage of several changes each, so that they overlap. */
static void *stage_changes(void *arg)
{
	struct changer *changer = arg;

	for (int i = 1; i <= N_CHANGES; i++) {
		changer->n_failed += stasis_channel_stage_snapshot(changer->chan) != 0;
		changer->n_failed += stasis_channel_set_hangup_cause(changer->chan, i) != 0;
		changer->n_failed += stasis_channel_set_hangup_cause(changer->chan, -i) != 0;
		changer->n_failed += stasis_channel_stage_snapshot_done(changer->chan) != 0;
	}
	return NULL;
}

Test(channel_concurrent, stages_of_several_threads_overlap)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct changer changers[N_FIELDS];
	struct stasis_channel_snapshot *snapshot;
	struct stasis_message *message;

	for (int i = 0; i < N_FIELDS; i++)
		changers[i] = (struct changer){ .chan = chan };
	run_threads(N_FIELDS, stage_changes, changers, sizeof(changers[0]));
	for (int i = 0; i < N_FIELDS; i++)
		cr_assert_eq(changers[i].n_failed, 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), -EINVAL, "all have ended");
	snapshot = stasis_channel_snapshot_create(chan);
	message = cached("7");
	cr_assert_eq(snapshot_of(message), snapshot);
	cr_assert_eq(snapshot->hangupcause, -N_CHANGES);
	stasis_object_unref(message);
	stasis_object_unref(snapshot);
	stasis_object_unref(chan);
}

/* --- many channels --- */

static void *come_and_go(void *arg)
{
	struct changer *changer = arg;
	char uniqueid[32];

	for (int i = 0; i < N_CHANGES; i++) {
		snprintf(uniqueid, sizeof(uniqueid), "%d.%d", changer->field, i);
		changer->chan = stasis_channel_create(uniqueid, "n");
		changer->n_failed += changer->chan == NULL;
		stasis_channel_set_hangup_cause(changer->chan, 1);
		stasis_object_unref(changer->chan);
	}
	return NULL;
}

Test(channel_concurrent, channels_come_and_go)
{
	struct changer changers[N_FIELDS];
	struct stasis_message **dump;
	size_t n;

	for (int i = 0; i < N_FIELDS; i++)
		changers[i] = (struct changer){ .field = i };
	run_threads(N_FIELDS, come_and_go, changers, sizeof(changers[0]));
	for (int i = 0; i < N_FIELDS; i++)
		cr_assert_eq(changers[i].n_failed, 0);
	dump = stasis_cache_dump(stasis_channel_cache(), NULL, &n);
	cr_assert_eq(n, 0);
	stasis_cache_dump_free(dump, n);
}

/* --- inside a publish ---
 *
 * on_congestion is called by the publisher, at the end of its publish: here, whenever a message
 * comes to an empty queue. */

struct inside {
	struct watch watch; /* first: the callback's data */
	struct stasis_channel *chan;
	struct gate *hold;
	int n_left; /* changes to make */
	bool drop;  /* the reference to the channel */
	int depth, depth_max, n_calls, n_failed;
	bool armed;
};

static void inside_publish(void *data, struct stasis_subscription *sub, bool congested)
{
	struct inside *it = data;

	(void)sub;
	if (!it->armed || !congested)
		return;
	it->n_calls++;
	it->depth++;
	if (it->depth > it->depth_max)
		it->depth_max = it->depth;
	if (it->hold != NULL)
		gate_pass(it->hold);
	for (; it->n_left > 0; it->n_left--)
		it->n_failed += stasis_channel_set_hangup_cause(it->chan, it->n_left) != 0;
	if (it->drop) {
		it->drop = false;
		it->chan = stasis_object_unref(it->chan);
	}
	it->depth--;
}

static void inside_open(struct inside *it)
{
	struct stasis_subscribe_options options = {
		.high_water = 1,
		.on_congestion = inside_publish,
	};

	it->chan = stasis_channel_create("7", "n");
	it->watch = (struct watch){ .executor = stasis_executor_create(
					    &(struct stasis_executor_options){
						    .wait = STASIS_WAIT_MANUAL }) };
	options.executor = it->watch.executor;
	it->watch.sub = stasis_subscribe_with(stasis_channel_topic(it->chan), watch_callback,
					      &it->watch, &options);
	cr_assert_not_null(it->watch.sub);
	cr_assert_eq(seen(&it->watch), 0);
	it->armed = true;
}

Test(channel_concurrent, a_change_inside_a_publish_is_published_after_it)
{
	struct inside it = { .n_left = 3 };

	inside_open(&it);
	cr_assert_eq(stasis_channel_set_state(it.chan, STASIS_CHANNEL_UP), 0);
	cr_assert_eq(it.n_calls, 1);
	cr_assert_eq(it.depth_max, 1);
	cr_assert_eq(it.n_failed, 0);
	cr_assert_eq(seen(&it.watch), 4);
	check_snapshot(watch_snapshot(&it.watch, 0), "7|n|Up|||||||||0|0");
	check_snapshot(watch_snapshot(&it.watch, 1), "7|n|Up|||||||||0|3");
	check_snapshot(watch_snapshot(&it.watch, 2), "7|n|Up|||||||||0|2");
	check_snapshot(watch_snapshot(&it.watch, 3), "7|n|Up|||||||||0|1");
	check_cached("7", "7|n|Up|||||||||0|1");
	it.armed = false;
	stasis_object_unref(it.chan);
	watch_close(&it.watch);
}

Test(channel_concurrent, the_last_reference_may_go_inside_a_publish)
{
	struct inside it = { .drop = true, .n_left = 2 };

	inside_open(&it);
	cr_assert_eq(stasis_channel_set_state(it.chan, STASIS_CHANNEL_UP), 0);
	cr_assert_null(it.chan);
	cr_assert_eq(seen(&it.watch), 4);
	check_snapshot(watch_snapshot(&it.watch, 2), "7|n|Up|||||||||0|1");
	cr_assert_eq(stasis_message_type(it.watch.messages[3]), stasis_cache_clear_type());
	cr_assert_null(cached("7"));
	it.armed = false;
	watch_close(&it.watch);
}

static void *set_up(void *arg)
{
	struct inside *it = arg;

	it->n_failed += stasis_channel_set_state(it->chan, STASIS_CHANNEL_UP) != 0;
	return NULL;
}

Test(channel_concurrent, nobody_waits_for_another_threads_publish)
{
	static struct gate hold = GATE_INIT;
	struct inside it = { .hold = &hold };
	pthread_t thread;

	inside_open(&it);
	cr_assert_eq(pthread_create(&thread, NULL, set_up, &it), 0);
	gate_await(&hold, 1);
	/* It is held up inside its publish; this is left to it. */
	cr_assert_eq(stasis_channel_set_hangup_cause(it.chan, 1), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(it.chan, 2), 0);
	check_channel(it.chan, "7|n|Up|||||||||0|2");
	check_cached("7", "7|n|Up|||||||||0|0");
	gate_open(&hold);
	pthread_join(thread, NULL);
	check_cached("7", "7|n|Up|||||||||0|2");
	cr_assert_eq(it.n_failed, 0);
	cr_assert_eq(seen(&it.watch), 3);
	check_snapshot(watch_snapshot(&it.watch, 0), "7|n|Up|||||||||0|0");
	check_snapshot(watch_snapshot(&it.watch, 1), "7|n|Up|||||||||0|1");
	check_snapshot(watch_snapshot(&it.watch, 2), "7|n|Up|||||||||0|2");
	it.armed = false;
	stasis_object_unref(it.chan);
	watch_close(&it.watch);
}

Test(channel_concurrent, a_stage_behind_another_threads_publish_is_one_snapshot)
{
	static struct gate hold = GATE_INIT;
	struct inside it = { .hold = &hold };
	pthread_t thread;

	inside_open(&it);
	cr_assert_eq(pthread_create(&thread, NULL, set_up, &it), 0);
	gate_await(&hold, 1);
	cr_assert_eq(stasis_channel_set_hangup_cause(it.chan, 1), 0);
	cr_assert_eq(stasis_channel_stage_snapshot(it.chan), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(it.chan, 2), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(it.chan, 3), 0);
	gate_open(&hold);
	pthread_join(thread, NULL);
	check_cached("7", "7|n|Up|||||||||0|1");
	cr_assert_eq(stasis_channel_stage_snapshot_done(it.chan), 0);
	check_cached("7", "7|n|Up|||||||||0|3");
	cr_assert_eq(seen(&it.watch), 3);
	it.armed = false;
	stasis_object_unref(it.chan);
	watch_close(&it.watch);
}

/* --- inline delivery --- */

struct answerer {
	struct stasis_channel *chan;
	atomic_int n, n_failed;
};

static void answer(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
	const struct stasis_channel_snapshot *snapshot = stasis_message_data(message);
	struct answerer *it = data;

	(void)sub;
	(void)topic;
	if (stasis_message_type(message) != stasis_channel_snapshot_type())
		return;
	it->n++;
	if (snapshot->hangupcause < 100)
		it->n_failed += stasis_channel_set_hangup_cause(it->chan,
								snapshot->hangupcause + 1) != 0;
}

Test(channel_concurrent, callbacks_may_change_the_channel_they_are_told_of)
{
	struct stasis_executor *executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 1, .wait = STASIS_WAIT_INLINE });
	struct stasis_subscribe_options options = { .executor = executor };
	struct answerer it = { .chan = stasis_channel_create("7", "n") };
	struct stasis_subscription *sub;

	cr_assert_not_null(executor);
	sub = stasis_subscribe_with(stasis_channel_topic(it.chan), answer, &it, &options);
	cr_assert_eq(stasis_channel_set_hangup_cause(it.chan, 1), 0);
	while (it.n < 100)
		cr_assert_eq(stasis_executor_drain(executor), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(it.n, 100);
	cr_assert_eq(it.n_failed, 0);
	check_cached("7", "7|n|Down|||||||||0|100");
	stasis_executor_shutdown(executor);
	stasis_object_unref(it.chan);
}
