/* SPDX-License-Identifier: BSD-2-Clause */
/* explore-chain.c — bus/chain.h: links of several publishers, some of whom stop for ever
 *
 * Each subscription is a ring of the library's, which is looked at in the end: the first time a
 * link is in it is when it would be delivered. The state of each link names its publisher. After
 * each update a publisher puts a mark behind it, for what follows from an update comes later. */

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/object.h"
#include "bus/chain.h"
#include "bus/filter.h"
#include "bus/message.h"
#include "bus/subscribers.h"
#include "bus/subscription.h"
#include "bus/topic.h"
#include "bus/walk.h"
#include "explore.h"

#define SUBS 3u
#define MARK 2u /* in an item: not a cell */
#define SEEN 16u

struct state {
	unsigned publisher;
	unsigned number;
};

static struct sti_own_type update_type =
	STI_OWN_TYPE("update", STI_TYPE_ID_CACHE_UPDATE, NULL);
static struct sti_own_type state_type = STI_OWN_TYPE("state", STI_TYPE_ID_FIRST, NULL);

static struct stasis_topic topic;
static struct explore_lock lock; /* the topic's */
static struct stasis_subscription subs[SUBS];
static struct sti_chain chain;
static struct sti_chain_group group;
static const struct sti_chain_whom whom = { .group = &group, .topic = &topic };
static struct state marks[EXPLORE_THREADS][2];
static unsigned n_published[EXPLORE_THREADS]; /* and have returned */

/* --- what the chain calls --- */

struct stasis_message_type *stasis_cache_update_type(void)
{
	return &update_type.type;
}

bool sti_filter_has(const struct sti_filter *filter, const struct stasis_message_type *type)
{
	explore_violation("there are no filters");
}

bool sti_walk(struct sti_walk *walk, const struct stasis_topic *from,
	      const struct sti_subscribers *array)
{
	explore_violation("there are no forwards");
}

void sti_walk_init(struct sti_walk *walk, const struct stasis_message_type *type,
		   bool (*full)(struct sti_walk *walk))
{
	explore_violation("there are no forwards");
}

void sti_walk_deinit(struct sti_walk *walk)
{
}

void sti_pending_force(struct sti_pending *pending, struct stasis_subscription *sub)
{
	explore_violation("nobody waits for room");
}

void sti_push_item(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	explore_expect(delivery->n == 1);
	sti_mpsc_push(&sub->mailbox.tail, delivery->messages[0]);
}

/* --- publishers --- */

struct retired {
	struct sti_rcu_head rcu;
	struct sti_link *link;
};

static void retired_drop(struct sti_rcu_head *rcu)
{
	struct retired *retired = sti_container_of(rcu, struct retired, rcu);

	stasis_object_unref(sti_link_message(retired->link));
	sti_free(retired);
}

/* As a cache does it. */
static void publish(unsigned publisher)
{
	struct state state = { publisher, n_published[publisher] };
	struct stasis_message *snapshot =
		stasis_message_create_inline(&state_type.type, &state, sizeof(state));
	struct sti_link *link = sti_link_new(&state_type.type, snapshot);
	struct retired *retired = sti_alloc(sizeof(*retired));
	struct sti_delivery delivery = { 0 };

	stasis_object_unref(snapshot);
	sti_pending_init(&delivery.pending);
	sti_rcu_read_lock();
	explore_expect(sti_chain_add(&chain, link, &whom, &delivery, &retired->link) == 0);
	sti_rcu_read_unlock();
	if (retired->link != NULL)
		sti_rcu_call(&retired->rcu, retired_drop);
	else
		sti_free(retired);
	explore_expect(delivery.refused == 0);
	marks[publisher][state.number] = state;
	/* Only where it certainly is. */
	sti_rcu_read_lock();
	sti_mpsc_push(&subs[0].mailbox.tail,
		      (void *)((uintptr_t)&marks[publisher][state.number] | MARK));
	sti_rcu_read_unlock();
	n_published[publisher]++;
}

static void publisher_0(void)
{
	publish(0);
}

static void publisher_1(void)
{
	publish(1);
}

static void publisher_2(void)
{
	publish(2);
}

static void publisher_twice(void)
{
	publish(0);
	publish(0);
}

static void subscribe(unsigned i)
{
	explore_lock(&lock);
	explore_expect(sti_subscribers_add(&topic.subscribers, &subs[i]) == 0);
	explore_unlock(&lock);
}

static void subscriber(void)
{
	subscribe(2);
	/* From here on it is given every link. */
	publish(1);
}

static void setup(void)
{
	sti_subscribers_init(&topic.subscribers);
	for (unsigned i = 0; i < SUBS; i++)
		explore_expect(sti_mpsc_init(&subs[i].mailbox.tail, &subs[i].mailbox.head,
					     STI_RING_ORDER_MIN + 1, NULL) == 0);
	subscribe(0);
	subscribe(1);
}

/* --- afterwards --- */

/* What a subscription was given, in order. */
struct given {
	const struct sti_link *links[SEEN];
	unsigned n;
	unsigned next[EXPLORE_THREADS]; /* update of each publisher */
	/* as often as they were queued: a reference each */
	struct stasis_message *messages[SEEN];
	unsigned n_messages;
};

static const struct state *state_of(const struct sti_link *link)
{
	return link->update.new_snapshot->data;
}

static void give_link(struct given *given, const struct sti_link *link)
{
	const struct state *state = state_of(link);

	explore_expect(given->n < SEEN);
	for (unsigned i = 0; i < given->n; i++)
		explore_expect(given->links[i] != link);
	if (state->number < given->next[state->publisher])
		explore_violation("order: update %u of publisher %u comes late", state->number,
				  state->publisher);
	given->next[state->publisher] = state->number + 1;
	/* A subscription may begin anywhere, and then misses none. */
	if (given->n > 0 && given->links[given->n - 1]->update.new_snapshot !=
				    link->update.old_snapshot)
		explore_violation("order: the updates do not follow from each other");
	given->links[given->n++] = link;
}

static void give_mark(const struct given *given, const struct state *mark)
{
	if (given->next[mark->publisher] <= mark->number)
		explore_violation("order: what follows from an update comes before it");
}

/* Passes over holes: those of publishers who have stopped in a push. */
static bool take_one(struct stasis_subscription *sub, void **itemp)
{
	struct sti_mpsc_head *head = &sub->mailbox.head;

	while (sti_mpsc_take(head, itemp, 1) == 0) {
		if (head->pos >= sti_mpsc_pushed(head))
			return false;
		head->pos++;
	}
	return true;
}

static void take_all(struct stasis_subscription *sub, struct given *given)
{
	void *item;

	while (take_one(sub, &item)) {
		struct stasis_message *message;

		if ((uintptr_t)item & MARK) {
			give_mark(given, (void *)((uintptr_t)item & ~(uintptr_t)MARK));
			continue;
		}
		explore_expect(sti_item_is_cell(item) && sti_item_cell(item)->sub == sub);
		message = sti_item_message(item);
		explore_expect(given->n_messages < SEEN);
		given->messages[given->n_messages++] = message;
		/* The first time it is delivered, after that passed over. */
		if (sti_cell_decide(sti_item_cell(item), STI_CELL_DELIVERED))
			give_link(given, (const struct sti_link *)(message + 1));
	}
}

/* Those who were there from the beginning were given everything that was published. */
static void check_whole(const struct given *given)
{
	explore_expect(given->n == 0 || given->links[0]->update.old_snapshot == NULL);
	for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
		if (given->next[i] < n_published[i])
			explore_violation("update %u of publisher %u is missing", given->next[i],
					  i);
	}
}

/* Who came later was given all that came after the first that he was given. */
static void check_part(const struct given *part, const struct given *whole)
{
	for (unsigned i = 0; i < part->n; i++) {
		if (part->n > whole->n ||
		    part->links[i] != whole->links[whole->n - part->n + i])
			explore_violation("a run of updates is broken");
	}
}

static void check_order(struct given given[SUBS])
{
	for (unsigned i = 0; i < SUBS; i++)
		take_all(&subs[i], &given[i]);
	check_whole(&given[0]);
	check_whole(&given[1]);
	check_part(&given[2], &given[0]);
}

/* Nobody has stopped: all are given the same, and all comes back in the end. */
static void check(void)
{
	struct given given[SUBS] = { 0 };
	struct sti_link *last;

	check_order(given);
	explore_expect(given[0].n == given[1].n);
	last = sti_chain_last(&chain);
	explore_expect(given[0].links[given[0].n - 1] == last);
	stasis_object_unref(last->update.new_snapshot);
	stasis_object_unref(sti_link_message(last));
	for (unsigned i = 0; i < SUBS; i++) {
		while (given[i].n_messages > 0)
			stasis_object_unref(given[i].messages[--given[i].n_messages]);
		sti_mpsc_deinit(&subs[i].mailbox.tail, &subs[i].mailbox.head);
	}
	/* The topic's array. */
	explore_expect(explore_n_blocks() == 1);
}

static void check_stopped(void)
{
	struct given given[SUBS] = { 0 };

	check_order(given);
}

/* His own update is the first that he is sure to be given. */
static void check_subscribed(void)
{
	struct given given[SUBS] = { 0 };

	check_order(given);
	if (given[2].next[1] != 1)
		explore_violation("an update from after the subscription is missing");
}

const struct explore_case explore_cases[] = {
	{
		.name = "two",
		.what = "two publishers, one link each",
		.setup = setup,
		.check = check,
		.threads = { { "publisher-0", publisher_0, 0 },
			     { "publisher-1", publisher_1, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "twice",
		.what = "two publishers, one of whom comes twice",
		.setup = setup,
		.check = check,
		.threads = { { "publisher-0", publisher_twice, 0 },
			     { "publisher-1", publisher_1, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "three",
		.what = "three publishers: helpers of helpers",
		.setup = setup,
		.check = check,
		.threads = { { "publisher-0", publisher_0, 0 },
			     { "publisher-1", publisher_1, 0 },
			     { "publisher-2", publisher_2, 0 } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "stopped",
		.what = "two of three publishers stop for ever, at any point",
		.setup = setup,
		.check = check_stopped,
		.threads = { { "publisher-0", publisher_0, EXPLORE_STOPPABLE },
			     { "publisher-1", publisher_1, EXPLORE_STOPPABLE },
			     { "publisher-2", publisher_2, 0 } },
		.preemptions = 0,
		.stale = 0,
		.stops = 2,
	},
	{
		.name = "stopped-amid",
		.what = "one of them stops amid the others",
		.setup = setup,
		.check = check_stopped,
		.threads = { { "publisher-0", publisher_0, EXPLORE_STOPPABLE },
			     { "publisher-1", publisher_1, 0 },
			     { "publisher-2", publisher_2, 0 } },
		.preemptions = 1,
		.stale = 1,
		.both = 1,
		.stops = 1,
	},
	{
		.name = "subscribe",
		.what = "one subscribes amid updates: an unbroken run from there",
		.setup = setup,
		.check = check_subscribed,
		.threads = { { "publisher", publisher_twice, 0 },
			     { "subscriber", subscriber, 0 } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
};

const size_t explore_n_cases = sizeof(explore_cases) / sizeof(explore_cases[0]);
