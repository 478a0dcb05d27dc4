/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sync_wait.c — waiting inside callbacks: what is waited for is run, and nothing else
 *
 * On one worker, with everything queued: A waits for B; C, queued before B, waits for A. A worker
 * that ran C while it waits in A would have it wait for what it has itself interrupted.
 */

#include "sync_fixture.h"

enum { A, B, C, N };

static struct {
	struct stasis_topic *topics[N];
	struct stasis_subscription *subs[N];
	int result_a, result_c;
	unsigned n_b, n_c, b_before_c;
	bool begun;
} row;

static void publish_to(int i, uint64_t seq)
{
	must(publish_data(row.topics[i], 0, seq, 1) == 0);
}

static void on_a(struct probe *probe, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	if (row.begun)
		return;
	row.begun = true;
	publish_to(C, 0);
	publish_to(B, 0);
	row.result_a = sync_datum(row.subs[B], 0, 1, NULL);
	/* C was not run meanwhile. */
	row.b_before_c = row.n_c == 0 ? row.n_b : 0;
}

static void on_b(struct probe *probe, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	row.n_b++;
}

static void on_c(struct probe *probe, struct stasis_subscription *sub, struct stasis_topic *topic,
		 struct stasis_message *message)
{
	row.n_c++;
	row.result_c = sync_datum(row.subs[A], 1, 0, NULL);
}

static void wait_in_a_row(struct stasis_executor *executor)
{
	static void (*const callbacks[N])(struct probe *, struct stasis_subscription *,
					  struct stasis_topic *,
					  struct stasis_message *) = { on_a, on_b, on_c };
	struct probe probes[N] = { 0 };
	struct stasis_subscribe_options options = { .executor = executor };

	row.result_a = row.result_c = -1;
	for (int i = 0; i < N; i++) {
		probes[i].on_data = callbacks[i];
		row.topics[i] = stasis_topic_create("row");
		row.subs[i] = stasis_subscribe_with(row.topics[i], probe_callback, &probes[i],
						    &options);
		cr_assert_not_null(row.subs[i]);
	}
	cr_assert_eq(stasis_executor_drain(executor), 0);
	publish_to(A, 0);
	cr_assert_eq(stasis_executor_drain(executor), 0);
	/* C first: what it waits for must not have ended. */
	for (int i = N - 1; i >= 0; i--) {
		stasis_unsubscribe_and_join(row.subs[i]);
		stasis_object_unref(row.topics[i]);
	}
	cr_assert_eq(row.result_a, 0);
	cr_assert_eq(row.b_before_c, 2);
	cr_assert_eq(row.n_c, 1);
	cr_assert_eq(row.result_c, 0, "the graph of waits has no circle");
	stasis_executor_shutdown(executor);
}

Test(sync_wait, runs_what_is_waited_for_and_nothing_else_on_a_worker)
{
	wait_in_a_row(stasis_executor_create(&(struct stasis_executor_options){ .threads = 1 }));
}

Test(sync_wait, runs_what_is_waited_for_and_nothing_else_in_a_loop)
{
	wait_in_a_row(stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL }));
}
