/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bar.c — modules, a topic and its listeners, from load to unload
 *
 * Whatever the order of the end, every reference is dropped and every final message comes once.
 */

#include "asterisk.h"

#include <sched.h>
#include <time.h>

#include "asterisk/astobj2.h"
#include "asterisk/module.h"

#include "bar.h"
#include "check.h"
#include "foo.h"
#include "tally.h"
#include "whatever.h"

#define N_BARS 3
#define N_MESSAGES 100

static int bars; /* that have been made */

static struct stasis_topic *begin(void)
{
	struct stasis_topic *topic;

	CHECK(ast_modules_load() == 0);
	topic = ast_foo_topic();
	CHECK(topic != NULL && ast_foo_type() != NULL && ast_whatever_type() != NULL);
	CHECK(ast_modules_load() == 0);
	CHECK(ast_foo_topic() == topic);
	CHECK(ao2_ref(topic, 0) == 1);
	return ao2_bump(topic);
}

static struct ast_bar *bar_new(void)
{
	struct ast_bar *bar = ast_bar_create();

	CHECK(bar != NULL);
	bars++;
	CHECK(tally_get(BAR_MADE) == bars);
	/* The caller's, the subscription's. */
	CHECK(ao2_ref(bar, 0) == 2);
	return bar;
}

static void bar_end(struct ast_bar *bar)
{
	ast_bar_shutdown(bar);
	ao2_cleanup(bar);
}

/* Everything that has been made is gone, but for the reference to the topic. */
static void end(struct stasis_topic *topic)
{
	time_t deadline = time(NULL) + 60;

	CHECK(ast_foo_topic() == NULL && ast_foo_type() == NULL && ast_whatever_type() == NULL);
	tally_await(BAR_DESTROYED, bars);
	tally_await(FOO_DESTROYED, tally_get(FOO_MADE));
	CHECK(stasis_executor_drain(stasis_executor_default()) == 0);
	CHECK(tally_get(BAR_DESTROYED) == bars);
	CHECK(tally_get(BAR_FINAL) == bars);
	CHECK(tally_get(FOO_DESTROYED) == tally_get(FOO_MADE));
	/* A subscription lets go of its topic shortly after its end. */
	while (ao2_ref(topic, 0) > 1 && time(NULL) < deadline)
		sched_yield();
	CHECK(ao2_ref(topic, 0) == 1);
	ao2_cleanup(topic);
}

static void test_messages_reach_every_bar(void)
{
	struct stasis_topic *topic = begin();
	struct ast_bar *bar[N_BARS];
	int foos = tally_get(BAR_FOO);

	for (int i = 0; i < N_BARS; i++)
		bar[i] = bar_new();
	for (int i = 0; i < N_MESSAGES; i++)
		ast_foo_happened(i, 0);
	ast_whatever_happened();
	tally_await(BAR_WHATEVER, N_BARS);
	CHECK(tally_get(BAR_FOO) == foos + N_BARS * N_MESSAGES);
	for (int i = 0; i < N_BARS; i++)
		bar_end(bar[i]);
	tally_await(BAR_DESTROYED, bars);
	tally_await(WHATEVER_DESTROYED, 1);
	CHECK(ast_modules_unload() == 0);
	end(topic);
	CHECK(tally_get(BAR_WHATEVER) == N_BARS && tally_get(WHATEVER_DESTROYED) == 1);
}

static void test_unload_does_not_wait_for_the_final_message(void)
{
	struct stasis_topic *topic = begin();
	int foos = tally_get(BAR_FOO);
	struct ast_bar *bar = bar_new();

	ast_foo_happened(1, 0);
	tally_await(BAR_FOO, foos + 1);
	bar_end(bar);
	CHECK(ast_modules_unload() == 0);
	end(topic);
	CHECK(tally_get(BAR_FOO) == foos + 1);
}

static void test_unload_while_messages_are_queued(void)
{
	struct stasis_topic *topic = begin();
	int destroyed = tally_get(FOO_DESTROYED);
	int finals = tally_get(BAR_FINAL);
	struct ast_bar *bar = bar_new();

	ast_foo_happened(0, 1);
	tally_await(BAR_HELD, 1);
	for (int i = 0; i < bar_queued_at_unload; i++)
		ast_foo_happened(i, 0);
	bar_end(bar);
	CHECK(ast_modules_unload() == 0);
	CHECK(tally_get(BAR_FINAL) == finals);
	CHECK(tally_get(FOO_DESTROYED) == destroyed);
	tally_add(BAR_RELEASE);
	end(topic);
	CHECK(tally_get(FOO_DESTROYED) == destroyed + 1 + bar_queued_at_unload);
}

static void test_no_topic_no_bar(void)
{
	int made = tally_get(BAR_MADE);
	int destroyed = tally_get(BAR_DESTROYED);

	CHECK(ast_foo_topic() == NULL);
	CHECK(ast_bar_create() == NULL);
	CHECK(tally_get(BAR_MADE) == made + 1 && tally_get(BAR_DESTROYED) == destroyed + 1);
	ast_bar_shutdown(NULL);
	bar_end(NULL);
	CHECK(stasis_unsubscribe(NULL) == NULL);
}

int main(void)
{
	test_messages_reach_every_bar();
	test_unload_does_not_wait_for_the_final_message();
	test_unload_while_messages_are_queued();
	test_no_topic_no_bar();
	CHECK(stasis_executor_shutdown(stasis_executor_default()) == NULL);
	return 0;
}
