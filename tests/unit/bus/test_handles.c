/* SPDX-License-Identifier: BSD-2-Clause */
/* test_handles.c — handles may be dropped in any order; what is used stays */

#include "bus_fixture.h"

static int n_released;

static void release(void *data)
{
	n_released++;
}

enum handle {
	TOPIC,
	EXECUTOR,
	TYPE,
	MESSAGE,
	SUBSCRIPTION,
	N_HANDLES
};

struct handles {
	void *held[N_HANDLES];
};

static struct datum nought;

static void drop(struct handles *handles, enum handle which)
{
	if (which == SUBSCRIPTION)
		stasis_unsubscribe(handles->held[which]);
	else
		stasis_object_unref(handles->held[which]);
}

/* Drops the five handles in the order of which, with messages queued and one being delivered. */
static void run_order(const enum handle *which)
{
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct handles handles;
	struct stasis_subscription *sub;

	n_released = 0;
	handles.held[TOPIC] = stasis_topic_create("t");
	handles.held[EXECUTOR] = executor_with(2);
	handles.held[TYPE] = stasis_message_type_create("gone");
	handles.held[MESSAGE] = stasis_message_create_foreign(handles.held[TYPE], &nought, release);
	sub = subscribe_on(handles.held[TOPIC], &probe, handles.held[EXECUTOR]);
	handles.held[SUBSCRIPTION] = stasis_object_ref(sub);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(stasis_publish(handles.held[TOPIC], handles.held[MESSAGE]), 0);
	gate_await(&hold, 1);
	for (int i = 0; i < N_HANDLES; i++)
		drop(&handles, which[i]);
	gate_open(&hold);
	cr_assert_eq(stasis_subscription_join(sub), 0);
	cr_assert_eq(probe.n_data, 10);
	cr_assert_eq(probe.n_finals, 1);
	cr_assert_eq(probe.n_calls, 12);
	cr_assert_eq(n_released, 1, "%d releases", n_released);
	stasis_object_unref(sub);
}

static void run_orders(enum handle *which, int n)
{
	if (n == N_HANDLES)
		run_order(which);
	for (int i = n; i < N_HANDLES; i++) {
		enum handle old = which[n];

		which[n] = which[i];
		which[i] = old;
		run_orders(which, n + 1);
		which[i] = which[n];
		which[n] = old;
	}
}

Test(handles, may_be_dropped_in_every_order)
{
	enum handle which[N_HANDLES] = { TOPIC, EXECUTOR, TYPE, MESSAGE, SUBSCRIPTION };

	run_orders(which, 0);
}

Test(handles, last_one_of_a_subscription_does_not_unsubscribe_it)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	stasis_object_unref(sub);
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 1);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 10), 0);
	bus_drain(&bus);
	cr_assert_eq(probe.n_data, 10);
	/* The bus still holds it, so the borrowed pointer is as good as the callback's. */
	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	check_ended(&probe, 10);
	bus_close(&bus);
}

Test(handles, of_a_subscription_may_be_kept_after_all_else_is_gone)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	char id[PROBE_ID];

	snprintf(id, sizeof(id), "%s", stasis_subscription_uniqueid(sub));
	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	bus_close(&bus);
	cr_assert_eq(stasis_subscription_is_done(sub), 1);
	cr_assert_str_eq(stasis_subscription_uniqueid(sub), id);
	stasis_object_unref(sub);
}

static void keep_change(struct probe *probe, struct stasis_subscription *sub,
			struct stasis_topic *topic, struct stasis_message *message)
{
	((struct stasis_message **)probe->user)[probe->n_calls - 1] = stasis_object_ref(message);
}

Test(handles, of_changes_keep_their_topic_and_names)
{
	struct bus bus = bus_open(1);
	struct stasis_message *kept[2];
	struct probe probe = { .on_any = keep_change, .user = kept };

	stasis_unsubscribe_and_join(bus_subscribe(&bus, &probe));
	bus_close(&bus);
	for (int i = 0; i < 2; i++) {
		struct stasis_subscription_change *change = stasis_message_data(kept[i]);

		cr_assert_str_eq(stasis_topic_name(change->topic), "topic");
		cr_assert_str_eq(change->uniqueid, probe.log[i].uniqueid);
		cr_assert_str_eq(change->description, i == 0 ? "Subscribe" : "Unsubscribe");
		stasis_object_unref(kept[i]);
	}
}

Test(handles, all_take_and_drop_references)
{
	struct bus bus = bus_open(1);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);
	struct stasis_message *message = datum_message(0, 0);
	void *handles[] = { bus.executor, bus.topic, sub, message, datum_type() };

	bus_drain(&bus);
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
		unsigned refs = stasis_object_refs(handles[i]);

		cr_assert_eq(stasis_object_ref(handles[i]), handles[i]);
		cr_assert_eq(stasis_object_refs(handles[i]), refs + 1, "handle %zu", i);
		cr_assert_null(stasis_object_unref(handles[i]));
		cr_assert_eq(stasis_object_refs(handles[i]), refs, "handle %zu", i);
	}
	stasis_object_unref(message);
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
}

Test(handles, messages_live_on_without_any_bus)
{
	struct bus bus = bus_open(1);
	struct stasis_message *message = datum_message(0, 0);
	struct probe probe = { 0 };
	struct stasis_subscription *sub = bus_subscribe(&bus, &probe);

	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	stasis_unsubscribe(sub);
	bus_close(&bus);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_str_eq(stasis_message_type_name(stasis_message_type(message)), "datum");
	stasis_object_unref(message);
	check_ended(&probe, 1);
}
