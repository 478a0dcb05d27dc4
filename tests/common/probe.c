/* SPDX-License-Identifier: BSD-2-Clause */
/* probe.c — see probe.h */

#include "probe.h"

#include <stdio.h>
#include <string.h>

static enum probe_kind kind_of(struct stasis_subscription *sub, struct stasis_message *message)
{
	const struct stasis_subscription_change *change;

	if (stasis_subscription_final_message(sub, message))
		return PROBE_FINAL;
	if (stasis_message_type(message) != stasis_subscription_change_type())
		return PROBE_DATUM;
	change = stasis_message_data(message);
	return strcmp(change->description, "Subscribe") == 0 ? PROBE_SUBSCRIBE : PROBE_UNSUBSCRIBE;
}

static void log_entry(struct probe *probe, enum probe_kind kind, struct stasis_topic *topic,
		      struct stasis_message *message)
{
	struct probe_entry *entry;

	if (probe->n_calls >= PROBE_LOG)
		return;
	entry = &probe->log[probe->n_calls];
	entry->kind = kind;
	entry->topic = topic;
	if (kind == PROBE_DATUM) {
		memcpy(&entry->datum, stasis_message_data(message), sizeof(entry->datum));
	} else {
		const struct stasis_subscription_change *change = stasis_message_data(message);

		entry->change_topic = change->topic;
		snprintf(entry->uniqueid, sizeof(entry->uniqueid), "%s", change->uniqueid);
	}
}

static void count_datum(struct probe *probe, struct stasis_message *message)
{
	const struct datum *datum = stasis_message_data(message);

	if (datum->seq != probe->next[datum->publisher])
		probe->n_out_of_order++;
	probe->next[datum->publisher] = datum->seq + 1;
	probe->n_data++;
}

void probe_callback(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct probe *probe = data;
	enum probe_kind kind = kind_of(sub, message);

	/* Relaxed: it must order nothing, see probe.h. */
	if (atomic_exchange_explicit(&probe->inside, 1, memory_order_relaxed) != 0)
		atomic_fetch_add_explicit(&probe->overlaps, 1, memory_order_relaxed);
	if (probe->n_finals > 0)
		probe->n_after_final++;
	log_entry(probe, kind, topic, message);
	probe->n_calls++;
	probe->last_thread = pthread_self();
	switch (kind) {
	case PROBE_DATUM:
		count_datum(probe, message);
		break;
	case PROBE_SUBSCRIBE:
		probe->n_subscribes++;
		break;
	case PROBE_UNSUBSCRIBE:
		probe->n_unsubscribes++;
		break;
	case PROBE_FINAL:
		probe->n_finals++;
		break;
	}
	if (kind == PROBE_DATUM && probe->hold != NULL)
		gate_pass(probe->hold);
	if (kind == PROBE_DATUM && probe->on_data != NULL)
		probe->on_data(probe, sub, topic, message);
	if (probe->on_any != NULL)
		probe->on_any(probe, sub, topic, message);
	/* Relaxed: as above. */
	atomic_store_explicit(&probe->inside, 0, memory_order_relaxed);
}

static pthread_once_t type_once = PTHREAD_ONCE_INIT;
static struct stasis_message_type *type_of_data;

static void make_type(void)
{
	type_of_data = stasis_message_type_create("datum");
}

struct stasis_message_type *datum_type(void)
{
	pthread_once(&type_once, make_type);
	return type_of_data;
}

struct stasis_message *datum_message(uint64_t publisher, uint64_t seq)
{
	struct datum datum = { .publisher = publisher, .seq = seq };

	return stasis_message_create_inline(datum_type(), &datum, sizeof(datum));
}

int publish_data(struct stasis_topic *topic, uint64_t publisher, uint64_t first, size_t n)
{
	int sum = 0;

	for (size_t i = 0; i < n; i++) {
		int result = stasis_publish_take(topic, datum_message(publisher, first + i));

		if (result < 0)
			return result;
		sum += result;
	}
	return sum;
}

struct stasis_executor *executor_with(unsigned threads)
{
	return stasis_executor_create(&(struct stasis_executor_options){ .threads = threads });
}

struct stasis_subscription *subscribe_on(struct stasis_topic *topic, struct probe *probe,
					 struct stasis_executor *executor)
{
	return stasis_subscribe_with(topic, probe_callback, probe,
				     &(struct stasis_subscribe_options){ .executor = executor });
}
