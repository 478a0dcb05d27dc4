/* SPDX-License-Identifier: BSD-2-Clause */
/* station.c — see station.h */

#include "station.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "plant.h"
#include "random.h"

#define ECHO_EVERY 16u
#define DEPTH_MAX 2u
#define CAPACITY_LOG_MAX 8u

/* --- what callbacks do --- */

static void come_and_go(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			struct stasis_message *message)
{
}

static void disturb(struct ss_station *station, unsigned depth)
{
	uint64_t mischief = atomic_exchange(&station->mischief, SS_MISCHIEF_NONE);
	struct ss_net *net = station->net;
	struct ss_station *other;
	struct stasis_subscription *sub;

	switch (mischief & ((1u << SS_MISCHIEF_SHIFT) - 1)) {
	case SS_MISCHIEF_SLEEP:
		ss_sleep_us(mischief >> SS_MISCHIEF_SHIFT);
		break;
	case SS_MISCHIEF_RECURSE:
		ss_net_publish(net, station->author, station->topic, 1, depth + 1,
			       &station->random);
		break;
	case SS_MISCHIEF_SYNC:
		other = &net->stations[random_below(&station->random, net->n_stations)];
		if (other->syncs)
			ss_net_publish_sync(net, station->author, other, depth + 1,
					    &station->random);
		break;
	case SS_MISCHIEF_COME_AND_GO:
		/* Not a station's affair: it has no view, and changes do not count. */
		sub = stasis_subscribe_with(net->topics[station->topic], come_and_go, NULL,
					    &(struct stasis_subscribe_options){
						    .executor = station->options.executor });
		if (sub != NULL)
			stasis_unsubscribe(sub);
		break;
	default:
		break;
	}
}

static void after_check(struct ss_station *station, const struct ss_datum *datum)
{
	struct ss_net *net = station->net;

	/* What is published when stations end may reach one and not another. */
	if (ss_net_stopping(net))
		return;
	if (atomic_load_explicit(&station->mischief, memory_order_relaxed) != SS_MISCHIEF_NONE)
		disturb(station, datum->depth);
	if (datum->depth >= DEPTH_MAX || datum->turn % ECHO_EVERY != 0)
		return;
	if (station->echoes)
		ss_net_publish(net, station->author,
			       (unsigned)random_below(&station->random, net->n_topics), 1,
			       datum->depth + 1, &station->random);
	if (station->syncs && (net->shape->with & SS_WITH_SYNC)) {
		struct ss_station *other =
			&net->stations[random_below(&station->random, net->n_stations)];

		if (other->syncs)
			ss_net_publish_sync(net, station->author, other, datum->depth + 1,
					    &station->random);
	}
}

static void receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct ss_station *station = data;
	enum ss_call call = ss_view_enter(station->view, sub, message);

	ss_check(topic == station->net->topics[station->topic], "stray: %s: another topic",
		 station->view->name);
	if (call == SS_CALL_DATUM && station->view->datum != NULL)
		after_check(station, station->view->datum);
	ss_view_leave(station->view, call);
}

static void route(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		  struct stasis_message *message)
{
	const struct ss_route *route = data;
	struct ss_station *station = route->station;

	/* The first callback alone finds nothing there. */
	if (atomic_load(&station->seen) == NULL)
		atomic_store(&station->seen, stasis_object_ref(sub));
	if (route->kind >= 0)
		ss_check(stasis_message_type(message) == ss_kind_type((unsigned)route->kind) &&
				 !ss_plant_now(SS_PLANT_ROUTE),
			 "route: %s: the wrong one", station->view->name);
	receive(station, sub, topic, message);
}

static void tell(void *data, struct stasis_subscription *sub, bool congested)
{
	struct ss_station *station = data;

	/* Relaxed: it must order nothing. */
	if (atomic_exchange_explicit(&station->telling, 1, memory_order_relaxed) != 0)
		ss_violation("overlap: %s: two calls about congestion", station->view->name);
	if (ss_plant_now(SS_PLANT_CONGESTION))
		station->congested = congested;
	ss_check(station->congested != congested, "congestion: %s: told the same twice",
		 station->view->name);
	station->congested = congested;
	atomic_store_explicit(&station->telling, 0, memory_order_relaxed);
}

/* --- drawing one --- */

static void draw_queue(struct ss_station *station, uint64_t *random)
{
	struct stasis_subscribe_options *options = &station->options;
	unsigned log = station->net->scarce ? 2 : CAPACITY_LOG_MAX;

	if (!(station->net->shape->with & SS_WITH_POLICIES) && !station->net->scarce)
		return;
	options->overflow = (enum stasis_overflow)random_below(random, STASIS_OVERFLOW_REJECT + 1);
	options->capacity = (size_t)1 << random_below(random, log + 1);
	if (station->net->scarce)
		options->batch = 1 + (unsigned)random_below(random, 3);
	if (options->overflow != STASIS_OVERFLOW_GROW && options->capacity > 1 &&
	    random_below(random, 2) == 0) {
		options->high_water = options->capacity - options->capacity / 4;
		options->low_water = options->high_water / 3;
		options->on_congestion = tell;
	}
}

static bool may_drop(const struct ss_station *station)
{
	return station->options.capacity > 0 &&
	       ss_net_may_drop(station->net, station->options.overflow);
}

static unsigned draw_executor(const struct ss_net *net, uint64_t *random)
{
	unsigned drawn = (unsigned)random_below(random, SS_EXECUTORS);

	return net->executors[drawn] != NULL ? drawn : STASIS_WAIT_SPIN_PARK;
}

static void open_router(struct ss_station *station, uint64_t *random)
{
	struct stasis_message_type *change = stasis_subscription_change_type();
	bool has_default = random_below(random, 2) == 0;
	int result = 0;

	station->options.on_congestion = NULL;
	station->options.high_water = 0;
	station->options.low_water = 0;
	station->options.overflow = STASIS_OVERFLOW_GROW;
	station->filtered = true;
	for (int i = 0; i < (int)SS_KINDS + 2; i++)
		station->routes[i] = (struct ss_route){ station, i < (int)SS_KINDS ? i : -1 };
	/* Without a default the last kind has a route now and then; with one, it has another. */
	snprintf(station->view->name, sizeof(station->view->name), "router %u", station->index);
	station->view->selective = false;
	station->view->routed = true;
	station->view->always = has_default ? (1u << SS_KINDS) - 1 : (1u << (SS_KINDS - 1)) - 1;
	station->view->lossless = !station->net->starved;
	station->router = stasis_message_router_create_with(station->net->topics[station->topic],
							    &station->options);
	if (station->router == NULL)
		ss_die("cannot make a router: %s", strerror(errno));
	for (unsigned i = 0; i + 1 < SS_KINDS && !has_default; i++)
		result |= stasis_message_router_add(station->router, ss_kind_type(i), route,
						    &station->routes[i]);
	if (has_default)
		result |= stasis_message_router_set_default(station->router, route,
							    &station->routes[SS_KINDS]);
	else
		result |= stasis_message_router_add(station->router, change, route,
						    &station->routes[SS_KINDS + 1]);
	if (result != 0)
		ss_die("cannot make routes");
}

static void open_subscription(struct ss_station *station, uint64_t *random)
{
	struct ss_net *net = station->net;
	struct ss_view *view = station->view;
	struct stasis_message_type *types[SS_KINDS];
	bool filtered = (net->shape->with & SS_WITH_FILTERS) && !may_drop(station) &&
			random_below(random, 2) == 0;

	for (unsigned i = 0; i < SS_KINDS; i++)
		types[i] = ss_kind_type(i);
	/* What may drop gets messages alone, so that only those are counted. */
	view->selective = may_drop(station) || net->starved || random_below(random, 2) == 0;
	view->lossless = !may_drop(station) && !net->starved;
	view->distinct = station->options.distinct;
	if (view->selective || filtered) {
		station->options.types = types;
		station->options.n_types = filtered ? 1 : SS_KINDS;
	}
	if (filtered) {
		station->filtered = true;
		view->selective = false;
		view->always = 1;
	}
	station->sub = stasis_subscribe_with(net->topics[station->topic], receive, station,
					     &station->options);
	if (station->sub == NULL)
		ss_die("cannot subscribe: %s", strerror(errno));
	station->options.types = NULL;
	station->options.n_types = 0;
	station->echoes = (net->shape->with & SS_WITH_ECHOES) && random_below(random, 2) == 0;
	station->syncs = view->always == (1u << SS_KINDS) - 1 &&
			 (station->options.capacity == 0 ||
			  station->options.overflow == STASIS_OVERFLOW_GROW);
}

void ss_station_open(struct ss_net *net, unsigned index, unsigned topic, uint64_t *random)
{
	static const char *const policies[] = { "grow", "block", "newest", "oldest", "reject" };
	struct ss_station *station = &net->stations[index];
	struct ss_place place = ss_net_place(net, topic);

	station->net = net;
	station->index = index;
	station->topic = topic;
	station->author = net->n_threads + index;
	station->random = random_next(random) | 1;
	station->executor = draw_executor(net, random);
	station->options.executor = net->executors[station->executor];
	station->options.distinct = random_below(random, 2) == 0;
	draw_queue(station, random);
	station->view = ss_view_new(&place, false);
	snprintf(station->view->name, sizeof(station->view->name), "station %u (%s)", index,
		 policies[station->options.overflow]);
	ss_view_begun(station->view);
	if ((net->shape->with & SS_WITH_ROUTERS) && random_below(random, 3) > 0) {
		station->view->distinct = station->options.distinct;
		open_router(station, random);
	} else {
		open_subscription(station, random);
	}
}

/* --- its life --- */

uint64_t ss_station_depth(struct ss_station *station)
{
	struct stasis_stats stats = { 0 };
	struct stasis_subscription *sub = station->sub != NULL ? station->sub :
								 atomic_load(&station->seen);

	if (sub != NULL)
		stasis_stats_read(sub, &stats);
	return stats.depth;
}

static int reroute(struct ss_station *station, uint64_t *random)
{
	/* A route of a kind that is accepted either way, or of the one that need not be. */
	unsigned kind = station->view->always == (1u << SS_KINDS) - 1 ?
				(unsigned)random_below(random, SS_KINDS) :
				SS_KINDS - 1;
	int result;

	if (random_below(random, 2) == 0)
		result = stasis_message_router_add(station->router, ss_kind_type(kind), route,
						   &station->routes[kind]);
	else
		result = stasis_message_router_remove(station->router, ss_kind_type(kind));
	return result == -EEXIST || result == -ENOENT ? 0 : result;
}

void ss_station_refilter(struct ss_station *station, uint64_t *random)
{
	unsigned kind = 1 + (unsigned)random_below(random, SS_KINDS - 1);
	int result;

	if (!station->filtered)
		return;
	if (station->router != NULL) {
		result = reroute(station, random);
	} else {
		switch (random_below(random, 4)) {
		case 0:
			result = stasis_subscription_accept_message_type(station->sub,
									 ss_kind_type(kind));
			break;
		case 1:
			result = stasis_subscription_decline_message_type(station->sub,
									  ss_kind_type(kind));
			break;
		case 2:
			result = stasis_subscription_set_filter(station->sub,
								STASIS_SUBSCRIPTION_FILTER_NONE);
			break;
		default:
			result = stasis_subscription_set_filter(
				station->sub, STASIS_SUBSCRIPTION_FILTER_SELECTIVE);
			break;
		}
	}
	if (result != 0)
		ss_net_excused(station->net, "a change of filters", -result);
}

void ss_station_disturb(struct ss_station *station, enum ss_mischief mischief, uint64_t us)
{
	atomic_store(&station->mischief, (uint64_t)mischief | us << SS_MISCHIEF_SHIFT);
}

void ss_station_end(struct ss_station *station)
{
	if (station->router != NULL)
		stasis_message_router_unsubscribe(station->router);
	else
		stasis_unsubscribe(stasis_object_ref(station->sub));
}

void ss_station_close(struct ss_station *station)
{
	struct stasis_subscription *sub = station->sub;
	struct stasis_stats stats;

	if (sub == NULL)
		sub = atomic_load(&station->seen);
	if (sub == NULL) {
		ss_violation("final: %s: nothing ever came", station->view->name);
		return;
	}
	/* The callback for the final message has been seen; it may not have returned yet. */
	ss_check(stasis_subscription_join(sub) == 0, "join: %s: refused", station->view->name);
	ss_view_close(station->view);
	ss_check(stasis_subscription_is_done(sub) == 1, "final: %s: not done", station->view->name);
	ss_check(!station->congested, "congestion: %s: at the end", station->view->name);
	ss_net_account(station->net, sub, station->view->selective && !station->view->lossless,
		       &stats);
	ss_view_check(station->view, &stats);
	stasis_object_unref(sub);
	ss_view_unref(station->view);
}
