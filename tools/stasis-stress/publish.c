/* SPDX-License-Identifier: BSD-2-Clause */
/* publish.c — publishing in all the ways there are, with the books kept. See net.h. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/object.h"
#include "bus/subscription.h"
#include "fail.h"
#include "net.h"
#include "plant.h"
#include "random.h"
#include "station.h"

#define SYNC_DEPTH_MAX 3u
#define SETTLE_NS UINT64_C(20000000000)

bool ss_net_excused(const struct ss_net *net, const char *what, int error)
{
	if (net->starved && (error == ENOMEM || error == EAGAIN))
		return true;
	ss_violation("error: %s: %s", what, strerror(error));
	return false;
}

static void count_result(struct ss_net *net, unsigned n, int result)
{
	if (ss_plant_now(SS_PLANT_ERROR))
		result = -EINVAL;
	if (result < 0) {
		ss_violation("error: publish: %s", strerror(-result));
		return;
	}
	atomic_fetch_add_explicit(&net->n_published, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&net->n_refused, (uint64_t)result, memory_order_relaxed);
}

/* Makes up to n messages in a row. Returns how many there was memory for. */
static unsigned make(struct ss_net *net, unsigned author, unsigned topic, unsigned kind,
		     unsigned depth, unsigned n, struct stasis_message **messages)
{
	struct ss_author *self = &net->authors[author];
	uint64_t batch = self->turn;

	for (unsigned i = 0; i < n; i++) {
		messages[i] = ss_datum_message(self, author, topic, kind, depth, i, batch);
		if (messages[i] == NULL) {
			ss_net_excused(net, "a message", errno);
			return i;
		}
	}
	return n;
}

unsigned ss_net_publish(struct ss_net *net, unsigned author, unsigned topic, unsigned n,
			unsigned depth, uint64_t *random)
{
	struct ss_author *self = &net->authors[author];
	struct stasis_message *messages[SS_BATCH_MAX];
	unsigned kind = (unsigned)random_below(random, SS_KINDS);
	bool take = random_below(random, 2) == 0;
	int result;

	n = make(net, author, topic, kind, depth, n < SS_BATCH_MAX ? n : SS_BATCH_MAX, messages);
	if (n == 0)
		return 0;
	ss_author_begin(self, topic, kind, n);
	if (n > 1) {
		result = stasis_publish_batch(net->topics[topic], messages, n);
	} else if (take) {
		result = stasis_publish_take(net->topics[topic], messages[0]);
	} else {
		result = stasis_publish(net->topics[topic], messages[0]);
		stasis_object_unref(messages[0]);
	}
	ss_author_end(self, topic, kind, n, true);
	count_result(net, n, result);
	return n;
}

static int sync_publish(struct stasis_subscription *sub, struct stasis_message *message,
			uint64_t *random)
{
	uint64_t how = random_below(random, 4);
	struct timespec timeout = { .tv_nsec = (long)random_below(random, 20000000) };

	if (how == 0)
		return stasis_publish_sync_timed(sub, message, &timeout);
	if (how == 1)
		return stasis_publish_sync_timed(sub, message, NULL);
	return stasis_publish_sync(sub, message);
}

void ss_net_publish_sync(struct ss_net *net, unsigned author, struct ss_station *station,
			 unsigned depth, uint64_t *random)
{
	struct ss_author *self = &net->authors[author];
	unsigned kind = (unsigned)random_below(random, SS_KINDS);
	struct stasis_message *message;
	uint64_t turn = self->turn, handled;
	int result;

	if (depth > SYNC_DEPTH_MAX ||
	    make(net, author, station->topic, kind, depth, 1, &message) == 0)
		return;
	ss_author_begin(self, station->topic, kind, 1);
	result = sync_publish(station->sub, message, random);
	ss_author_end(self, station->topic, kind, 1, result >= 0 || result == -ETIMEDOUT);
	stasis_object_unref(message);
	if (result == -ETIMEDOUT) {
		atomic_store(&net->untold, true);
		count_result(net, 1, 0);
	} else if (result >= 0) {
		count_result(net, 1, result);
	} else if (result != -EDEADLK) {
		ss_net_excused(net, "a synchronous publish", -result);
	}
	if (result != 0)
		return;
	/* Relaxed: the synchronous publish must have ordered it. */
	handled = atomic_load_explicit(&station->view->handled[author], memory_order_relaxed);
	if (ss_plant_now(SS_PLANT_SYNC))
		handled = turn;
	ss_check(handled > turn, "sync: %s: a publish returned before its callback",
		 station->view->name);
}

/* Messages that were evicted: those are dropped, and no publisher is told. */
static uint64_t evicted_of(const struct stasis_subscription *sub)
{
	const struct sti_limits *limits = sub->mailbox.limits;

	return limits != NULL ? atomic_load(&limits->evicted) : 0;
}

void ss_net_account(struct ss_net *net, struct stasis_subscription *sub, bool counts,
		    struct stasis_stats *stats)
{
	uint64_t end = ss_now_ns() + SETTLE_NS;
	struct ss_ended *ended;

	/* A publisher that has evicted may be about to count it. */
	for (;;) {
		*stats = (struct stasis_stats){ 0 };
		ss_check(stasis_stats_read(sub, stats) == 0, "stats: cannot be read");
		if (stats->depth == 0 || ss_now_ns() > end)
			break;
		ss_sleep_us(100);
	}
	if (net->starved)
		return;
	if (!counts) {
		/* Publishers are not told of changes that are dropped. */
		if (stats->dropped > evicted_of(sub))
			atomic_store(&net->changes_dropped, true);
		return;
	}
	ended = ss_alloc(sizeof(*ended));
	ended->sub = stasis_object_ref(sub);
	ended->next = atomic_load(&net->ended);
	while (!atomic_compare_exchange_weak(&net->ended, &ended->next, ended)) {
	}
}

uint64_t ss_net_sum_refused(struct ss_net *net)
{
	struct ss_ended *ended = atomic_exchange(&net->ended, NULL);
	uint64_t sum = 0;

	while (ended != NULL) {
		struct ss_ended *next = ended->next;
		struct stasis_stats stats = { 0 };

		stasis_stats_read(ended->sub, &stats);
		sum += stats.dropped - evicted_of(ended->sub);
		stasis_object_unref(ended->sub);
		ss_free(ended);
		ended = next;
	}
	return sum;
}
