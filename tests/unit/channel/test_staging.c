/* SPDX-License-Identifier: BSD-2-Clause */
/* test_staging.c — several changes, one snapshot */

#include "channel_fixture.h"

static struct stasis_channel *watched_channel(struct watch *own)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");

	cr_assert_not_null(chan);
	watch_open(own, stasis_channel_topic(chan));
	return chan;
}

Test(channel_staging, changes_are_one_snapshot_at_the_end)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_RING), 0);
	cr_assert_eq(stasis_channel_set_caller(chan, "a", "1"), 0);
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_UP), 0);
	cr_assert_eq(seen(&own), 0);
	check_cached("7", "7|n|Down|||||||||0|0");
	check_channel(chan, "7|n|Up|a|1|||||||0|0");
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), 1);
	check_snapshot(watch_snapshot(&own, 0), "7|n|Up|a|1|||||||0|0");
	check_cached("7", "7|n|Up|a|1|||||||0|0");
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 5), 0);
	cr_assert_eq(seen(&own), 2, "later changes are not staged");
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel_staging, without_a_change_there_is_no_snapshot)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_DOWN), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), 0);
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel_staging, a_change_that_was_taken_back_is_a_snapshot)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_UP), 0);
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_DOWN), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), 1);
	check_snapshot(watch_snapshot(&own, 0), "7|n|Down|||||||||0|0");
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel_staging, stages_nest)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_account(chan, "a"), 0);
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_language(chan, "en"), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), 0);
	cr_assert_eq(seen(&own), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), 1);
	check_snapshot(watch_snapshot(&own, 0), "7|n|Down|||||a|en|||0|1");
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel_staging, an_end_without_a_beginning_is_refused)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), -EINVAL);
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), -EINVAL);
	cr_assert_eq(seen(&own), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), 0);
	cr_assert_eq(seen(&own), 1);
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel_staging, a_snapshot_on_demand_waits_for_the_end)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_publish_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_publish_snapshot(chan), 0);
	cr_assert_eq(seen(&own), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), 1);
	check_snapshot(watch_snapshot(&own, 0), "7|n|Down|||||||||0|0");
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel_staging, what_is_staged_at_the_end_is_not_published)
{
	struct watch own;
	struct stasis_channel *chan = watched_channel(&own);

	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 1), 0);
	stasis_object_unref(chan);
	cr_assert_eq(seen(&own), 1);
	cr_assert_eq(stasis_message_type(own.messages[0]), stasis_cache_clear_type());
	cr_assert_null(cached("7"));
	watch_close(&own);
}
