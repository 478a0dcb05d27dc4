/* SPDX-License-Identifier: BSD-2-Clause */
/* deliver.c — callbacks, and what is compared in them */

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "plant.h"
#include "world.h"

const char *w_get_id(struct stasis_message *message)
{
	struct stasis_message_type *type = stasis_message_type(message);

	for (unsigned i = 0; i < M_TYPES_OWN; i++) {
		if (type == w_types[i])
			return ((const struct w_payload *)stasis_message_data(message))->id;
	}
	/* Never asked about the library's own. */
	W_TRUE(type == w_types[M_TYPE_BLOB] || type == w_types[M_TYPE_MULTI] ||
	       type == w_types[M_TYPE_SNAPSHOT]);
	return NULL;
}

void w_check_values(const struct m_values *values, const struct stasis_channel_snapshot *snapshot)
{
	const char *const texts[] = { snapshot->caller_name,	snapshot->caller_number,
				      snapshot->connected_name, snapshot->connected_number,
				      snapshot->accountcode,	snapshot->language,
				      snapshot->context,	snapshot->exten };

	W_TRUE(strcmp(snapshot->uniqueid, values->uniqueid) == 0);
	W_TRUE(strcmp(snapshot->name, values->name) == 0);
	W_EQUAL(snapshot->state, values->state);
	W_EQUAL(snapshot->priority, values->priority);
	W_EQUAL(snapshot->hangupcause, values->hangupcause);
	for (unsigned i = 0; i < 8; i++)
		W_TRUE(strcmp(texts[i], values->texts[i]) == 0);
}

/* A router does not tell its subscription's id; the first time it is seen it is noted. */
static bool is_id(const char *expected, const char *uniqueid)
{
	if (expected[0] == '\0')
		strcpy((char *)(uintptr_t)expected, uniqueid);
	return strcmp(expected, uniqueid) == 0;
}

static void check_change(const struct m_message *expected, const struct stasis_message *message)
{
	const struct stasis_subscription_change *change = stasis_message_data(message);

	W_TRUE(change->topic == w_topic_of(expected->topic)->lib);
	W_TRUE(is_id(expected->uniqueid, change->uniqueid));
	W_TRUE(strcmp(change->description, expected->leaves ? "Unsubscribe" : "Subscribe") == 0);
}

static void check_update(const struct m_message *expected, const struct stasis_message *message)
{
	const struct stasis_cache_update *update = stasis_message_data(message);

	W_TRUE(update->type == w_types[expected->inner]);
	W_EQUAL(update->old_snapshot != NULL,
		expected->old != NULL && !w_plants(PLANT_UPDATE));
	W_EQUAL(update->new_snapshot != NULL, expected->new != NULL);
	if (expected->old != NULL)
		w_check_message(expected->old, update->old_snapshot);
	if (expected->new != NULL)
		w_check_message(expected->new, update->new_snapshot);
}

void w_check_message(const struct m_message *expected, const struct stasis_message *message)
{
	W_TRUE(stasis_message_type(message) == w_types[expected->type]);
	if (expected->handle != NULL)
		W_TRUE(message == expected->handle);
	if (expected->type < M_TYPES_OWN) {
		const struct w_payload *payload = stasis_message_data(message);

		W_EQUAL(payload->magic, W_MAGIC);
		W_TRUE(payload->id == expected->id);
	} else if (expected->type == M_TYPE_CHANGE) {
		check_change(expected, message);
	} else if (expected->type == M_TYPE_UPDATE) {
		check_update(expected, message);
	} else if (expected->type == M_TYPE_SNAPSHOT) {
		w_check_values(&expected->values, stasis_message_data(message));
	} else if (expected->type == M_TYPE_CLEAR) {
		w_check_message(expected->old, stasis_message_data(message));
	}
}

/* Is this the message? Only those of one group have to be told apart: first updates. */
static bool is_update_of(const struct m_message *expected, const struct stasis_message *message)
{
	const struct stasis_cache_update *update = stasis_message_data(message);

	if (stasis_message_type(message) != w_types[M_TYPE_UPDATE] || update->new_snapshot == NULL)
		return false;
	if (expected->new->handle != NULL)
		return update->new_snapshot == expected->new->handle;
	return update->type == w_types[M_TYPE_SNAPSHOT] &&
	       strcmp(((const struct stasis_channel_snapshot *)stasis_message_data(
			       update->new_snapshot))->uniqueid,
		      expected->new->values.uniqueid) == 0;
}

/* Brings the one of the first group that it is to the front. */
static void arrange(struct m_sub *sub, const struct stasis_message *message)
{
	struct m_item *items = sub->items + sub->first;

	for (size_t i = 0; i < sub->n && items[i].group == items[0].group; i++) {
		if (is_update_of(items[i].message, message)) {
			struct m_item item = items[i];

			items[i] = items[0];
			items[0] = item;
			return;
		}
	}
}

/* Could this be it? What is certain is compared afterwards. */
static bool is_like(const struct m_item *item, const struct stasis_message *message)
{
	const struct m_message *expected = item->message;

	if (stasis_message_type(message) != w_types[expected->type] ||
	    (expected->handle != NULL && expected->handle != message))
		return false;
	if (expected->type == M_TYPE_CHANGE) {
		const struct stasis_subscription_change *change = stasis_message_data(message);

		return (expected->uniqueid[0] == '\0' ||
			strcmp(change->uniqueid, expected->uniqueid) == 0) &&
		       (change->description[0] == 'U') == expected->leaves;
	}
	if (expected->type == M_TYPE_UPDATE) {
		const struct stasis_cache_update *update = stasis_message_data(message);

		return (update->new_snapshot != NULL) == (expected->new != NULL) &&
		       (expected->new == NULL || expected->new->handle == NULL ||
			expected->new->handle == update->new_snapshot) &&
		       (expected->old == NULL || expected->old->handle == NULL ||
			expected->old->handle == update->old_snapshot);
	}
	return true;
}

static void pass(struct m_sub *sub)
{
	sub->first++;
	sub->n--;
}

/* Is everything that may have been lost known to be? Then what is given is none of it, even if it
 * is the same message. */
static bool all_is_lost(const struct m_sub *sub)
{
	uint64_t n_maybe = 0;

	for (size_t i = 0; i < sub->n; i++)
		n_maybe += sub->items[sub->first + i].maybe;
	return sub->n_lost > 0 && n_maybe == sub->n_lost;
}

/* Passes over what may have been lost, or had no route, until it is what has been given. */
static void pass_over(struct m_sub *sub, const struct stasis_message *message)
{
	while (sub->n > 0) {
		const struct m_item *item = &sub->items[sub->first];

		if (sub->router && m_route_of(sub, item->message) == NULL) {
			pass(sub);
			continue;
		}
		if (!item->maybe || (is_like(item, message) && !all_is_lost(sub)))
			return;
		pass(sub);
		if (sub->n_lost > 0) {
			sub->n_lost--;
		} else if (!sub->router) {
			/* It is being lost by the operation under way. */
			W_TRUE(world.armed);
			sub->refused++;
			sub->pushed--;
			sub->depth--;
		}
	}
}

/* Whoever is not in the middle of his callback may be given something. */
static void run_inside(struct w_executor *executor)
{
	uint64_t before = world.n_calls;
	int n = stasis_executor_run(executor->lib, 3);

	W_TRUE(n <= 3);
	if (executor->m.routed)
		W_TRUE((uint64_t)n >= world.n_calls - before);
	else
		W_EQUAL(n, world.n_calls - before);
}

static void act(struct w_sub *sub, struct stasis_subscription *lib)
{
	if (world.armed || sub->m.delivered != sub->at)
		return;
	switch (sub->action) {
	case W_LEAVE:
		if (!sub->m.ended && !sub->handed)
			w_unsubscribe(sub, true);
		break;
	case W_PUBLISH:
		if (sub->target->held)
			w_publish_own(sub->target);
		break;
	case W_ASK:
		W_EQUAL(stasis_subscription_join(lib), -EDEADLK);
		W_EQUAL(stasis_executor_drain(((struct w_executor *)sub->m.executor)->lib),
			-EDEADLK);
		break;
	case W_RUN:
		run_inside((struct w_executor *)sub->m.executor);
		break;
	case W_SYNC:
		if (sub->other->m.used && sub->other->held && !sub->other->m.router)
			w_sync_own(sub->other);
		break;
	default:
		break;
	}
}

static void deliver(struct w_sub *sub, struct stasis_subscription *lib,
		    struct stasis_topic *topic, struct stasis_message *message, unsigned route)
{
	bool final = stasis_subscription_final_message(lib, message);
	struct m_item item;
	uint64_t n_calls;
	json_t *json;

	if (world.later != NULL)
		world.later();
	world.n_calls++;
	pass_over(&sub->m, message);
	W_TRUE(!sub->m.done);
	W_TRUE(!sub->running);
	W_TRUE(sub->m.n > 0);
	if (sub->m.items[sub->m.first].group != 0)
		arrange(&sub->m, message);
	item = sub->m.items[sub->m.first];
	if (w_plants(PLANT_ORDER) && sub->m.n > 2)
		item = sub->m.items[sub->m.first + 1];
	if (w_plants(PLANT_LEAK) && item.message->type < M_TYPES_OWN)
		stasis_object_ref(message);
	if ((w_plants(PLANT_FINAL) && final) ||
	    (w_plants(PLANT_LOST) && item.message->type < M_TYPES_OWN && sub->m.delivered == 2))
		return;
	W_TRUE(topic == w_topic_of(sub->m.topic)->lib);
	W_TRUE(sub->lib == NULL || lib == sub->lib);
	W_TRUE(is_id(sub->m.uniqueid, stasis_subscription_uniqueid(lib)));
	w_check_message(item.message, message);
	if (sub->m.router) {
		W_TRUE(m_route_of(&sub->m, item.message) != NULL);
		W_EQUAL(route, m_route_of(&sub->m, item.message)->number);
	}
	m_take(&sub->m);
	W_EQUAL(final, sub->m.done);
	W_EQUAL(stasis_subscription_is_done(lib), 0);
	W_EQUAL(stasis_subscription_is_subscribed(lib), !sub->m.ended);
	if (sub->action == W_ASK && !world.armed) {
		json = stasis_message_to_json(message);
		W_EQUAL(json != NULL, item.message->type != M_TYPE_CLEAR &&
				      (item.message->type >= M_TYPES_OWN ||
				       item.message->type == 0));
		json_decref(json);
	}
	n_calls = world.n_calls;
	world.inside++;
	sub->running = true;
	act(sub, lib);
	sub->running = false;
	world.inside--;
	/* Others inside it are for whoever has made them. */
	world.n_calls = n_calls;
}

void w_callback(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		struct stasis_message *message)
{
	deliver(data, sub, topic, message, 0);
}

/* data is the subscription's place in its list of routes. */
void w_routed(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
	      struct stasis_message *message)
{
	unsigned number = (unsigned)((uintptr_t)data & 0xff);

	deliver(&world.subs[(uintptr_t)data >> 8], sub, topic, message, number);
}

void w_congestion(void *data, struct stasis_subscription *lib, bool congested)
{
	struct w_sub *sub = data;

	W_TRUE(sub->lib == NULL || lib == sub->lib);
	W_TRUE(congested != sub->congested);
	sub->congested = congested;
	sub->n_told++;
}
