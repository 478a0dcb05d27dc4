/* SPDX-License-Identifier: BSD-2-Clause */
/* explore-subscribers.c — bus/subscribers.h: arrays replaced under those who walk them
 *
 * Subscriptions are taken out and freed a grace period later, as the bus does it, while others walk
 * the array and look at what they find. Whoever was there before a walk began and is not taken out
 * is met once; whoever comes or goes meanwhile, once at most; and nobody after he is freed. */

#include "base/alloc.h"
#include "bus/filter.h"
#include "bus/subscribers.h"
#include "bus/subscription.h"
#include "explore.h"

#define SUBS 4u

static sti_subscribers_ptr subscribers;
static struct explore_lock lock; /* the topic's */
static struct stasis_subscription *subs[SUBS];
static const struct sti_filter selective = { .mask = 2, .selective = true };
/* Arrays hold no more than addresses of topics. */
static char topics[2];
/* Given from one who has added to one who walks then. */
static struct explore_gate added;

/* Only called by filters that are there. */
bool sti_filter_has(const struct sti_filter *filter, const struct stasis_message_type *type)
{
	return false;
}

static struct stasis_topic *topic(unsigned i)
{
	return (struct stasis_topic *)&topics[i];
}

/* What a publisher looks at: its number is in its name. */
static struct stasis_subscription *sub_new(unsigned number, const struct sti_filter *filter)
{
	struct stasis_subscription *sub = sti_alloc_zeroed(sizeof(*sub));

	sub->uniqueid[0] = (char)('0' + number);
	atomic_init(&sub->filter, (struct sti_filter *)(uintptr_t)filter);
	subs[number] = sub;
	return sub;
}

static void sub_free_rcu(struct sti_rcu_head *rcu)
{
	sti_free(sti_container_of(rcu, struct stasis_subscription, mailbox.rcu));
}

static void add(unsigned number, const struct sti_filter *filter)
{
	struct stasis_subscription *sub = sub_new(number, filter);

	explore_lock(&lock);
	explore_expect(sti_subscribers_add(&subscribers, sub) == 0);
	explore_unlock(&lock);
}

static void remove_it(unsigned number)
{
	struct stasis_subscription *sub = subs[number];

	explore_lock(&lock);
	sti_subscribers_remove(&subscribers, sub);
	explore_unlock(&lock);
	sti_rcu_call(&sub->mailbox.rcu, sub_free_rcu);
}

static void setup(void)
{
	sti_subscribers_init(&subscribers);
	add(0, NULL);
	add(1, NULL);
}

static void setup_selective(void)
{
	setup();
	add(2, &selective);
}

/* So that the copy without the one who goes cannot be made. */
static void setup_no_memory(void)
{
	setup();
	explore_fail_allocation(1);
}

/* How often a walk meets each. */
static void walk(unsigned met[SUBS])
{
	const struct sti_subscribers *array;

	sti_rcu_read_lock();
	array = sti_subscribers_get(&subscribers);
	for (uint32_t i = 0; i < array->n; i++) {
		const struct stasis_subscription *sub = sti_subscribers_at(array, i);
		unsigned number;

		if (sub == NULL)
			continue;
		number = (unsigned)(sub->uniqueid[0] - '0');
		explore_expect(number < SUBS);
		met[number]++;
		if (i >= array->n_open) {
			explore_expect(sti_subscribers_masks(array)[i - array->n_open] ==
				       selective.mask);
			explore_expect(sti_subscribers_filters(array)[i - array->n_open]
					       ->selective);
		}
	}
	for (uint32_t i = 0; i < array->n_forwards; i++) {
		const struct stasis_topic *target = sti_subscribers_target(array, i);

		explore_expect(target == NULL || target == topic(0) || target == topic(1));
	}
	sti_rcu_read_unlock();
	for (unsigned i = 0; i < SUBS; i++) {
		if (met[i] > 1)
			explore_violation("subscription %u was met %u times in one walk", i,
					  met[i]);
	}
}

/* 0 is always there. */
static void walker(void)
{
	unsigned met[SUBS] = { 0 };

	walk(met);
	if (met[0] != 1)
		explore_violation("subscription 0 was not met");
}

static void late_walker(void)
{
	unsigned met[SUBS] = { 0 };

	explore_gate_pass(&added);
	walk(met);
	if (met[0] != 1 || met[3] != 1)
		explore_violation("one that was there before the walk was not met");
}

static void adder(void)
{
	unsigned met[SUBS] = { 0 };

	add(3, NULL);
	explore_gate_open(&added);
	walk(met);
	if (met[3] != 1)
		explore_violation("its own subscription was not met");
}

static void remover(void)
{
	unsigned met[SUBS] = { 0 };

	remove_it(1);
	walk(met);
	if (met[1] != 0)
		explore_violation("a subscription was met that had been taken out");
}

static void selective_remover(void)
{
	remove_it(2);
}

static void forwarder(void)
{
	explore_lock(&lock);
	explore_expect(sti_subscribers_add_forward(&subscribers, topic(0)) == 0);
	explore_unlock(&lock);
	explore_lock(&lock);
	sti_subscribers_remove_forward(&subscribers, topic(0));
	explore_unlock(&lock);
}

/* Who is left is in the array, and nothing else is in memory. */
static void check(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SUBS; i++) {
		unsigned met[SUBS] = { 0 };

		walk(met);
		n += met[i];
	}
	explore_expect(n == sti_subscribers_count(sti_subscribers_get(&subscribers)));
	/* Them, and the array. */
	explore_expect(explore_n_blocks() == n + 1);
}

const struct explore_case explore_cases[] = {
	{
		.name = "replace",
		.what = "one comes, one goes, others walk",
		.setup = setup,
		.check = check,
		.threads = { { "adder", adder, 0 },
			     { "remover", remover, 0 },
			     { "walker", walker, 0 },
			     { "late walker", late_walker, 0 } },
		.preemptions = EXPLORE_UNBOUNDED,
		.stale = EXPLORE_UNBOUNDED,
	},
	{
		.name = "selective",
		.what = "with filters and forwards",
		.setup = setup_selective,
		.check = check,
		.threads = { { "forwarder", forwarder, 0 },
			     { "remover", selective_remover, 0 },
			     { "walker-1", walker, 0 },
			     { "walker-2", walker, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "no-memory",
		.what = "one goes though there is no memory for a copy",
		.setup = setup_no_memory,
		.check = check,
		.threads = { { "remover", remover, 0 },
			     { "walker-1", walker, 0 },
			     { "walker-2", walker, 0 } },
		.preemptions = EXPLORE_UNBOUNDED,
		.stale = EXPLORE_UNBOUNDED,
	},
	{
		.name = "stopped",
		.what = "a walker stops for ever: others go on, nothing is freed under him",
		.setup = setup,
		.threads = { { "walker", walker, EXPLORE_STOPPABLE },
			     { "adder", adder, 0 },
			     { "remover", remover, 0 } },
		.preemptions = EXPLORE_UNBOUNDED,
		.stale = EXPLORE_UNBOUNDED,
		.stops = 1,
	},
};

const size_t explore_n_cases = sizeof(explore_cases) / sizeof(explore_cases[0]);
