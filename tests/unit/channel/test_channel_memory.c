/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel_memory.c — every allocation fails once, in turn, jansson's among them: what fails
 * has not happened, and nothing leaks */

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "base/alloc.h"
#include "channel_fixture.h"
#include "faulty.h"
#include "sync/rcu.h"

/* More than a round takes. */
#define ROUNDS_MAX 10000
#define SETTLE_MAX 1000

static void *allocate(size_t size)
{
	return sti_alloc(size);
}

/* From here on jansson's memory is counted, and fails, too. */
static void install(void)
{
	faulty_install();
	json_set_alloc_funcs(allocate, sti_free);
}

/* What has been replaced in the cache is dropped a little later. */
static int64_t settled(int64_t expected)
{
	for (int i = 0; i < SETTLE_MAX && faulty_outstanding() != expected; i++)
		sti_rcu_barrier();
	return faulty_outstanding();
}

/* 0, or there was no memory. */
static bool succeeded(int result)
{
	cr_assert(result == 0 || result == -ENOMEM, "%d", result);
	return result == 0;
}

static bool made(const void *what)
{
	if (what == NULL)
		cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
	return what != NULL;
}

/* A change has happened, or it has not. */
static void check_change(struct stasis_channel *chan, int result, const char *before,
			 const char *after)
{
	check_channel(chan, succeeded(result) ? after : before);
}

static void change_channel(struct stasis_channel *chan)
{
	char before[DESCRIPTION_MAX], after[DESCRIPTION_MAX];
	struct stasis_channel_snapshot *snapshot;

	check_change(chan, stasis_channel_set_account(chan, "acc"), "7|n|Down|||||||||0|0",
		     "7|n|Down|||||acc||||0|0");
	snapshot = stasis_channel_snapshot_create(chan);
	describe(snapshot, before);
	snprintf(after, sizeof(after), "%.*s9", (int)strlen(before) - 1, before);
	check_change(chan, stasis_channel_set_hangup_cause(chan, 9), before, after);
	stasis_object_unref(snapshot);
	succeeded(stasis_channel_publish_snapshot(chan));
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	succeeded(stasis_channel_set_state(chan, STASIS_CHANNEL_UP));
	succeeded(stasis_channel_set_language(chan, "en"));
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	/* Not published: it goes with the channel. */
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	succeeded(stasis_channel_set_state(chan, STASIS_CHANNEL_BUSY));
}

static void make_blobs(struct stasis_channel *chan, struct stasis_message_type *type,
		       struct stasis_message_type *multi_type, json_t *json)
{
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);
	struct stasis_message *message = stasis_channel_blob_create(chan, type, json);
	struct stasis_multi_channel_blob *multi;
	size_t n = 0;

	if (made(message))
		json_decref(stasis_message_to_json(message));
	stasis_object_unref(message);
	multi = stasis_multi_channel_blob_create(json);
	if (made(multi)) {
		for (int i = 0; i < 2; i++) {
			n += succeeded(
				stasis_multi_channel_blob_add_channel(multi, "a", snapshot));
			cr_assert_eq(stasis_multi_channel_blob_get_channels(multi, "a", NULL, 0),
				     n);
		}
		succeeded(stasis_multi_channel_blob_add_channel(multi, "\xff", snapshot));
		message = stasis_message_create(multi_type, multi);
		if (made(message))
			json_decref(stasis_message_to_json(message));
		stasis_object_unref(message);
	}
	stasis_object_unref(multi);
	json_decref(stasis_channel_snapshot_to_json(snapshot));
	stasis_object_unref(snapshot);
}

struct fixed {
	struct stasis_message_type *type, *multi_type;
	json_t *json;
};

static void run_scenario(const struct fixed *fixed)
{
	struct stasis_channel *chan;

	errno = 0;
	chan = stasis_channel_create("7", "n");
	if (!made(chan))
		return;
	change_channel(chan);
	make_blobs(chan, fixed->type, fixed->multi_type, fixed->json);
	stasis_object_unref(chan);
}

/* Runs the scenario with its n-th allocation failing. False when it had fewer. */
static bool run_round(const struct fixed *fixed, uint64_t n, int64_t before)
{
	int64_t after;
	bool failed;

	faulty_arm(n, false);
	run_scenario(fixed);
	failed = faulty_disarm();
	/* If there was none for the clear, the entry is left: the next channel's removes it. */
	stasis_object_unref(stasis_channel_create("7", "n"));
	cr_assert_null(cached("7"));
	after = settled(before);
	cr_assert_eq(after, before, "allocation %lu failed: %ld blocks left over", (unsigned long)n,
		     (long)(after - before));
	return failed;
}

Test(channel_memory, every_allocation_fails_in_turn)
{
	struct fixed fixed;
	int64_t before = -1;
	uint64_t n = 0;

	install();
	fixed.type = stasis_channel_blob_type_create("blob");
	fixed.multi_type = stasis_multi_channel_blob_type_create("multi");
	fixed.json = json_pack("{s:s, s:[i, {s:n}]}", "type", "t", "list", 1, "null");
	for (int i = 0; i < 3; i++)
		run_scenario(&fixed);
	for (int i = 0; i < 10; i++)
		sti_rcu_barrier();
	before = faulty_outstanding();
	while (run_round(&fixed, n, before)) {
		n++;
		cr_assert_lt(n, ROUNDS_MAX);
	}
	cr_assert_gt(n, 50, "allocations go through the seam");
	json_decref(fixed.json);
}

Test(channel_memory, without_any_changes_are_refused_and_not_published)
{
	struct stasis_channel_snapshot *before, *after;
	struct stasis_channel *chan;
	struct watch own;

	install();
	chan = stasis_channel_create("7", "n");
	watch_open(&own, stasis_channel_topic(chan));
	before = stasis_channel_snapshot_create(chan);
	faulty_arm(0, true);
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_UP), -ENOMEM);
	cr_assert_eq(stasis_channel_set_caller(chan, "a", "b"), -ENOMEM);
	cr_assert_eq(stasis_channel_set_connected(chan, "a", "b"), -ENOMEM);
	cr_assert_eq(stasis_channel_set_account(chan, "a"), -ENOMEM);
	cr_assert_eq(stasis_channel_set_language(chan, "a"), -ENOMEM);
	cr_assert_eq(stasis_channel_set_position(chan, "a", "b", 1), -ENOMEM);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), -ENOMEM);
	cr_assert_eq(stasis_channel_publish_snapshot(chan), -ENOMEM);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 0), 0, "it changes nothing");
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), -ENOMEM);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	errno = 0;
	cr_assert_null(stasis_channel_create("8", "n"));
	cr_assert_eq(errno, ENOMEM);
	after = stasis_channel_snapshot_create(chan);
	cr_assert(faulty_disarm());
	cr_assert_eq(after, before);
	cr_assert_eq(seen(&own), 0);
	cr_assert_null(cached("8"));
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), 0);
	cr_assert_eq(seen(&own), 1);
	stasis_object_unref(after);
	stasis_object_unref(before);
	stasis_object_unref(chan);
	watch_close(&own);
}

Test(channel_memory, the_clear_and_a_staged_snapshot_need_none)
{
	struct stasis_channel *chan;
	struct watch own;

	install();
	chan = stasis_channel_create("7", "n");
	watch_open(&own, stasis_channel_topic(chan));
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), 0);
	faulty_arm(0, true);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	stasis_object_unref(chan);
	faulty_disarm();
	cr_assert_eq(seen(&own), 2);
	check_snapshot(watch_snapshot(&own, 0), "7|n|Down|||||||||0|1");
	cr_assert_eq(stasis_message_type(own.messages[1]), stasis_cache_clear_type());
	watch_close(&own);
}

/* --- the first use --- */

/* More than the first use takes. */
#define FIRST_USE_MAX 32

ParameterizedTestParameters(channel_memory, a_first_use_that_fails_is_tried_again)
{
	static int rounds[FIRST_USE_MAX];

	for (int i = 0; i < FIRST_USE_MAX; i++)
		rounds[i] = i;
	return cr_make_param_array(int, rounds, FIRST_USE_MAX);
}

/* Each in a process of its own: there is but one first use. */
ParameterizedTest(int *round, channel_memory, a_first_use_that_fails_is_tried_again)
{
	struct stasis_channel *chan;
	struct stasis_topic *all;
	bool failed;

	faulty_install();
	errno = 0;
	faulty_arm((uint64_t)*round, false);
	all = stasis_channel_topic_all();
	if (all == NULL)
		cr_assert_eq(errno, ENOMEM);
	failed = faulty_disarm();
	/* Those are fewer than there are rounds, and more than there are things to be made. */
	if (*round < 5)
		cr_assert(failed);
	if (*round == FIRST_USE_MAX - 1)
		cr_assert(!failed);
	cr_assert(failed || all != NULL);
	chan = stasis_channel_create("7", "n");
	cr_assert_not_null(chan);
	cr_assert_not_null(stasis_channel_topic_all());
	cr_assert_not_null(stasis_channel_topic_all_cached());
	check_cached("7", "7|n|Down|||||||||0|0");
	stasis_object_unref(chan);
	cr_assert_null(cached("7"));
}

Test(channel_memory, a_first_use_without_any_fails)
{
	faulty_install();
	faulty_arm(0, true);
	errno = 0;
	cr_assert_null(stasis_channel_topic_all());
	cr_assert_eq(errno, ENOMEM);
	errno = 0;
	cr_assert_null(stasis_channel_topic_all_cached());
	cr_assert_eq(errno, ENOMEM);
	errno = 0;
	cr_assert_null(stasis_channel_cache());
	cr_assert_eq(errno, ENOMEM);
	errno = 0;
	cr_assert_null(stasis_channel_snapshot_type());
	cr_assert_eq(errno, ENOMEM);
	errno = 0;
	cr_assert_null(stasis_channel_create("7", "n"));
	cr_assert_eq(errno, ENOMEM);
	cr_assert(faulty_disarm());
	cr_assert_not_null(stasis_channel_cache());
}
