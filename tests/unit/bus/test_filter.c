/* SPDX-License-Identifier: BSD-2-Clause */
/* test_filter.c — subscriptions that select messages by their type */

#include <pthread.h>
#include <stdatomic.h>

#include "graph_fixture.h"

#define SELECTIVE STASIS_SUBSCRIPTION_FILTER_SELECTIVE
#define NONE STASIS_SUBSCRIPTION_FILTER_NONE

/* More than there are bits in a mask, twice over. */
enum {
	N_TYPES = 200
};

/* --- at subscribe --- */

Test(filter, types_at_subscribe_are_all_that_comes)
{
	struct bus bus = bus_open(1);
	struct stasis_message_type *types[4];
	struct probe probe = { 0 }, all = { 0 };
	struct stasis_subscription *sub, *open;

	types_make(types, 4);
	/* Twice the same is once. */
	sub = listen_to(&bus, &probe,
			(struct stasis_message_type *[]){ types[1], types[3], types[1] }, 3);
	open = bus_subscribe(&bus, &all);
	for (uint64_t i = 0; i < 10; i++)
		publish_each(bus.topic, types, 4, i);
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(open);
	/* Not its own Subscribe, not the other's. */
	check_selective(&probe, 20);
	cr_assert_eq(probe.n_calls, 21);
	cr_assert_eq(probe.next[1], 10);
	cr_assert_eq(probe.next[3], 10);
	check_ended(&all, 40);
	cr_assert_eq(all.n_unsubscribes, 1);
	types_drop(types, 4);
	bus_close(&bus);
}

Test(filter, own_subscribe_comes_first_if_changes_are_accepted)
{
	struct bus bus = bus_open(1);
	struct stasis_message_type *change = stasis_subscription_change_type();
	struct probe probe = { 0 }, other = { 0 };
	struct stasis_subscription *sub = listen_to(&bus, &probe, &change, 1);

	stasis_unsubscribe_and_join(bus_subscribe(&bus, &other));
	cr_assert_eq(publish_data(bus.topic, 0, 0, 5), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 0);
	cr_assert_eq(probe.n_subscribes, 2);
	cr_assert_eq(probe.n_unsubscribes, 1);
	check_ended(&other, 0);
	bus_close(&bus);
}

Test(filter, with_types_subscribe_and_unsubscribe_deliver_the_final_message_alone)
{
	struct bus bus = bus_open(2);
	struct stasis_message_type *type = datum_type();

	for (int i = 0; i < 200; i++) {
		struct probe probe = { 0 };

		stasis_unsubscribe_and_join(listen_to(&bus, &probe, &type, 1));
		cr_assert_eq(probe.n_calls, 1);
		cr_assert_eq(probe.n_finals, 1);
	}
	bus_close(&bus);
}

Test(filter, options_are_checked)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_message_type *types[2] = { datum_type(), NULL };

	errno = 0;
	cr_assert_null(stasis_subscribe_with(bus.topic, probe_callback, &probe,
					     &(struct stasis_subscribe_options){ .n_types = 1 }));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_subscribe_with(
		bus.topic, probe_callback, &probe,
		&(struct stasis_subscribe_options){ .types = types, .n_types = 2 }));
	cr_assert_eq(errno, EINVAL);
	/* A table of which nothing is used says nothing. */
	stasis_unsubscribe_and_join(listen_to(&bus, &probe, types, 0));
	check_ended(&probe, 0);
	bus_close(&bus);
}

/* --- while subscribed --- */

Test(filter, arguments_are_checked)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message_type *type = datum_type();

	cr_assert_eq(stasis_subscription_accept_message_type(NULL, type), -EINVAL);
	cr_assert_eq(stasis_subscription_accept_message_type(sub, NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_decline_message_type(NULL, type), -EINVAL);
	cr_assert_eq(stasis_subscription_decline_message_type(sub, NULL), -EINVAL);
	cr_assert_eq(stasis_subscription_set_filter(NULL, SELECTIVE), -EINVAL);
	cr_assert_eq(stasis_subscription_set_filter(sub, (enum stasis_subscription_filter)2),
		     -EINVAL);
	cr_assert_eq(stasis_subscription_set_filter(sub, (enum stasis_subscription_filter)-1),
		     -EINVAL);
	cr_assert_eq(stasis_topic_wants(NULL, type), -EINVAL);
	cr_assert_eq(stasis_topic_wants(bus.topic, NULL), -EINVAL);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 1);
	bus_close(&bus);
}

Test(filter, selective_without_types_gets_the_final_message_only)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 }, other = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(stasis_subscription_set_filter(sub, SELECTIVE), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 5), 0);
	stasis_unsubscribe_and_join(bus_subscribe(&bus, &other));
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 0);
	cr_assert_eq(probe.n_calls, 2);
	bus_close(&bus);
}

Test(filter, accepting_and_declining_go_by_the_next_publish)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message_type *types[3];

	types_make(types, 3);
	/* Not selective yet: accepting is for later. */
	cr_assert_eq(stasis_subscription_accept_message_type(sub, types[0]), 0);
	publish_each(bus.topic, types, 3, 0);
	cr_assert_eq(stasis_subscription_set_filter(sub, SELECTIVE), 0);
	cr_assert_eq(stasis_subscription_set_filter(sub, SELECTIVE), 0);
	publish_each(bus.topic, types, 3, 1); /* 0 */
	for (int i = 0; i < 2; i++)
		cr_assert_eq(stasis_subscription_accept_message_type(sub, types[1]), 0);
	publish_each(bus.topic, types, 3, 2); /* 0 1 */
	for (int i = 0; i < 2; i++)
		cr_assert_eq(stasis_subscription_decline_message_type(sub, types[0]), 0);
	publish_each(bus.topic, types, 3, 3); /* 1 */
	cr_assert_eq(stasis_subscription_set_filter(sub, NONE), 0);
	cr_assert_eq(stasis_subscription_set_filter(sub, NONE), 0);
	publish_each(bus.topic, types, 3, 4); /* 0 1 2 */
	cr_assert_eq(stasis_subscription_accept_message_type(sub, types[2]), 0);
	cr_assert_eq(stasis_subscription_decline_message_type(sub, types[1]), 0);
	publish_each(bus.topic, types, 3, 5); /* 0 1 2 */
	cr_assert_eq(stasis_subscription_set_filter(sub, SELECTIVE), 0);
	publish_each(bus.topic, types, 3, 6); /* 2 */
	cr_assert_eq(stasis_subscription_decline_message_type(sub, types[2]), 0);
	publish_each(bus.topic, types, 3, 7);
	stasis_unsubscribe_and_join(sub);
	check_selective(&probe, 3 + 1 + 2 + 1 + 3 + 3 + 1);
	cr_assert_eq(probe.next[0], 6);
	cr_assert_eq(probe.next[1], 6);
	cr_assert_eq(probe.next[2], 7);
	types_drop(types, 3);
	bus_close(&bus);
}

Test(filter, declining_where_nothing_is_accepted_changes_nothing)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(stasis_subscription_decline_message_type(sub, datum_type()), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 1);
	bus_close(&bus);
}

Test(filter, what_is_queued_is_delivered)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 20), 0);
	gate_await(&hold, 1);
	cr_assert_eq(stasis_subscription_set_filter(sub, SELECTIVE), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 20, 20), 0);
	gate_open(&hold);
	stasis_unsubscribe_and_join(sub);
	check_ended(&probe, 20);
	bus_close(&bus);
}

Test(filter, after_unsubscribe_changes_are_of_no_effect)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(publish_data(bus.topic, 0, 0, 3), 0);
	gate_await(&hold, 1);
	stasis_unsubscribe(stasis_object_ref(sub));
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(stasis_subscription_accept_message_type(sub, datum_type()), 0);
		cr_assert_eq(stasis_subscription_set_filter(sub, i == 0 ? SELECTIVE : NONE), 0);
		cr_assert_eq(stasis_subscription_decline_message_type(sub, datum_type()), 0);
		cr_assert_eq(stasis_topic_subscribers(bus.topic), 0);
		cr_assert_eq(publish_data(bus.topic, 0, 3, 1), 0);
		gate_open(&hold);
		cr_assert_eq(stasis_subscription_join(sub), 0);
	}
	check_ended(&probe, 3);
	stasis_object_unref(sub);
	bus_close(&bus);
}

Test(filter, changes_keep_forwards_and_neighbours)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topics[2];
	struct stasis_message_type *types[2];
	struct probe probes[4] = { 0 };
	struct stasis_subscription *subs[4];

	topics_make(topics, 2);
	types_make(types, 2);
	lead_for_good(bus.topic, topics[0]);
	lead_for_good(bus.topic, topics[1]);
	subs[0] = listen_to(&bus, &probes[0], types, 1);
	subs[1] = bus_subscribe(&bus, &probes[1]);
	subs[2] = listen_to(&bus, &probes[2], types, 2);
	subs[3] = listen(&bus, topics[1], &probes[3]);
	for (int i = 0; i < 4; i++) {
		for (uint64_t j = 0; j < 5; j++) {
			cr_assert_eq(stasis_subscription_set_filter(subs[i], j % 2 ? NONE :
									SELECTIVE), 0);
			cr_assert_eq(stasis_topic_subscribers(bus.topic), 4);
			publish_each(bus.topic, types, 2, 0);
		}
		cr_assert_eq(stasis_subscription_set_filter(subs[i], i == 0 || i == 2 ? SELECTIVE :
									NONE), 0);
	}
	for (int i = 0; i < 4; i++)
		stasis_unsubscribe_and_join(subs[i]);
	/* 15 rounds as they began; 5 of their own, of which 2 without a filter. */
	check_selective(&probes[0], 15 + 3 + 2 * 2);
	check_selective(&probes[1], 30 + 2 * 2);
	check_selective(&probes[2], 30 + 10);
	check_selective(&probes[3], 30 + 2 * 2);
	types_drop(types, 2);
	bus_close(&bus);
	topics_drop(topics, 2);
}

/* --- many --- */

Test(filter, types_with_one_bit_are_told_apart)
{
	struct bus bus = bus_open(1);
	struct stasis_message_type *types[N_TYPES];
	struct probe probes[3] = { 0 };
	struct stasis_subscription *subs[3];

	types_make(types, N_TYPES);
	subs[0] = listen_to(&bus, &probes[0], &types[5], 1);
	subs[1] = listen_to(&bus, &probes[1], &types[5 + 64], 1);
	subs[2] = listen_to(&bus, &probes[2],
			    (struct stasis_message_type *[]){ types[5 + 128], types[5] }, 2);
	publish_each(bus.topic, types, N_TYPES, 0);
	cr_assert_eq(stasis_subscription_decline_message_type(subs[2], types[5]), 0);
	publish_each(bus.topic, types, N_TYPES, 1);
	for (int i = 0; i < 3; i++)
		stasis_unsubscribe_and_join(subs[i]);
	check_selective(&probes[0], 2);
	cr_assert_eq(probes[0].next[5], 2);
	check_selective(&probes[1], 2);
	cr_assert_eq(probes[1].next[(5 + 64) % PROBE_PUBLISHERS], 2);
	check_selective(&probes[2], 3);
	types_drop(types, N_TYPES);
	bus_close(&bus);
}

Test(filter, many_types_are_accepted_and_declined)
{
	struct bus bus = bus_open(1);
	struct stasis_message_type *types[N_TYPES];
	struct probe probe = { 0 }, other = { 0 };
	struct stasis_subscription *sub, *odd;

	types_make(types, N_TYPES);
	odd = listen_to(&bus, &other, types, N_TYPES);
	sub = listen_to(&bus, &probe, types, 1);
	for (int i = N_TYPES - 1; i >= 0; i--)
		cr_assert_eq(stasis_subscription_accept_message_type(sub, types[i]), 0);
	for (int i = 0; i < N_TYPES; i += 2)
		cr_assert_eq(stasis_subscription_decline_message_type(odd, types[i]), 0);
	publish_each(bus.topic, types, N_TYPES, 0);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	for (int i = 0; i < N_TYPES; i++) {
		cr_assert_eq(stasis_topic_wants(bus.topic, types[i]), 1);
		cr_assert_eq(stasis_subscription_decline_message_type(sub, types[i]), 0);
		cr_assert_eq(stasis_topic_wants(bus.topic, types[i]), i % 2);
	}
	publish_each(bus.topic, types, N_TYPES, 0);
	stasis_unsubscribe_and_join(sub);
	stasis_unsubscribe_and_join(odd);
	check_selective(&probe, N_TYPES);
	check_selective(&other, N_TYPES);
	for (int i = 0; i < PROBE_PUBLISHERS; i += 2)
		cr_assert_eq(other.next[i], 0);
	types_drop(types, N_TYPES);
	bus_close(&bus);
}

Test(filter, one_of_a_thousand_accepts)
{
	enum {
		N = 1000,
		STEP = 97
	};
	struct bus bus = bus_open(2);
	struct stasis_message_type *types[2];
	static struct probe probes[N];
	static struct stasis_subscription *subs[N];
	struct stasis_message *message;

	types_make(types, 2);
	message = typed_message(types[0], 0, 0);
	for (int i = 0; i < N; i++)
		subs[i] = listen_to(&bus, &probes[i], &types[1], 1);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 0);
	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	cr_assert_eq(stasis_object_refs(message), 1);
	/* Each in turn, in all places of the array. */
	for (int i = 0; i < N; i += STEP) {
		cr_assert_eq(stasis_subscription_accept_message_type(subs[i], types[0]), 0);
		cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 1);
		cr_assert_eq(stasis_publish(bus.topic, message), 0);
		cr_assert_eq(stasis_subscription_decline_message_type(subs[i], types[0]), 0);
		cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 0);
	}
	cr_assert_eq(stasis_publish_take(bus.topic, typed_message(types[1], 1, 0)), 0);
	for (int i = 0; i < N; i++) {
		stasis_unsubscribe_and_join(subs[i]);
		check_selective(&probes[i], i % STEP == 0 ? 2 : 1);
	}
	bus_close(&bus);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
	types_drop(types, 2);
}

/* --- asking and telling --- */

Test(filter, wants_goes_by_forwards_and_filters)
{
	struct bus bus = bus_open(1);
	struct stasis_topic *topics[2];
	struct stasis_message_type *types[2];
	struct probe probes[2] = { 0 };
	struct stasis_subscription *sub, *distinct;
	struct stasis_forward *forward;

	topics_make(topics, 2);
	types_make(types, 2);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 0);
	lead_for_good(bus.topic, topics[0]);
	forward = lead(topics[0], topics[1]);
	lead_for_good(bus.topic, topics[1]);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 0);
	distinct = listen_with(&bus, topics[1], &probes[1], (struct stasis_subscribe_options){
			       .distinct = true, .types = &types[1], .n_types = 1 });
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 0);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[1]), 1);
	sub = listen(&bus, topics[1], &probes[0]);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 1);
	cr_assert_eq(stasis_subscription_set_filter(sub, SELECTIVE), 0);
	cr_assert_eq(stasis_topic_wants(topics[0], types[0]), 0);
	cr_assert_eq(stasis_subscription_accept_message_type(sub, types[0]), 0);
	cr_assert_eq(stasis_topic_wants(topics[0], types[0]), 1);
	cancel(forward);
	cr_assert_eq(stasis_topic_wants(topics[0], types[0]), 0);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 1);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[0]), 0);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[1]), 1);
	stasis_unsubscribe_and_join(distinct);
	cr_assert_eq(stasis_topic_wants(bus.topic, types[1]), 0);
	types_drop(types, 2);
	bus_close(&bus);
	topics_drop(topics, 2);
}

Test(filter, declining_is_no_refusal)
{
	struct bus bus = bus_open(1);
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_message_type *type = datum_type(), *other;
	struct stasis_subscription *sub;
	struct stasis_stats stats = { 0 };

	types_make(&other, 1);
	sub = listen_with(&bus, bus.topic, &probe, (struct stasis_subscribe_options){
			  .types = &type, .n_types = 1, .capacity = 8,
			  .overflow = STASIS_OVERFLOW_REJECT });
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_await(&hold, 1);
	cr_assert_eq(publish_data(bus.topic, 0, 1, 8), 0);
	cr_assert_eq(publish_data(bus.topic, 0, 9, 1), 1);
	cr_assert_eq(stasis_publish_take(bus.topic, typed_message(other, 0, 0)), 0);
	cr_assert_eq(stasis_publish_batch(bus.topic, (struct stasis_message *[]){
			typed_message(other, 0, 0), datum_message(0, 9), typed_message(other, 0, 0)
		     }, 3), 1);
	gate_open(&hold);
	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	check_selective(&probe, 9);
	cr_assert_eq(stasis_stats_read(sub, &stats), 0);
	cr_assert_eq(stats.dropped, 2);
	stasis_object_unref(sub);
	types_drop(&other, 1);
	bus_close(&bus);
}

/* --- inside callbacks, and from many threads --- */

struct relay {
	struct stasis_message_type *types[10];
	size_t at;
	int n_errors;
};

/* Of its types it accepts one after another, and never two. After the last it ends. */
static void accept_the_next(struct probe *probe, struct stasis_subscription *sub,
			    struct stasis_topic *topic, struct stasis_message *message)
{
	struct relay *relay = probe->user;
	struct stasis_message_type *type = relay->types[relay->at++];

	relay->n_errors += stasis_message_type(message) != type;
	relay->n_errors += stasis_subscription_decline_message_type(sub, type) != 0;
	if (relay->at == 10)
		stasis_unsubscribe(stasis_object_ref(sub));
	else
		relay->n_errors += stasis_subscription_accept_message_type(
					   sub, relay->types[relay->at]) != 0;
	for (uint64_t i = 0; i < 10; i++) {
		struct datum datum = { .publisher = i };

		stasis_publish_take(topic, stasis_message_create_inline(relay->types[i], &datum,
									sizeof(datum)));
	}
}

Test(filter, may_change_inside_callbacks)
{
	struct bus bus = bus_open(2);
	struct relay relay = { 0 };
	struct probe probe = { .on_data = accept_the_next, .user = &relay };
	struct stasis_subscription *sub;

	types_make(relay.types, 10);
	sub = listen_to(&bus, &probe, relay.types, 1);
	publish_each(bus.topic, relay.types, 1, 0);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	stasis_object_unref(sub);
	check_selective(&probe, 10);
	cr_assert_eq(relay.n_errors, 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(probe.next[i], 1);
	types_drop(relay.types, 10);
	bus_close(&bus);
}

struct toggler {
	struct stasis_subscription *sub;
	struct stasis_message_type *type;
	_Atomic bool *stop;
	int n_errors;
};

static void *toggle(void *arg)
{
	struct toggler *toggler = arg;

	while (!atomic_load(toggler->stop)) {
		toggler->n_errors += stasis_subscription_accept_message_type(toggler->sub,
									     toggler->type) != 0;
		toggler->n_errors += stasis_subscription_set_filter(toggler->sub, NONE) != 0;
		toggler->n_errors += stasis_subscription_decline_message_type(toggler->sub,
									      toggler->type) != 0;
		toggler->n_errors += stasis_subscription_set_filter(toggler->sub, SELECTIVE) != 0;
	}
	return NULL;
}

Test(filter, what_is_accepted_all_along_is_not_lost_while_others_change)
{
	enum {
		N = 20000,
		N_TOGGLERS = 2
	};
	struct bus bus = bus_open(1);
	struct stasis_message_type *types[1 + N_TOGGLERS];
	_Atomic bool stop = false;
	struct toggler togglers[N_TOGGLERS];
	pthread_t threads[N_TOGGLERS];
	struct probe probe = { 0 };
	struct stasis_subscription *sub;

	types_make(types, 1 + N_TOGGLERS);
	sub = listen_to(&bus, &probe, types, 1);
	for (int i = 0; i < N_TOGGLERS; i++) {
		togglers[i] = (struct toggler){ .sub = sub, .type = types[1 + i], .stop = &stop };
		cr_assert_eq(pthread_create(&threads[i], NULL, toggle, &togglers[i]), 0);
	}
	for (uint64_t i = 0; i < N; i++)
		publish_each(bus.topic, types, 1 + N_TOGGLERS, i);
	atomic_store(&stop, true);
	for (int i = 0; i < N_TOGGLERS; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(togglers[i].n_errors, 0);
	}
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.next[0], N);
	cr_assert_geq(probe.n_data, N);
	cr_assert_leq(probe.n_data, (size_t)N * (1 + N_TOGGLERS));
	cr_assert_eq(probe.n_finals, 1);
	types_drop(types, 1 + N_TOGGLERS);
	bus_close(&bus);
}
