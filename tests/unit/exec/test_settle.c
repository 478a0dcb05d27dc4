/* SPDX-License-Identifier: BSD-2-Clause */
/* test_settle.c — the end of an executor waits for mailboxes that others than workers run */

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>

#include <stasis/stasis.h>

#include "exec/executor.h"
#include "gate.h"
#include "probe.h"

/* A mailbox that this thread runs, as a publisher may. */
struct box {
	struct sti_mailbox mailbox;
	struct stasis_executor *executor;
	_Atomic size_t n_delivered;
	/* by the thread that shuts down */
	size_t n_seen;
	_Atomic bool returned;
};

static struct box box;

static void box_deliver(struct sti_mailbox *mailbox, void **items, size_t n,
			struct sti_context *context)
{
	/* Relaxed: the one who waits must see it by the library's doing. */
	atomic_fetch_add_explicit(&box.n_delivered, n, memory_order_relaxed);
}

static void box_final(struct sti_mailbox *mailbox, struct sti_context *context)
{
}

static void box_open(struct stasis_executor *executor)
{
	static const struct sti_mailbox_ops ops = { .deliver = box_deliver, .final = box_final };

	memset((void *)&box, 0, sizeof(box));
	box.executor = executor;
	cr_assert_eq(sti_mailbox_init(&box.mailbox, &ops, executor, 4, STI_RING_ORDER_MIN, NULL),
		     0);
	cr_assert_eq(sti_executor_attach(executor, &box.mailbox), 0);
}

static void box_close(void)
{
	sti_executor_detach(box.executor, &box.mailbox);
	sti_mailbox_deinit(&box.mailbox);
	stasis_object_unref(box.executor);
}

/* Pushes, and becomes responsible. */
static void box_claim(size_t n)
{
	static int items[8];

	sti_rcu_read_lock();
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(sti_mpsc_push(&box.mailbox.tail, &items[i]),
			     i == 0 ? STI_PUSH_WAKE : STI_PUSH_OK);
	sti_rcu_read_unlock();
}

static void *shut_down(void *arg)
{
	stasis_executor_shutdown(stasis_object_ref(box.executor));
	box.n_seen = atomic_load_explicit(&box.n_delivered, memory_order_relaxed);
	atomic_store(&box.returned, true);
	return NULL;
}

static bool is_joined(void)
{
	bool joined;

	pthread_mutex_lock(&box.executor->shutdown_lock);
	joined = box.executor->joined;
	pthread_mutex_unlock(&box.executor->shutdown_lock);
	return joined;
}

/* Shuts down on another thread, which then has nothing left to wait for but the box. */
static pthread_t begin_shutdown(void)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, shut_down, NULL), 0);
	while (!is_joined())
		sched_yield();
	for (int i = 0; i < 1000; i++)
		sched_yield();
	cr_assert(!atomic_load(&box.returned));
	return thread;
}

static void waits_for_a_claimed_mailbox(struct stasis_executor *executor)
{
	pthread_t thread;

	cr_assert_not_null(executor);
	box_open(executor);
	box_claim(3);
	thread = begin_shutdown();
	cr_assert_eq(box.n_delivered, 0);
	/* Refusing by now: so this thread runs it. */
	sti_executor_submit(&box.mailbox);
	cr_assert_eq(box.n_delivered, 3);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(box.n_seen, 3);
	box_close();
}

Test(settle, shutdown_waits_for_who_has_claimed_a_mailbox)
{
	waits_for_a_claimed_mailbox(executor_with(2));
	waits_for_a_claimed_mailbox(stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_INLINE, .threads = 1 }));
	waits_for_a_claimed_mailbox(stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL }));
}

Test(settle, shutdown_waits_until_a_runner_has_let_go)
{
	struct sti_context context;
	pthread_t thread;
	size_t n;

	box_open(executor_with(1));
	box_claim(4);
	sti_context_enter(&context, box.executor, NULL);
	/* Its batch: everything is delivered, and this thread responsible still. */
	cr_assert_eq(sti_mailbox_run(&box.mailbox, &context, &n), STI_TURN_MORE);
	cr_assert_eq(n, 4);
	thread = begin_shutdown();
	cr_assert_eq(sti_mailbox_run(&box.mailbox, &context, &n), STI_TURN_GONE);
	sti_context_leave(&context);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_assert_eq(box.n_seen, 4);
	box_close();
}

Test(settle, what_a_publisher_hands_back_is_delivered)
{
	struct sti_context context;
	size_t n;

	box_open(executor_with(1));
	box_claim(6);
	sti_context_enter(&context, box.executor, NULL);
	cr_assert_eq(sti_mailbox_run(&box.mailbox, &context, &n), STI_TURN_MORE);
	sti_context_leave(&context);
	cr_assert_eq(n, 4);
	sti_executor_submit(&box.mailbox);
	stasis_executor_shutdown(stasis_object_ref(box.executor));
	cr_assert_eq(box.n_delivered, 6);
	box_close();
}

/* --- places that were taken over --- */

static bool box_has_settled(uint64_t pushed)
{
	uint64_t seen = 0;

	return sti_mailbox_has_settled(&box.mailbox, pushed, &seen);
}

Test(settle, a_place_that_was_taken_over_is_not_waited_for)
{
	static int late;
	struct sti_context context;
	struct sti_ring *ring;
	uint64_t pos;
	size_t n;

	sti_ring_set_patience(0);
	box_open(stasis_executor_create(&(struct stasis_executor_options){ .threads = 1 }));
	box_claim(1);
	sti_rcu_read_lock();
	ring = atomic_load(&box.mailbox.tail.ring);
	/* Two holes, with an item between and one behind. */
	for (int i = 0; i < 2; i++) {
		pos = sti_ring_pos(atomic_fetch_add(&ring->tail, STI_RING_ONE));
		cr_assert_eq(sti_mpsc_push(&box.mailbox.tail, &late), STI_PUSH_OK);
	}
	sti_context_enter(&context, box.executor, NULL);
	cr_assert_eq(sti_mailbox_run(&box.mailbox, &context, &n), STI_TURN_MORE);
	cr_assert_eq(n, 1);
	cr_assert(box_has_settled(1));
	/* What was pushed before a hole, or behind, has not been delivered yet. */
	cr_assert(!box_has_settled(3));
	sti_mailbox_run_out(&box.mailbox, &context);
	sti_context_leave(&context);
	cr_assert_eq(box.n_delivered, 3);
	cr_assert(box_has_settled(5), "the late ones are pushed again");
	cr_assert(!box_has_settled(6));
	cr_assert_eq(sti_ring_put(&box.mailbox.tail, ring, pos, &late), STI_PUSH_WAKE);
	sti_rcu_read_unlock();
	cr_assert(!box_has_settled(6));
	sti_executor_submit(&box.mailbox);
	while (!box_has_settled(6))
		sched_yield();
	cr_assert_eq(box.n_delivered, 4);
	stasis_executor_shutdown(stasis_object_ref(box.executor));
	box_close();
}
