/* SPDX-License-Identifier: BSD-2-Clause */
/* role.c — see role.h */

#include "role.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "memory.h"
#include "plant.h"
#include "random.h"
#include "station.h"
#include "store.h"

/* Messages that may wait at a station before publishers do. */
#define DEPTH_MAX 4000u
#define DEPTH_MAX_SCARCE 500u
/* Messages that are counted (memory.h) and there at once, before publishers wait. */
#define LIVE_MAX 3000u

struct ss_slot *ss_slots;
unsigned ss_n_slots;

static __thread struct ss_slot *self_slot;

struct ss_slot *ss_slot_self(void)
{
	return self_slot;
}

void ss_keep_pace(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	uint64_t max = net->scarce ? DEPTH_MAX_SCARCE : DEPTH_MAX;
	struct ss_station *station = &net->stations[random_below(&slot->random, net->n_stations)];

	ss_doing(slot, "waiting for queues to shorten");
	for (int i = 0; i < 50 && !ss_net_stopping(net) && ss_station_depth(station) > max; i++)
		ss_sleep_us(200);
}

static void wait_for_few(struct ss_slot *slot)
{
	for (int i = 0; i < 50 && ss_memory_data_live() > LIVE_MAX && !ss_net_stopping(slot->net);
	     i++) {
		ss_doing(slot, "waiting for messages to be freed");
		ss_sleep_us(200);
	}
}

static void publish(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	unsigned topic = (unsigned)random_below(&slot->random, net->n_topics);
	unsigned n = 1;

	if (random_below(&slot->random, 8) == 0)
		n = 2 + (unsigned)random_below(&slot->random, SS_BATCH_MAX - 1);
	/* Wherever they are: at stations, or at those who come and go. */
	wait_for_few(slot);
	ss_doing(slot, "publishing");
	ss_net_publish(net, slot->index, topic, n, 0, &slot->random);
	if (ss_plant_now(SS_PLANT_CRASH))
		abort();
	if (random_below(&slot->random, 16) == 0) {
		ss_keep_pace(slot);
	}
	if (random_below(&slot->random, 64) == 0) {
		struct stasis_topic *asked = net->topics[topic];

		ss_check(stasis_topic_wants(asked, ss_kind_type(0)) == 1 &&
				 !ss_plant_now(SS_PLANT_WANTS),
			 "wants: topic %u does not want what its stations accept", topic);
		ss_check(stasis_topic_subscribers(asked) > 0 && !ss_plant_now(SS_PLANT_SUBSCRIBERS),
			 "subscribers: topic %u has none", topic);
	}
}

static void publish_sync(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	struct ss_station *station = &net->stations[random_below(&slot->random, net->n_stations)];

	wait_for_few(slot);
	ss_doing(slot, "publishing synchronously");
	if (station->syncs)
		ss_net_publish_sync(net, slot->index, station, 0, &slot->random);
	else
		sched_yield();
}

static void change_filter(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;

	ss_doing(slot, "changing filters");
	ss_station_refilter(&net->stations[random_below(&slot->random, net->n_stations)],
			    &slot->random);
	/* Each change copies an array; publishers need some CPU, too. */
	ss_sleep_us(random_below(&slot->random, 200));
}

static void write_store(struct ss_slot *slot)
{
	ss_doing(slot, "writing snapshots");
	ss_store_write(slot->net->store, slot->index, &slot->random);
}

static void read_store(struct ss_slot *slot)
{
	ss_doing(slot, "reading the cache");
	ss_store_read(slot->net->store, slot->index, &slot->random);
}

static void visit_store(struct ss_slot *slot)
{
	ss_doing(slot, "subscribing with the state");
	ss_store_visit(slot->net->store, &slot->random);
}

static const struct {
	const char *name;
	void (*act)(struct ss_slot *slot);
} roles[SS_ROLE_N] = {
	[SS_ROLE_PUBLISHER] = { "publisher", publish },
	[SS_ROLE_VISITOR] = { "visitor", ss_visit },
	[SS_ROLE_JOINER] = { "joiner", ss_join_somebody },
	[SS_ROLE_SYNC] = { "sync publisher", publish_sync },
	[SS_ROLE_FORWARDER] = { "forwarder", ss_forward_somewhere },
	[SS_ROLE_FILTERER] = { "filterer", change_filter },
	[SS_ROLE_EXECUTIVE] = { "executive", ss_run_executor },
	[SS_ROLE_WRITER] = { "writer", write_store },
	[SS_ROLE_READER] = { "reader", read_store },
	[SS_ROLE_STATIST] = { "statist", visit_store },
};

const char *ss_role_name(enum ss_role_kind role)
{
	return role < SS_ROLE_N ? roles[role].name : "?";
}

static void *run(void *arg)
{
	struct ss_slot *slot = arg;

	self_slot = slot;
	/* A cancelled thread leaves where it is told to, see ss_slot_leaves(). */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setname_np(pthread_self(), "ss-thread");
	atomic_store(&slot->tid, (int)gettid());
	while (!ss_net_stopping(slot->net)) {
		roles[slot->role].act(slot);
		atomic_fetch_add_explicit(&slot->n_ops, 1, memory_order_relaxed);
		if (atomic_load_explicit(&slot->leave, memory_order_relaxed) != SS_LEAVE_NONE &&
		    ss_slot_leaves(slot))
			break;
	}
	ss_doing(slot, "ending");
	while (slot->index == 0 && ss_plant_now(SS_PLANT_HANG))
		ss_sleep_us(3600u * 1000000u);
	atomic_store(&slot->tid, 0);
	atomic_store(&slot->gone, true);
	return NULL;
}

static void start(struct ss_slot *slot)
{
	int result;

	atomic_store(&slot->gone, false);
	atomic_store(&slot->leave, SS_LEAVE_NONE);
	ss_doing(slot, "starting");
	result = pthread_create(&slot->thread, NULL, run, slot);
	if (result != 0)
		ss_die("cannot start thread %u: %s", slot->index, strerror(result));
}

void ss_role_replace(struct ss_slot *slot)
{
	/* Its destructors may still be publishing, and wait for room. */
	if (pthread_tryjoin_np(slot->thread, NULL) == 0)
		start(slot);
}

/* Shares the threads out by weight: no role that has one goes without, while there are threads. */
static void cast(struct ss_net *net)
{
	const uint8_t *weights = net->shape->weights;
	double owed[SS_ROLE_N] = { 0 };
	unsigned sum = 0;

	for (int r = 0; r < SS_ROLE_N; r++)
		sum += weights[r];
	for (unsigned i = 0; i < ss_n_slots; i++) {
		int best = 0;

		for (int r = 0; r < SS_ROLE_N; r++) {
			owed[r] += (double)weights[r] / sum;
			if (owed[r] > owed[best])
				best = r;
		}
		owed[best] -= 1;
		ss_slots[i].role = (enum ss_role_kind)best;
	}
}

void ss_roles_start(struct ss_net *net)
{
	ss_n_slots = net->n_threads;
	ss_slots = ss_alloc(ss_n_slots * sizeof(*ss_slots));
	for (unsigned i = 0; i < ss_n_slots; i++) {
		ss_slots[i].net = net;
		ss_slots[i].index = i;
		ss_slots[i].random = random_seed(net->seed, 1000 + i);
	}
	cast(net);
	for (unsigned i = 0; i < ss_n_slots; i++)
		start(&ss_slots[i]);
}

void ss_roles_join(void)
{
	for (unsigned i = 0; i < ss_n_slots; i++)
		pthread_join(ss_slots[i].thread, NULL);
}

void ss_roles_free(void)
{
	ss_free(ss_slots);
	ss_slots = NULL;
	ss_n_slots = 0;
}
