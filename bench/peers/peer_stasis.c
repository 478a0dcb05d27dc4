/* SPDX-License-Identifier: BSD-2-Clause */
/* peer_stasis.c — the library itself, through the same door as everybody else */

#include <errno.h>
#include <stdlib.h>

#include <stasis/stasis.h>

#include "clock.h"
#include "cpu.h"
#include "engine.h"
#include "peers.h"
#include "version.h"

/* --- throughput ------------------------------------------------------------------------------- */

/* The bus, or the cache on top of it. */
static const struct sb_engine *engine_of(const struct sb_run *run)
{
	return run->topology.ids > 0 ? &sb_engine_cache : &sb_engine_stasis;
}

static int bus_open(struct sb_run *run)
{
	return engine_of(run)->open(run);
}

static size_t bus_publish(struct sb_publisher *publisher, size_t n)
{
	return engine_of(publisher->run)->publish(publisher, n);
}

static bool cache_get(struct sb_run *run, uint32_t id, struct sb_stamp *stamp)
{
	return sb_engine_cache.get(run, id, stamp);
}

static void bus_close(struct sb_run *run)
{
	engine_of(run)->close(run);
}

static int inline_bus_open(struct sb_run *run)
{
	run->setup.wait = STASIS_WAIT_INLINE;
	return sb_engine_stasis.open(run);
}

static const struct sb_engine throughput = {
	.name = "stasis",
	.text = "this library",
	.open = bus_open,
	.publish = bus_publish,
	.get = cache_get,
	.close = bus_close,
};

static const struct sb_engine inline_throughput = {
	.name = "stasis-inline",
	.text = "this library, publishers deliver",
	.open = inline_bus_open,
	.publish = bus_publish,
	.close = bus_close,
};

/* --- latency, by what a worker does when it has nothing to do --------------------------------- */

static int open_spin_park(struct sb_paced *paced, int option)
{
	return sb_paced_stasis.open(paced, STASIS_WAIT_SPIN_PARK);
}

static int open_park(struct sb_paced *paced, int option)
{
	return sb_paced_stasis.open(paced, STASIS_WAIT_PARK);
}

static int open_spin(struct sb_paced *paced, int option)
{
	return sb_paced_stasis.open(paced, STASIS_WAIT_SPIN);
}

static int open_inline(struct sb_paced *paced, int option)
{
	return sb_paced_stasis.open(paced, STASIS_WAIT_INLINE);
}

static int paced_send(struct sb_paced *paced, uint64_t sequence)
{
	return sb_paced_stasis.send(paced, sequence);
}

static void paced_close(struct sb_paced *paced)
{
	sb_paced_stasis.close(paced);
}

#define PACED(open_)                                                                               \
	{                                                                                          \
		.name = "stasis", .open = (open_), .send = paced_send, .close = paced_close        \
	}

static const struct sb_paced_subject paced_spin_park = PACED(open_spin_park);
static const struct sb_paced_subject paced_park = PACED(open_park);
static const struct sb_paced_subject paced_spin = PACED(open_spin);
static const struct sb_paced_subject paced_inline = PACED(open_inline);

/* --- calls, coming and going, doing nothing --------------------------------------------------- */

struct bus {
	struct stasis_executor *executor;
	struct stasis_message_type *type; /* of requests */
	struct stasis_message_type *news; /* of what nobody answers */
	bool quiet; /* subscribers take these two types only: nobody is told who comes and goes */
	struct stasis_topic **topics;
	struct stasis_subscription **subscriptions;
	unsigned n_topics, n_subscriptions;
};

struct request {
	uint64_t number;
	uint64_t *reply;
};

static void answer(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
	struct bus *bus = data;
	const struct request *request;

	/* Subscription changes come here too. */
	if (stasis_message_type(message) != bus->type)
		return;
	request = stasis_message_data(message);
	*request->reply = request->number + 1;
}

static void bus_free(struct bus *bus)
{
	for (unsigned i = 0; i < bus->n_subscriptions; i++)
		stasis_unsubscribe(bus->subscriptions[i]);
	if (bus->executor != NULL)
		stasis_executor_shutdown(bus->executor);
	for (unsigned i = 0; i < bus->n_topics; i++)
		stasis_object_unref(bus->topics[i]);
	stasis_object_unref(bus->news);
	stasis_object_unref(bus->type);
	free(bus->subscriptions);
	free(bus->topics);
	free(bus);
}

static int bus_topics(struct bus *bus, unsigned n)
{
	while (bus->n_topics < n) {
		struct stasis_topic *topic = stasis_topic_create("bench");

		if (topic == NULL)
			return -errno;
		bus->topics[bus->n_topics++] = topic;
	}
	return 0;
}

static struct stasis_subscription *bus_subscribe_to(struct bus *bus, struct stasis_topic *topic,
						    stasis_subscription_cb callback, void *data)
{
	struct stasis_message_type *types[] = { bus->type, bus->news };
	struct stasis_subscribe_options options = { .size = sizeof(options),
						    .executor = bus->executor };

	if (bus->quiet) {
		options.types = types;
		options.n_types = 2;
	}
	return stasis_subscribe_with(topic, callback, data, &options);
}

/* In turn to all topics. */
static int bus_subscribe(struct bus *bus, unsigned n)
{
	while (bus->n_subscriptions < n) {
		struct stasis_topic *topic = bus->topics[bus->n_subscriptions % bus->n_topics];
		struct stasis_subscription *sub = bus_subscribe_to(bus, topic, answer, bus);

		if (sub == NULL)
			return -errno;
		bus->subscriptions[bus->n_subscriptions++] = sub;
	}
	return stasis_executor_drain(bus->executor);
}

/* 0 or -errno. */
static int bus_new(enum stasis_wait wait, bool quiet, unsigned n_topics, unsigned n_subscriptions,
		   struct bus **busp)
{
	struct stasis_executor_options options = {
		.size = sizeof(options), .threads = 1, .name = "bench", .wait = wait
	};
	struct bus *bus = calloc(1, sizeof(*bus));
	int error = -ENOMEM;

	if (bus == NULL)
		return -ENOMEM;
	bus->quiet = quiet;
	bus->topics = calloc(n_topics + 1, sizeof(bus->topics[0]));
	bus->subscriptions = calloc(n_subscriptions + 1, sizeof(bus->subscriptions[0]));
	errno = ENOMEM;
	if (bus->topics != NULL && bus->subscriptions != NULL &&
	    (bus->executor = stasis_executor_create(&options)) != NULL &&
	    (bus->type = stasis_message_type_create("bench")) != NULL &&
	    (bus->news = stasis_message_type_create("news")) != NULL)
		error = bus_topics(bus, n_topics);
	else
		error = -errno;
	if (error == 0)
		error = bus_subscribe(bus, n_subscriptions);
	if (error < 0)
		bus_free(bus);
	else
		*busp = bus;
	return error;
}

static void state_close(void *state)
{
	bus_free(state);
}

static int call_open(void **state)
{
	return bus_new(STASIS_WAIT_SPIN_PARK, false, 1, 1, (struct bus **)state);
}

static int inline_call_open(void **state)
{
	return bus_new(STASIS_WAIT_INLINE, false, 1, 1, (struct bus **)state);
}

static int call_call(void *state, uint64_t number, uint64_t *reply)
{
	struct bus *bus = state;
	struct request request = { .number = number, .reply = reply };
	struct stasis_message *message = stasis_message_create_inline(bus->type, &request,
								      sizeof(request));
	int error;

	if (message == NULL)
		return -errno;
	error = stasis_publish_sync(bus->subscriptions[0], message);
	stasis_object_unref(message);
	return error;
}

static int churn_open(unsigned others, void **state)
{
	return bus_new(STASIS_WAIT_SPIN_PARK, false, 1, others, (struct bus **)state);
}

static int quiet_churn_open(unsigned others, void **state)
{
	return bus_new(STASIS_WAIT_SPIN_PARK, true, 1, others, (struct bus **)state);
}

static int inline_churn_open(unsigned others, void **state)
{
	return bus_new(STASIS_WAIT_INLINE, true, 1, others, (struct bus **)state);
}

/* Its own coming and going are callbacks too. */
static void visit(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	if (data != NULL)
		sb_guest_call(data);
}

static int publish_news(struct bus *bus)
{
	uint64_t number = 0;
	struct stasis_message *message = stasis_message_create_inline(bus->news, &number,
								      sizeof(number));

	if (message == NULL)
		return -errno;
	return stasis_publish_take(bus->topics[0], message);
}

static int churn_cycle(void *state, struct sb_guest *guest)
{
	struct bus *bus = state;
	struct stasis_subscription *sub = bus_subscribe_to(bus, bus->topics[0], visit, guest);
	int error = 0;

	if (sub == NULL)
		return -errno;
	if (guest != NULL)
		error = publish_news(bus);
	stasis_unsubscribe_and_join(sub);
	return error;
}

static int stock_open(unsigned n, void **state)
{
	return bus_new(STASIS_WAIT_SPIN_PARK, false, n, n, (struct bus **)state);
}

static const struct sb_call call = {
	.open = call_open,
	.call = call_call,
	.close = state_close,
};

static const struct sb_call inline_call = {
	.open = inline_call_open,
	.call = call_call,
	.close = state_close,
};

static const struct sb_churn churn = {
	.open = churn_open,
	.cycle = churn_cycle,
	.close = state_close,
};

static const struct sb_churn quiet_churn = {
	.open = quiet_churn_open,
	.cycle = churn_cycle,
	.close = state_close,
};

static const struct sb_churn inline_churn = {
	.open = inline_churn_open,
	.cycle = churn_cycle,
	.close = state_close,
};

static const struct sb_stock stock = {
	.open = stock_open,
	.close = state_close,
};

/* --- the rows --------------------------------------------------------------------------------- */

static const char *version(void)
{
	return VERSION_TEXT;
}

const struct sb_peer sb_peer_stasis = {
	.name = "stasis",
	.title = "stasis",
	.version = version,
	.settings = "defaults, one worker: it spins as long as that pays, then sleeps; "
		    "stasis_publish_take(), stasis_publish(), stasis_publish_batch(); calls by "
		    "stasis_publish_sync(), which calls back on the caller's thread when the "
		    "subscription is idle",
	.throughput = &throughput,
	.paced = &paced_spin_park,
	.call = &call,
	.churn = &churn,
	.stock = &stock,
};

const struct sb_peer sb_peer_stasis_park = {
	.name = "stasis-park",
	.title = "stasis (parked)",
	.version = version,
	.settings = "STASIS_WAIT_PARK: the worker sleeps at once",
	.paced = &paced_park,
};

const struct sb_peer sb_peer_stasis_spin = {
	.name = "stasis-spin",
	.title = "stasis (spin)",
	.version = version,
	.settings = "STASIS_WAIT_SPIN: the worker never sleeps and burns a CPU",
	.paced = &paced_spin,
};

const struct sb_peer sb_peer_stasis_inline = {
	.name = "stasis-inline",
	.title = "stasis (inline)",
	.version = version,
	.settings = "STASIS_WAIT_INLINE: the publisher calls back by itself, if nobody else is at "
		    "it; what is compared with engines that do the same",
	.throughput = &inline_throughput,
	.paced = &paced_inline,
	.call = &inline_call,
	.churn = &inline_churn,
};

const struct sb_peer sb_peer_stasis_quiet = {
	.name = "stasis-quiet",
	.title = "stasis (quiet)",
	.version = version,
	.settings = "subscribers with types: of who comes and goes they hear nothing, as with "
		    "every peer",
	.churn = &quiet_churn,
};
