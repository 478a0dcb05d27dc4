/* SPDX-License-Identifier: BSD-2-Clause */
/* explore-mailbox.c — exec/mailbox.h handed over between threads, exec/runqueue.h, and a worker
 * that parks
 *
 * Consumers are either the producers, each of whom runs the mailbox when it is his to run, as with
 * STASIS_WAIT_INLINE; or a worker, sti_worker_main() itself, that sleeps when there is nothing to
 * do. What the callbacks write is plain: two that overlap are a race. */

#include "base/alloc.h"
#include "exec/executor.h"
#include "exec/mailbox.h"
#include "exec/manual.h"
#include "exec/runqueue.h"
#include "explore.h"

#define ITEMS 16u
#define BATCH 4u

struct item {
	unsigned producer;
	unsigned number;
};

static struct stasis_executor executor;
static struct sti_worker worker;
static struct sti_worker_seen seen;
static struct sti_mailbox mailbox;

/* Written in callbacks. */
static struct item delivered[ITEMS];
static unsigned n_delivered;
static bool has_been[EXPLORE_THREADS]; /* an item of his */
static unsigned n_finals;

static unsigned n_pushed[EXPLORE_THREADS];

/* --- what the library calls --- */

void sti_executor_leave(struct stasis_executor *left)
{
}

void sti_manual_push(struct sti_manual *manual, struct sti_mailbox *pushed)
{
	explore_violation("there is no manual executor");
}

static void deliver(struct sti_mailbox *of, void **items, size_t n, struct sti_context *context)
{
	for (size_t i = 0; i < n; i++) {
		struct item *item = items[i];

		if (n_finals > 0)
			explore_violation("an item comes behind the end");
		explore_expect(n_delivered < ITEMS);
		delivered[n_delivered++] = *item;
		has_been[item->producer] = true;
		sti_free(item);
	}
}

static void final(struct sti_mailbox *of, struct sti_context *context)
{
	n_finals++;
}

static const struct sti_mailbox_ops ops = { .deliver = deliver, .final = final };

/* --- set-up --- */

static void setup_mailbox(void)
{
	explore_expect(sti_mailbox_init(&mailbox, &ops, &executor, BATCH, STI_RING_ORDER_MIN,
					NULL) == 0);
}

static void setup_worker(void)
{
	setup_mailbox();
	executor.workers = &worker;
	executor.n_workers = 1;
	executor.wait = STASIS_WAIT_PARK;
	sti_runqueue_init(&worker.queue);
	sti_eventcount_init(&worker.event);
	worker.executor = &executor;
	worker.seen = &seen;
}

static void worker_thread(void)
{
	sti_worker_main(&worker);
}

/* --- producers --- */

static enum sti_push push(unsigned producer)
{
	struct item *item = sti_alloc(sizeof(*item));
	enum sti_push result;

	*item = (struct item){ producer, n_pushed[producer] };
	sti_rcu_read_lock();
	result = sti_mpsc_push(&mailbox.tail, item);
	if (result & STI_PUSH_ENDED)
		sti_free(item);
	else
		n_pushed[producer]++;
	/* As a publisher does it. */
	if ((result & STI_PUSH_WAKE) && executor.workers != NULL)
		sti_executor_schedule(&mailbox);
	sti_rcu_read_unlock();
	return result;
}

static void run_if(enum sti_push push)
{
	struct sti_context context;

	if (!(push & STI_PUSH_WAKE))
		return;
	sti_context_enter(&context, &executor, NULL);
	sti_mailbox_run_out(&mailbox, &context);
	sti_context_leave(&context);
}

static void producer_0(void)
{
	push(0);
	push(0);
}

static void producer_1(void)
{
	push(1);
}

static void runner_0(void)
{
	run_if(push(0));
	run_if(push(0));
}

static void runner_1(void)
{
	run_if(push(1));
}

static void runner_2(void)
{
	run_if(push(2));
}

/* Hands his item over without queueing it, if he can. */
static void carry(unsigned producer)
{
	enum sti_carry carried;
	enum sti_push result;
	struct item *item;

	sti_rcu_read_lock();
	carried = sti_mpsc_carry(&mailbox.tail);
	if (carried == STI_CARRY_DONE) {
		item = sti_alloc(sizeof(*item));
		*item = (struct item){ producer, n_pushed[producer]++ };
		mailbox.carried = item;
		sti_rcu_read_unlock();
		run_if(STI_PUSH_WAKE);
		return;
	}
	result = push(producer);
	sti_rcu_read_unlock();
	run_if(carried == STI_CARRY_CLAIMED ? result | STI_PUSH_WAKE : result);
}

static void carrier_0(void)
{
	carry(0);
	carry(0);
}

static void carrier_1(void)
{
	carry(1);
}

static void carrier_2(void)
{
	carry(2);
}

static void carrier_3(void)
{
	carry(3);
}

/* Waits for what he has pushed, that is, looks once. */
static void drainer(void)
{
	uint64_t target, at_first = 0;
	bool marked;

	run_if(push(1));
	sti_rcu_read_lock();
	marked = sti_mpsc_mark(&mailbox.head, &target);
	sti_rcu_read_unlock();
	if (!marked || !sti_mailbox_has_settled(&mailbox, target, &at_first))
		return;
	if (!has_been[1])
		explore_violation("a drain ends before what was pushed has been delivered");
}

static void closing_runner(void)
{
	enum sti_push result;

	sti_rcu_read_lock();
	result = sti_mpsc_close(&mailbox.tail);
	sti_rcu_read_unlock();
	run_if(result);
}

static void closer(void)
{
	sti_executor_close(&mailbox, sti_executor_submit);
}

/* --- afterwards --- */

static void check_delivered(void)
{
	unsigned next[EXPLORE_THREADS] = { 0 };
	unsigned total = 0;

	for (unsigned i = 0; i < n_delivered; i++) {
		const struct item *item = &delivered[i];

		if (item->number != next[item->producer]++)
			explore_violation("order: item %u of producer %u is at another place",
					  item->number, item->producer);
	}
	for (unsigned i = 0; i < EXPLORE_THREADS; i++)
		total += n_pushed[i];
	if (n_delivered != total)
		explore_violation("%u items were pushed, %u delivered", total, n_delivered);
	/* What was carried counts as pushed; nothing is taken over here. */
	explore_expect(sti_mpsc_pushed(&mailbox.head) == total);
}

static void check_ended(void)
{
	check_delivered();
	if (n_finals != 1)
		explore_violation("the end has come %u times", n_finals);
	sti_mailbox_deinit(&mailbox);
	explore_expect(explore_n_blocks() == 0);
}

/* --- run queue alone --- */

static struct sti_runqueue queues[2];
static struct sti_mailbox mailboxes[3];
/* By whoever has taken a mailbox: he is the only one. */
static unsigned taken[3];

static void setup_queues(void)
{
	sti_runqueue_init(&queues[0]);
	sti_runqueue_init(&queues[1]);
}

static void note_taken(const struct sti_mailbox *one)
{
	if (one == NULL)
		return;
	taken[one - mailboxes]++;
}

static void queue_pusher(void)
{
	sti_runqueue_push(&queues[0], &mailboxes[0]);
	sti_runqueue_push(&queues[0], &mailboxes[1]);
}

static void queue_owner(void)
{
	sti_runqueue_push(&queues[0], &mailboxes[2]);
	for (unsigned i = 0; i < 2; i++)
		note_taken(sti_runqueue_next(&queues[0]));
}

static void queue_thief(void)
{
	struct sti_mailbox *one;
	unsigned n;

	for (unsigned i = 0; i < 2; i++) {
		one = sti_runqueue_steal(&queues[1], &queues[0], &n);
		/* As one that has been run and is woken again. */
		if (one != NULL)
			sti_runqueue_push(&queues[1], one);
		while ((one = sti_runqueue_next(&queues[1])) != NULL)
			note_taken(one);
	}
}

/* --- what has been claimed, with what it carries, goes through a run queue --- */

static void setup_mailbox_and_queue(void)
{
	setup_mailbox();
	sti_runqueue_init(&queues[0]);
}

/* Does not run it after all, for it has to wait. */
static void carrier_who_lets_go(void)
{
	enum sti_carry carried;
	enum sti_push result;
	struct item *item;

	sti_rcu_read_lock();
	carried = sti_mpsc_carry(&mailbox.tail);
	sti_rcu_read_unlock();
	if (carried != STI_CARRY_DONE) {
		result = push(0);
		run_if(carried == STI_CARRY_CLAIMED ? result | STI_PUSH_WAKE : result);
		return;
	}
	item = sti_alloc(sizeof(*item));
	*item = (struct item){ 0, n_pushed[0]++ };
	mailbox.carried = item;
	sti_runqueue_push(&queues[0], &mailbox);
}

/* Who waits for something may take the mailbox, find that it has been done, and let go of it. */
static void mailbox_puller(void)
{
	struct sti_context context;
	bool moved = false;
	size_t n = 0;

	if (!sti_runqueue_pull(&queues[0], &mailbox, &moved))
		return;
	sti_context_enter(&context, &executor, NULL);
	if (sti_mailbox_rest(&mailbox, &context, &n) != STI_TURN_GONE)
		sti_mailbox_run_out(&mailbox, &context);
	sti_context_leave(&context);
}

static void check_delivered_in_the_end(void)
{
	while (sti_runqueue_take(&queues[0]) != NULL)
		run_if(STI_PUSH_WAKE);
	check_delivered();
}

static void queue_puller(void)
{
	bool moved = false;

	if (sti_runqueue_pull(&queues[0], &mailboxes[1], &moved))
		note_taken(&mailboxes[1]);
}

/* Each has been taken once, or is still there. */
static void check_queues(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct sti_mailbox *one;

		while ((one = sti_runqueue_take(&queues[i])) != NULL)
			note_taken(one);
	}
	for (unsigned i = 0; i < 3; i++) {
		if (taken[i] != 1)
			explore_violation("mailbox %u was taken %u times", i, taken[i]);
	}
}

const struct explore_case explore_cases[] = {
	{
		.name = "handover",
		.what = "three who push, each of whom runs what is his to run",
		.setup = setup_mailbox,
		.check = check_delivered,
		.threads = { { "runner-0", runner_0, 0 },
			     { "runner-1", runner_1, 0 },
			     { "runner-2", runner_2, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "end",
		.what = "closed amid pushes: one of them delivers the end, last",
		.setup = setup_mailbox,
		.check = check_ended,
		.threads = { { "runner-0", runner_0, 0 },
			     { "runner-1", runner_1, 0 },
			     { "closer", closing_runner, 0 } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "carry",
		.what = "two who carry what they can, one who pushes; each runs what is his to run",
		.setup = setup_mailbox,
		.check = check_delivered,
		.threads = { { "carrier-0", carrier_0, 0 },
			     { "carrier-1", carrier_1, 0 },
			     { "runner-2", runner_2, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "carry-drain",
		.what = "one pushes behind who carries, and waits until that has been delivered",
		.setup = setup_mailbox,
		.check = check_delivered,
		.threads = { { "carrier-0", carrier_0, 0 },
			     { "drainer", drainer, 0 } },
		.preemptions = 3,
		.stale = 2,
		.both = 4,
	},
	{
		.name = "carry-drain-two",
		.what = "the same behind two who carry",
		.setup = setup_mailbox,
		.check = check_delivered,
		.threads = { { "carrier-2", carrier_2, 0 },
			     { "carrier-3", carrier_3, 0 },
			     { "drainer", drainer, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "carry-end",
		.what = "closed amid those who carry",
		.setup = setup_mailbox,
		.check = check_ended,
		.threads = { { "carrier-0", carrier_0, 0 },
			     { "carrier-1", carrier_1, 0 },
			     { "closer", closing_runner, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "carry-pull",
		.what = "who carries lets go; somebody takes the mailbox, not for what it carries",
		.setup = setup_mailbox_and_queue,
		.check = check_delivered_in_the_end,
		.threads = { { "carrier", carrier_who_lets_go, 0 },
			     { "runner-1", runner_1, 0 },
			     { "puller", mailbox_puller, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "park",
		.what = "a worker that sleeps when it finds nothing",
		.setup = setup_worker,
		.check = check_delivered,
		.threads = { { "producer-0", producer_0, 0 },
			     { "producer-1", producer_1, 0 },
			     { "worker", worker_thread, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "park-end",
		.what = "closed amid pushes, with a worker that sleeps",
		.setup = setup_worker,
		.check = check_ended,
		.threads = { { "producer-1", producer_1, 0 },
			     { "closer", closer, 0 },
			     { "worker", worker_thread, EXPLORE_DAEMON } },
		.preemptions = 2,
		.stale = 1,
		.both = 2,
	},
	{
		.name = "steal",
		.what = "a run queue: who pushes, its owner, a thief",
		.setup = setup_queues,
		.check = check_queues,
		.threads = { { "pusher", queue_pusher, 0 },
			     { "owner", queue_owner, 0 },
			     { "thief", queue_thief, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
	{
		.name = "pull",
		.what = "a run queue: who pushes, its owner, one who wants one mailbox",
		.setup = setup_queues,
		.check = check_queues,
		.threads = { { "pusher", queue_pusher, 0 },
			     { "owner", queue_owner, 0 },
			     { "puller", queue_puller, 0 } },
		.preemptions = 3,
		.stale = 1,
		.both = 3,
	},
};

const size_t explore_n_cases = sizeof(explore_cases) / sizeof(explore_cases[0]);
