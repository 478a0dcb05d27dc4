/* SPDX-License-Identifier: BSD-2-Clause */
/* net.c — drawing a net and taking it down. See net.h. */

#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "memory.h"
#include "plant.h"
#include "random.h"
#include "station.h"
#include "store.h"

/* Deliveries that one publish may lead to, at most, for each subscription of a topic. */
#define SPREAD_MAX 24u
#define RUN_MAX 64u
#define LOOP_POLL_MS 10
/* Between two turns of the one who closes. */
#define CLOSING_US 1000u

/* --- the graph --- */

static unsigned spread(const struct ss_net *net, unsigned from)
{
	unsigned n = 0;

	for (unsigned to = 0; to < net->n_topics; to++)
		n += net->paths[to][from];
	return n;
}

static void count_paths(struct ss_net *net, const uint16_t edges[SS_TOPICS_MAX][SS_TOPICS_MAX])
{
	memset(net->paths, 0, sizeof(net->paths));
	for (unsigned from = 0; from < net->n_topics; from++) {
		net->paths[from][from] = 1;
		/* Forwards lead to higher numbers. */
		for (unsigned to = from + 1; to < net->n_topics; to++) {
			for (unsigned by = from; by < to; by++)
				net->paths[to][from] = (uint16_t)(net->paths[to][from] +
								  net->paths[by][from] *
									  edges[by][to]);
		}
	}
}

static void add_forward(struct ss_net *net, uint16_t edges[SS_TOPICS_MAX][SS_TOPICS_MAX],
			unsigned from, unsigned to)
{
	struct stasis_forward *forward;

	if (from >= to || net->n_forwards == SS_FORWARDS_MAX)
		return;
	edges[from][to]++;
	count_paths(net, edges);
	for (unsigned t = 0; t < net->n_topics; t++) {
		if (spread(net, t) > SPREAD_MAX) {
			edges[from][to]--;
			count_paths(net, edges);
			return;
		}
	}
	forward = stasis_forward_all(net->topics[from], net->topics[to]);
	if (forward == NULL)
		ss_die("cannot forward: %s", strerror(errno));
	net->forwards[net->n_forwards++] = forward;
}

static void draw_graph(struct ss_net *net, uint64_t *random)
{
	static uint16_t edges[SS_TOPICS_MAX][SS_TOPICS_MAX];
	unsigned n = net->n_topics, last = n - 1;

	memset(edges, 0, sizeof(edges));
	count_paths(net, edges);
	switch (net->shape->graph) {
	case SS_GRAPH_NONE:
		break;
	case SS_GRAPH_CHAIN:
		for (unsigned i = 0; i < last; i++)
			add_forward(net, edges, i, i + 1);
		break;
	case SS_GRAPH_DIAMOND:
		for (unsigned i = 1; i < last; i++) {
			add_forward(net, edges, 0, i);
			add_forward(net, edges, i, last);
		}
		if (random_below(random, 2) == 0)
			add_forward(net, edges, 0, 1);
		break;
	case SS_GRAPH_TREE:
		for (unsigned i = 0; i < last; i++)
			add_forward(net, edges, i,
				    i + 1 + (unsigned)random_below(random, last - i));
		break;
	case SS_GRAPH_RANDOM:
		for (unsigned i = 0; i < 2 * n; i++)
			add_forward(net, edges, (unsigned)random_below(random, n),
				    (unsigned)random_below(random, n));
		break;
	}
}

struct ss_place ss_net_place(const struct ss_net *net, unsigned topic)
{
	return (struct ss_place){
		.authors = net->authors,
		.n_authors = net->n_authors,
		.n_topics = net->n_topics,
		.paths = net->paths[topic],
	};
}

bool ss_net_may_drop(const struct ss_net *net, enum stasis_overflow overflow)
{
	/* A synchronous publish with a timeout does not wait for room any longer than that. */
	if (overflow == STASIS_OVERFLOW_BLOCK)
		return net->shape->weights[SS_ROLE_SYNC] > 0;
	return overflow != STASIS_OVERFLOW_GROW;
}

bool ss_net_is_manifold(const struct ss_net *net, unsigned topic)
{
	for (unsigned from = 0; from < net->n_topics; from++) {
		if (net->paths[topic][from] > 1)
			return true;
	}
	return false;
}

/* --- executors --- */

static void *run_loop(void *arg)
{
	struct ss_net *net = arg;
	struct stasis_executor *executor = net->executors[STASIS_WAIT_MANUAL];
	struct pollfd work = { .fd = stasis_executor_fd(executor), .events = POLLIN };

	pthread_setname_np(pthread_self(), "ss-loop");
	while (!atomic_load(&net->loop_stop)) {
		if (poll(&work, 1, LOOP_POLL_MS) > 0)
			stasis_executor_run(executor, RUN_MAX);
	}
	return NULL;
}

static bool draws_executor(const struct ss_net *net, enum stasis_wait wait, uint64_t *random)
{
	if (wait == STASIS_WAIT_SPIN_PARK || wait == STASIS_WAIT_INLINE)
		return true;
	return (net->shape->with & SS_WITH_EXECUTORS) &&
	       (wait != STASIS_WAIT_SPIN || random_below(random, 4) == 0);
}

static void open_executors(struct ss_net *net, uint64_t *random)
{
	for (int i = 0; i < SS_EXECUTORS; i++) {
		struct stasis_executor_options options = {
			/* One that spins takes a whole CPU. */
			.threads = i == STASIS_WAIT_SPIN ? 1 :
							   1 + (unsigned)random_below(random, 3),
			.wait = (enum stasis_wait)i,
			.name = "ss-worker",
		};

		/* Spinning workers now and then: on a few CPUs, all else would come to a halt. */
		if (!draws_executor(net, (enum stasis_wait)i, random))
			continue;
		net->executors[i] = stasis_executor_create(&options);
		if (net->executors[i] == NULL)
			ss_die("cannot make an executor: %s", strerror(errno));
	}
	if (net->executors[STASIS_WAIT_MANUAL] != NULL &&
	    pthread_create(&net->loop, NULL, run_loop, net) != 0)
		ss_die("cannot start a thread");
}

static void close_executors(struct ss_net *net)
{
	for (int i = 0; i < SS_EXECUTORS; i++) {
		if (net->executors[i] == NULL)
			continue;
		if (i == STASIS_WAIT_MANUAL) {
			atomic_store(&net->loop_stop, true);
			pthread_join(net->loop, NULL);
		}
		stasis_executor_shutdown(net->executors[i]);
	}
}

/* --- beginning --- */

struct ss_net *ss_net_open(const struct ss_shape *shape, uint64_t seed, unsigned n_threads,
			   bool scarce, bool starved)
{
	struct ss_net *net = ss_alloc(sizeof(*net));
	uint64_t random = random_seed(seed, 0);
	unsigned range = shape->topics_max - shape->topics_min + 1u;

	net->shape = shape;
	net->seed = seed;
	net->n_threads = n_threads;
	net->scarce = scarce;
	net->starved = starved;
	net->n_topics = shape->topics_min + (unsigned)random_below(&random, range);
	net->n_authors = n_threads + SS_STATIONS_MAX + 1;
	net->authors = ss_alloc(net->n_authors * sizeof(*net->authors));
	pthread_mutex_init(&net->share_lock, NULL);
	atomic_store(&ss_views_begun, 0);
	atomic_store(&ss_views_ended, 0);
	for (unsigned i = 0; i < net->n_topics; i++) {
		char name[24];

		snprintf(name, sizeof(name), "topic-%u", i);
		net->topics[i] = stasis_topic_create(name);
		if (net->topics[i] == NULL)
			ss_die("cannot make a topic: %s", strerror(errno));
	}
	draw_graph(net, &random);
	open_executors(net, &random);
	for (unsigned i = 0; i < net->n_topics; i++) {
		uint64_t n = 1 + random_below(&random, shape->stations_max);

		for (; n > 0 && net->n_stations < SS_STATIONS_MAX; n--)
			ss_station_open(net, net->n_stations++, i, &random);
	}
	if (shape->with & SS_WITH_CACHE)
		net->store = ss_store_open(net, &random);
	return net;
}

/* --- the end --- */

/* Some subscriptions end by themselves after a number of messages. */
static void close_with_messages(struct ss_net *net, uint64_t n_left)
{
	uint64_t random = random_seed(net->seed, 1);

	while (atomic_load(&ss_views_begun) - atomic_load(&ss_views_ended) > n_left) {
		for (unsigned i = 0; i < net->n_topics; i++)
			ss_net_publish(net, net->n_authors - 1, i, 1, 2, &random);
		ss_sleep_us(CLOSING_US);
	}
}

static void check_sums(struct ss_net *net)
{
	unsigned long long told = atomic_load(&net->n_refused);
	unsigned long long counted = ss_net_sum_refused(net);

	if (net->starved)
		return;
	if (!atomic_load(&net->untold))
		ss_check(told >= counted,
			 "stats: publishers were told of %llu refused, subscriptions count %llu",
			 told, counted);
	/* What some have dropped may have been changes, of which no publisher is told. */
	if (atomic_load(&net->changes_dropped))
		return;
	/* Only here, where it must show. */
	if (ss_plant_now(SS_PLANT_TOLD))
		told = counted + 1;
	ss_check(told <= counted,
		 "stats: publishers were told of %llu refused, subscriptions count %llu", told,
		 counted);
}

static void check_topics(const struct ss_net *net)
{
	for (unsigned t = 0; t < net->n_topics; t++) {
		struct stasis_stats stats = { 0 };
		uint64_t n = 0;

		for (unsigned a = 0; a < net->n_authors; a++) {
			for (unsigned k = 0; k < SS_KINDS; k++)
				n += atomic_load(&net->authors[a].counts[t][k].completed);
		}
		if (ss_plant_now(SS_PLANT_PUBLISHED))
			n++;
		ss_check(stasis_stats_read(net->topics[t], &stats) == 0, "stats: of a topic");
		ss_check(stats.published == n, "stats: topic %u: %llu published, it counts %llu", t,
			 (unsigned long long)n, (unsigned long long)stats.published);
	}
}

static void drop_shares(struct ss_net *net)
{
	for (unsigned i = 0; i < SS_SHARES; i++) {
		stasis_object_unref(net->shares[i].sub);
		ss_view_unref(net->shares[i].view);
	}
}

void ss_net_close(struct ss_net *net)
{
	/* The stations are left, and those of the store. */
	uint64_t n_left = net->n_stations;

	drop_shares(net);
	if (net->store != NULL)
		ss_store_end(net->store);
	close_with_messages(net, n_left);
	/* Callbacks that had begun to publish before the stop. */
	for (int i = 0; i < SS_EXECUTORS; i++) {
		if (net->executors[i] != NULL)
			ss_check(stasis_executor_drain(net->executors[i]) == 0, "drain: refused");
	}
	for (unsigned i = 0; i < net->n_stations; i++)
		ss_station_end(&net->stations[i]);
	/* Exactly one final message for every subscription there was. */
	while (atomic_load(&ss_views_ended) < atomic_load(&ss_views_begun))
		ss_sleep_us(1000);
	for (unsigned i = 0; i < net->n_stations; i++)
		ss_station_close(&net->stations[i]);
	close_executors(net);
	ss_check(atomic_load(&ss_views_ended) == atomic_load(&ss_views_begun),
		 "final: %llu subscriptions, %llu final messages",
		 (unsigned long long)atomic_load(&ss_views_begun),
		 (unsigned long long)atomic_load(&ss_views_ended));
	check_sums(net);
	check_topics(net);
	if (net->store != NULL)
		ss_store_close(net->store);
	for (unsigned i = 0; i < net->n_forwards; i++)
		stasis_forward_cancel(net->forwards[i]);
	for (unsigned i = 0; i < net->n_topics; i++) {
		if (ss_plant_now(SS_PLANT_TOPIC))
			stasis_object_ref(net->topics[i]);
		stasis_object_unref(net->topics[i]);
	}
	pthread_mutex_destroy(&net->share_lock);
	ss_free(net->authors);
	ss_free(net);
}
