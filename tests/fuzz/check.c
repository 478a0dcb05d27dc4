/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c — comparing what can be asked, after every operation */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"
#include "plant.h"
#include "world.h"

#define NOTES 4096u

static struct {
	const char *operation;
	unsigned a, b;
} notes[NOTES];
static unsigned n_notes;

void w_notes_reset(void)
{
	n_notes = 0;
}

void w_note(const char *operation, unsigned a, unsigned b)
{
	notes[n_notes % NOTES].operation = operation;
	notes[n_notes % NOTES].a = a;
	notes[n_notes % NOTES].b = b;
	n_notes++;
}

void w_fail(const char *file, int line, const char *what, long long got, long long expected)
{
	unsigned first = n_notes > NOTES ? n_notes - NOTES : 0;

	for (unsigned i = first; i < n_notes; i++)
		fprintf(stderr, "%4u  %s %u %u\n", i, notes[i % NOTES].operation,
			notes[i % NOTES].a, notes[i % NOTES].b);
	fprintf(stderr, "%s:%d: %s: %lld, expected %lld\n", file, line, what, got, expected);
	abort();
}

/* --- memory --- */

void w_arm(void)
{
	world.failed = false;
	if (!world.arm)
		return;
	world.arm = false;
	world.armed = true;
	m_may_lose = true;
	faulty_arm(world.fail_at, false);
}

bool w_disarm(void)
{
	if (!world.armed)
		return false;
	world.failed = faulty_disarm();
	/* What is still to be done to the model is of this operation: until w_check(). */
	world.armed = false;
	m_may_lose = world.failed;
	return world.failed;
}

/* --- subscriptions --- */

/* Memory has run out: what the subscription has not taken. */
static void follow_losses(struct m_sub *sub, const struct stasis_stats *stats)
{
	uint64_t lost = stats->dropped - (sub->refused + sub->evicted);

	if (lost == 0)
		return;
	W_TRUE(world.failed);
	world.n_lost += lost;
	W_TRUE(sub->capacity == 0 || sub->policy == M_BLOCK);
	sub->refused += lost;
	sub->pushed -= lost;
	sub->depth -= lost;
	sub->n_lost += lost;
}

/* What the last operation has pushed, or lost. Removes what is gone, where that is known. */
static void settle_items(struct m_sub *sub)
{
	size_t kept = sub->first;
	uint64_t n_maybe = 0;

	for (size_t i = 0; i < sub->n; i++)
		n_maybe += sub->items[sub->first + i].maybe;
	W_TRUE(n_maybe >= sub->n_lost);
	if (sub->n_lost != 0 && sub->n_lost != n_maybe)
		return;
	for (size_t i = 0; i < sub->n; i++) {
		struct m_item item = sub->items[sub->first + i];

		if (item.maybe && sub->n_lost != 0)
			continue;
		item.maybe = false;
		sub->items[kept++] = item;
	}
	sub->n = kept - sub->first;
	sub->n_lost = 0;
}

/* Nobody can ask any more, or ever could, how much it has lost. */
static bool is_closed(const struct w_sub *sub)
{
	return sub->m.router || (!sub->held && sub->m.ended);
}

static bool may_have_lost(const struct m_sub *sub)
{
	bool maybe = false;

	for (size_t i = 0; i < sub->n; i++)
		maybe |= sub->items[sub->first + i].maybe;
	return maybe;
}

/* Some of what was pushed is lost, but which of it is not known. So that no later operation meets
 * two such questions in one queue, where they could not be told apart: everything is delivered. */
static void settle_rest(void)
{
	for (unsigned i = 0; i < M_SUBS; i++) {
		struct m_sub *m = &world.subs[i].m;

		if (m->used && may_have_lost(m))
			w_run_all((struct w_executor *)m->executor);
	}
}

static void check_congestion(struct w_sub *sub)
{
	struct m_sub *m = &sub->m;

	/* Without memory nobody can be told; the next one is. Nor does a queue that has lost
	 * something become as long. */
	if (world.failed && sub->congested != m->congested) {
		m->congested = sub->congested;
		m->n_crossed = sub->n_told;
	}
	W_EQUAL(sub->congested, m->congested);
	W_EQUAL(sub->n_told, m->n_crossed);
}

static void check_sub(struct w_sub *sub)
{
	struct stasis_stats stats = { .size = sizeof(stats) };
	struct m_sub *m = &sub->m;

	if (is_closed(sub)) {
		if (!world.failed)
			settle_items(m);
		return;
	}
	W_EQUAL(stasis_stats_read(sub->lib, &stats), 0);
	if (w_plants(PLANT_COUNT) && stats.dropped > 0)
		stats.dropped--;
	follow_losses(m, &stats);
	settle_items(m);
	W_EQUAL(stats.kind, STASIS_STATS_SUBSCRIPTION);
	W_EQUAL(stats.published, m->pushed);
	W_EQUAL(stats.delivered, m->delivered);
	W_EQUAL(stats.dropped, m->refused + m->evicted);
	W_EQUAL(stats.depth, m->n - m->n_lost);
	W_EQUAL(stats.blocked, 0);
	if (m->policy != M_BLOCK && m->capacity != 0)
		W_EQUAL(stats.grown, 0);
	W_TRUE(stats.depth_max <= m->pushed);
	check_congestion(sub);
	W_EQUAL(stats.congested, m->congested);
	W_EQUAL(stasis_subscription_is_done(sub->lib), m->done);
	W_EQUAL(stasis_subscription_is_subscribed(sub->lib), !m->ended);
}

/* --- the others --- */

static void check_topic(struct w_topic *topic)
{
	struct stasis_stats stats = { .size = sizeof(stats) };

	W_EQUAL(stasis_stats_read(topic->lib, &stats), 0);
	W_EQUAL(stats.kind, STASIS_STATS_TOPIC);
	W_EQUAL(stats.subscriptions, m_reach(&topic->m));
	W_EQUAL(stats.forwards, topic->m.n_forwards);
	W_EQUAL(stats.published, topic->m.published);
	W_TRUE(strcmp(stats.name, topic->m.name) == 0);
	W_TRUE(stats.name == stasis_topic_name(topic->lib));
}

static void check_executor(struct w_executor *executor)
{
	struct stasis_stats stats = { .size = sizeof(stats) };

	W_EQUAL(stasis_stats_read(executor->lib, &stats), 0);
	W_EQUAL(stats.kind, STASIS_STATS_EXECUTOR);
	W_EQUAL(stats.threads, 0);
	if (executor->m.routed) {
		W_TRUE(stats.delivered >= executor->m.delivered);
		return;
	}
	W_EQUAL(stats.delivered, executor->m.delivered);
	W_EQUAL(stats.subscriptions, executor->m.n_subs);
}

void w_check(void)
{
	for (unsigned i = 0; i < M_SUBS; i++) {
		if (world.subs[i].m.used)
			check_sub(&world.subs[i]);
	}
	for (unsigned i = 0; i < M_TOPICS; i++) {
		if (world.topics[i].held)
			check_topic(&world.topics[i]);
	}
	for (unsigned i = 0; i < M_EXECUTORS; i++) {
		if (world.executors[i].lib != NULL)
			check_executor(&world.executors[i]);
	}
	if (world.count_lost)
		W_EQUAL(world.n_lost_expected, world.n_lost);
	world.count_lost = false;
	world.n_lost = 0;
	world.failed = false;
	m_may_lose = false;
	settle_rest();
}
