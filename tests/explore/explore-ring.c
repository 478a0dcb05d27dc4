/* SPDX-License-Identifier: BSD-2-Clause */
/* explore-ring.c — ring/ring.h and ring/bounded.c: order, nothing lost, nothing twice, growth,
 * closing, and the hand-over between producers and consumer
 *
 * Whoever is told STI_PUSH_WAKE opens a gate; the consumer passes it and takes until he is let go.
 * So a push that nobody is woken for shows as an item that is never delivered. */

#include <stdatomic.h>

#include "base/alloc.h"
#include "explore.h"
#include "ring/run.h"

#define ITEMS 64u

struct item {
	uint64_t producer;
	uint64_t number;
};

static struct sti_mpsc_tail tail;
static struct sti_mpsc_head head;
static struct explore_gate gate;

/* Is somebody the consumer, or about to be? Plain: whoever writes it is ordered by the queue, or it
 * is a race. */
static bool responsible;

/* Written by the consumer, of whom there is one. */
static struct item delivered[ITEMS];
static unsigned n_delivered;
static unsigned n_finals;

/* What pushes said, by producer. */
static struct told {
	unsigned pushed, ended, full;
} told[EXPLORE_THREADS];

static void wake_if(enum sti_push push)
{
	if (!(push & STI_PUSH_WAKE))
		return;
	if (responsible)
		explore_violation("two are responsible for the consumer");
	responsible = true;
	explore_gate_open(&gate);
}

static struct item *item_new(unsigned producer, unsigned number)
{
	struct item *item = sti_alloc(sizeof(*item));

	item->producer = producer;
	item->number = number;
	return item;
}

static void note_push(unsigned producer, enum sti_push push)
{
	if (push & STI_PUSH_ENDED)
		told[producer].ended++;
	else if (push & STI_PUSH_FULL)
		told[producer].full++;
	else
		told[producer].pushed++;
}

static void push(unsigned producer, unsigned number)
{
	struct item *item = item_new(producer, number);
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_push(&tail, item);
	sti_rcu_read_unlock();
	note_push(producer, result);
	wake_if(result);
}

static void push_n(unsigned producer, unsigned number, unsigned n, enum sti_mpsc_how how)
{
	void *items[4];
	enum sti_push result;
	size_t pushed;

	for (unsigned i = 0; i < n; i++)
		items[i] = item_new(producer, number + i);
	sti_rcu_read_lock();
	result = sti_mpsc_push_n(&tail, items, n, how, &pushed);
	sti_rcu_read_unlock();
	told[producer].pushed += (unsigned)pushed;
	if (pushed < n)
		note_push(producer, result);
	wake_if(result);
}

/* Of one producer, once. */
static _Alignas(2 * STI_RUN_PLACE) struct sti_place places[3];

static void push_run(unsigned producer, unsigned n)
{
	void *items[3];
	enum sti_push result;
	size_t pushed;

	for (unsigned i = 0; i < n; i++) {
		places[i].item = item_new(producer, i);
		places[i].index = i;
		places[i].left = n - i;
		items[i] = sti_place_item(&places[i]);
	}
	sti_rcu_read_lock();
	result = sti_mpsc_push_n(&tail, items, n, STI_MPSC_FIT, &pushed);
	sti_rcu_read_unlock();
	told[producer].pushed += (unsigned)pushed;
	if (pushed < n)
		note_push(producer, result);
	wake_if(result);
}

static void close_queue(void)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_close(&tail);
	sti_rcu_read_unlock();
	wake_if(result);
}

static void deliver(struct item *item)
{
	explore_expect(n_finals == 0);
	explore_expect(n_delivered < ITEMS);
	delivered[n_delivered++] = *item;
	sti_free(item);
}

static enum sti_rest rest(void)
{
	enum sti_rest result;

	/* Another may be before this returns. */
	responsible = false;
	sti_rcu_read_lock();
	result = sti_mpsc_rest(&tail, &head);
	sti_rcu_read_unlock();
	if (result == STI_REST_GONE)
		return result;
	if (responsible)
		explore_violation("two are responsible for the consumer");
	responsible = true;
	return result;
}

enum how { MANY, ONE_BY_ONE, RUNS };

/* Takes and delivers. How many. */
static size_t take_runs(void)
{
	const struct sti_place *first;
	void *items[4];
	bool place;
	size_t n = sti_mpsc_take_items(&head, items, 4, true, &place);
	size_t n_run;

	for (size_t i = 0; i < n; i++)
		deliver(items[i]);
	n_run = place ? sti_mpsc_take_run(&head, 4, &first) : 0;
	for (size_t i = 0; i < n_run; i++)
		deliver(first[i].item);
	return n + n_run;
}

static size_t take(enum how how)
{
	void *items[4];
	size_t n;

	if (how == RUNS)
		return take_runs();
	n = how == ONE_BY_ONE ? sti_mpsc_take_one(&head, items) : sti_mpsc_take(&head, items, 4);
	for (size_t i = 0; i < n; i++)
		deliver(items[i]);
	return n;
}

/* One turn: until the queue is let go. True: it has ended. */
static bool consume(enum how how)
{
	for (;;) {
		if (take(how) > 0)
			continue;
		switch (rest()) {
		case STI_REST_GONE:
			return false;
		case STI_REST_FINAL:
			n_finals++;
			return true;
		case STI_REST_HOLE:
			explore_yield();
			break;
		case STI_REST_MORE:
			break;
		}
	}
}

static void consumer(void)
{
	do
		explore_gate_pass(&gate);
	while (!consume(MANY));
}

static void consumer_one_by_one(void)
{
	do
		explore_gate_pass(&gate);
	while (!consume(ONE_BY_ONE));
}

static void consumer_runs(void)
{
	do
		explore_gate_pass(&gate);
	while (!consume(RUNS));
}

static void fill(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		push(EXPLORE_THREADS - 1, i);
}

/* With room for all. */
static void setup(void)
{
	explore_expect(sti_mpsc_init(&tail, &head, 3, NULL) == 0);
}

/* With room for two: this program is built with rings of that size. */
static void setup_small(void)
{
	explore_expect(STI_RING_ORDER_MIN == 1);
	explore_expect(sti_mpsc_init(&tail, &head, STI_RING_ORDER_MIN, NULL) == 0);
}

/* With one place left in the first ring, and the consumer awake. */
static void setup_nearly_full(void)
{
	setup_small();
	fill(1);
}

/* Holes are taken over at once. */
static void setup_takeover(void)
{
	setup();
	sti_ring_set_patience(0);
}

static void setup_takeover_small(void)
{
	setup_nearly_full();
	sti_ring_set_patience(0);
}

static void setup_bounded(void)
{
	explore_expect(sti_mpsc_init_bounded(&tail, &head, 2, false, NULL) == 0);
}

static void setup_evicting(void)
{
	explore_expect(sti_mpsc_init_bounded(&tail, &head, 1, true, NULL) == 0);
}

static void setup_takeover_bounded(void)
{
	setup_bounded();
	sti_ring_set_patience(0);
}

static void setup_takeover_evicting(void)
{
	setup_evicting();
	sti_ring_set_patience(0);
}

/* Each producer's items in order, each once; all that were taken were pushed. */
static void check_order(void)
{
	uint64_t next[EXPLORE_THREADS] = { 0 };

	for (unsigned i = 0; i < n_delivered; i++) {
		const struct item *item = &delivered[i];

		explore_expect(item->producer < EXPLORE_THREADS);
		if (item->number < next[item->producer])
			explore_violation("order: item %u of producer %u comes after its item %u",
					  (unsigned)item->number, (unsigned)item->producer,
					  (unsigned)next[item->producer] - 1);
		next[item->producer] = item->number + 1;
	}
}

static unsigned total_pushed(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < EXPLORE_THREADS; i++)
		n += told[i].pushed;
	return n;
}

static void check_all(void)
{
	check_order();
	if (n_delivered != total_pushed())
		explore_violation("%u items were pushed, %u delivered", total_pushed(),
				  n_delivered);
}

/* Nothing is delivered behind the end, which deliver() looks for. */
static void check_ended(void)
{
	check_all();
	if (n_finals != 1)
		explore_violation("the end has come %u times", n_finals);
	sti_mpsc_deinit(&tail, &head);
	/* Items that were refused are the producers'; the test does not free them. */
	explore_expect(explore_n_blocks() ==
		       told[0].ended + told[1].ended + told[2].ended);
}

/* A stopped producer keeps nobody but its own items, and what is behind a hole. */
static void check_stopped(void)
{
	check_order();
	if (!explore_was_stopped(0) && !explore_was_stopped(1))
		check_all();
}

/* Holes are taken over: a stopped producer holds up nobody, unless it was to wake the consumer. */
static void check_passed(void)
{
	unsigned n = 0;

	check_order();
	/* Relaxed: alone. */
	if (atomic_load_explicit(&atomic_load_explicit(&head.ring, memory_order_relaxed)->idle_at,
				 memory_order_relaxed) == STI_RING_IDLE_NONE)
		return;
	for (unsigned i = 0; i < n_delivered; i++)
		n += delivered[i].producer == 1;
	if (n != told[1].pushed)
		explore_violation("%u items were pushed, %u delivered", told[1].pushed, n);
}

static void producer_0(void)
{
	push(0, 0);
	push(0, 1);
}

static void producer_1(void)
{
	push(1, 0);
	push(1, 1);
}

static void producer_single(void)
{
	push(0, 0);
}

static void producer_other(void)
{
	push(1, 0);
}

static void producer_batch(void)
{
	push_n(1, 0, 3, STI_MPSC_FIT);
}

static void producer_run(void)
{
	push_run(0, 2);
}

static void producer_long_run(void)
{
	push_run(0, 3);
}

static void producer_whole(void)
{
	push_n(1, 0, 2, STI_MPSC_WHOLE);
}

static void producer_force(void)
{
	push_n(1, 0, 2, STI_MPSC_FORCE);
}

static void evict_and_push(unsigned producer, unsigned number)
{
	struct item *item = item_new(producer, number);
	enum sti_push result;
	enum sti_evict evict;
	void *old;

	for (;;) {
		sti_rcu_read_lock();
		result = sti_mpsc_push(&tail, item);
		wake_if(result);
		if (!(result & STI_PUSH_FULL)) {
			sti_rcu_read_unlock();
			note_push(producer, result);
			return;
		}
		evict = sti_mpsc_evict(&tail, &old);
		sti_rcu_read_unlock();
		if (evict == STI_EVICT_TAKEN) {
			told[producer].full++;
			sti_free(old);
		} else if (evict == STI_EVICT_HOLE) {
			explore_yield();
		}
	}
}

static void evictor_0(void)
{
	evict_and_push(0, 0);
	evict_and_push(0, 1);
}

static void evictor_1(void)
{
	evict_and_push(1, 0);
}

/* What was evicted is counted; the rest is delivered. */
static void check_evicted(void)
{
	unsigned evicted = told[0].full + told[1].full;

	check_order();
	if (n_delivered + evicted != total_pushed())
		explore_violation("%u items were pushed, %u delivered, %u evicted", total_pushed(),
				  n_delivered, evicted);
}

static void check_bounded(void)
{
	check_all();
	explore_expect(sti_mpsc_depth(&head) == 0);
}

static void no_more_than_two(void)
{
	sti_rcu_read_lock();
	explore_expect(sti_mpsc_depth(&head) <= 2);
	sti_rcu_read_unlock();
}

static void closer(void)
{
	close_queue();
}

const struct explore_case explore_cases[] = {
	{
		.name = "push",
		.what = "two producers, two items each, and the consumer",
		.setup = setup,
		.check = check_all,
		.threads = { { "producer-0", producer_0, 0 },
			     { "producer-1", producer_1, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 2,
		.both = 3,
	},
	{
		.name = "batch",
		.what = "a batch beside single pushes",
		.setup = setup,
		.check = check_all,
		.threads = { { "producer", producer_0, 0 },
			     { "batch", producer_batch, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 2,
		.both = 3,
	},
	{
		.name = "grow",
		.what = "two producers fill the ring and link another",
		.setup = setup_nearly_full,
		.check = check_all,
		.threads = { { "producer", producer_single, 0 },
			     { "batch", producer_batch, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 2,
		.both = 2,
	},
	{
		.name = "close",
		.what = "closed amid pushes: the end comes last, once",
		.setup = setup,
		.check = check_ended,
		.threads = { { "producer-0", producer_0, 0 },
			     { "closer-1", closer, 0 },
			     { "closer-2", closer, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 2,
		.both = 3,
	},
	{
		.name = "close-grow",
		.what = "closed amid growth",
		.setup = setup_nearly_full,
		.check = check_ended,
		.threads = { { "producer", producer_0, 0 },
			     { "closer", closer, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "stopped",
		.what = "a producer stops for ever, at any point",
		.setup = setup,
		.check = check_stopped,
		.threads = { { "producer-0", producer_0, EXPLORE_STOPPABLE },
			     { "producer-1", producer_1, EXPLORE_STOPPABLE },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
		.stops = 1,
	},
	{
		.name = "takeover",
		.what = "the consumer takes over holes",
		.setup = setup_takeover,
		.check = check_all,
		.threads = { { "producer-0", producer_0, 0 },
			     { "producer-1", producer_1, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "run",
		.what = "a run, split where the ring is full",
		.setup = setup_nearly_full,
		.check = check_all,
		.threads = { { "run", producer_long_run, 0 },
			     { "producer", producer_other, 0 },
			     { "consumer", consumer_runs, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "run-takeover",
		.what = "a run, split by the consumer",
		.setup = setup_takeover,
		.check = check_all,
		.threads = { { "run", producer_run, 0 },
			     { "producer", producer_other, 0 },
			     { "consumer", consumer_runs, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "takeover-stopped",
		.what = "the hole is one for ever: what others push is delivered",
		.setup = setup_takeover,
		.check = check_passed,
		.threads = { { "producer-0", producer_0, EXPLORE_STOPPABLE },
			     { "producer-1", producer_1, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
		.stops = 1,
	},
	{
		.name = "takeover-grow",
		.what = "holes in rings that are followed by others",
		.setup = setup_takeover_small,
		.check = check_all,
		.threads = { { "producer", producer_single, 0 },
			     { "batch", producer_batch, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "takeover-close",
		.what = "holes in a queue that is closed",
		.setup = setup_takeover,
		.check = check_ended,
		.threads = { { "producer-0", producer_0, 0 },
			     { "producer-1", producer_1, 0 },
			     { "closer", closer, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "takeover-end",
		.what = "a hole before the end, and somebody late with a ring to link there",
		.setup = setup_takeover_small,
		.check = check_ended,
		.threads = { { "producer", producer_single, 0 },
			     { "grower", producer_other, 0 },
			     { "closer", closer, 0 },
			     { "consumer", consumer, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "takeover-bounded",
		.what = "holes in a bounded queue, some pushes forced",
		.setup = setup_takeover_bounded,
		.check = check_all,
		.threads = { { "producer-0", producer_0, 0 },
			     { "forced", producer_force, 0 },
			     { "consumer", consumer_one_by_one, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "takeover-evict",
		.what = "holes in a queue that evicts",
		.setup = setup_takeover_evicting,
		.check = check_evicted,
		.threads = { { "producer-0", evictor_0, 0 },
			     { "producer-1", evictor_1, 0 },
			     { "consumer", consumer_one_by_one, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "bounded",
		.what = "two places, four items, never more than two; forced beyond",
		.setup = setup_bounded,
		.check = check_bounded,
		.threads = { { "producer-0", producer_0, 0 },
			     { "producer-whole", producer_whole, 0 },
			     { "onlooker", no_more_than_two, 0 },
			     { "consumer", consumer_one_by_one, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "forced",
		.what = "pushes that must not wait, beside those that may be refused",
		.setup = setup_bounded,
		.check = check_bounded,
		.threads = { { "producer-0", producer_0, 0 },
			     { "forced", producer_force, 0 },
			     { "consumer", consumer_one_by_one, EXPLORE_DAEMON } },
		.preemptions = 3,
		.stale = 2,
		.both = 3,
	},
	{
		.name = "evict",
		.what = "two producers who make room, and the consumer",
		.setup = setup_evicting,
		.check = check_evicted,
		.threads = { { "producer-0", evictor_0, 0 },
			     { "producer-1", evictor_1, 0 },
			     { "consumer", consumer_one_by_one, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 2,
		.both = 2,
	},
};

const size_t explore_n_cases = sizeof(explore_cases) / sizeof(explore_cases[0]);
