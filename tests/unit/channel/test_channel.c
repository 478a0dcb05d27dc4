/* SPDX-License-Identifier: BSD-2-Clause */
/* test_channel.c — a channel's life: its first snapshot, one for each change, and the clear */

#include <stdlib.h>
#include <sys/time.h>

#include "channel_fixture.h"

Test(channel, publishes_its_first_snapshot)
{
	struct timeval before, after;
	const struct stasis_channel_snapshot *snapshot;
	struct stasis_channel *chan;
	struct watch all;

	watch_open(&all, stasis_channel_topic_all());
	gettimeofday(&before, NULL);
	chan = stasis_channel_create("1.1", "SIP/alice-1");
	gettimeofday(&after, NULL);
	cr_assert_not_null(chan);
	cr_assert_eq(seen(&all), 1);
	snapshot = watch_snapshot(&all, 0);
	check_snapshot(snapshot, "1.1|SIP/alice-1|Down|||||||||0|0");
	cr_assert(!timercmp(&snapshot->creationtime, &before, <));
	cr_assert(!timercmp(&snapshot->creationtime, &after, >));
	check_cached("1.1", "1.1|SIP/alice-1|Down|||||||||0|0");
	cr_assert_str_eq(stasis_topic_name(stasis_channel_topic(chan)), "1.1");
	stasis_object_unref(chan);
	watch_close(&all);
}

Test(channel, needs_an_id_and_a_name)
{
	static const struct {
		const char *uniqueid, *name;
	} wrong[] = { { NULL, "n" }, { "", "n" }, { "1", NULL }, { "1", "" } };
	char *longest;
	struct stasis_channel *chan;
	struct watch all;

	watch_open(&all, stasis_channel_topic_all());
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		cr_assert_null(stasis_channel_create(wrong[i].uniqueid, wrong[i].name));
		cr_assert_eq(errno, EINVAL);
	}
	longest = malloc(STASIS_CACHE_ID_MAX + 2);
	cr_assert_not_null(longest);
	memset(longest, 'x', STASIS_CACHE_ID_MAX + 1);
	longest[STASIS_CACHE_ID_MAX + 1] = '\0';
	errno = 0;
	cr_assert_null(stasis_channel_create(longest, "n"));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(seen(&all), 0);
	longest[STASIS_CACHE_ID_MAX] = '\0';
	chan = stasis_channel_create(longest, "n");
	cr_assert_not_null(chan);
	stasis_object_unref(cached(longest));
	cr_assert_eq(seen(&all), 1);
	stasis_object_unref(chan);
	free(longest);
	watch_close(&all);
}

Test(channel, without_one_is_refused)
{
	cr_assert_eq(stasis_channel_set_state(NULL, STASIS_CHANNEL_UP), -EINVAL);
	cr_assert_eq(stasis_channel_set_caller(NULL, "", ""), -EINVAL);
	cr_assert_eq(stasis_channel_set_connected(NULL, "", ""), -EINVAL);
	cr_assert_eq(stasis_channel_set_account(NULL, ""), -EINVAL);
	cr_assert_eq(stasis_channel_set_language(NULL, ""), -EINVAL);
	cr_assert_eq(stasis_channel_set_position(NULL, "", "", 1), -EINVAL);
	cr_assert_eq(stasis_channel_set_hangup_cause(NULL, 1), -EINVAL);
	cr_assert_eq(stasis_channel_publish_snapshot(NULL), -EINVAL);
	cr_assert_eq(stasis_channel_stage_snapshot(NULL), -EINVAL);
	cr_assert_eq(stasis_channel_stage_snapshot_done(NULL), -EINVAL);
	errno = 0;
	cr_assert_null(stasis_channel_snapshot_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_channel_topic(NULL));
	cr_assert_eq(errno, EINVAL);
}

Test(channel, each_change_is_one_snapshot_on_its_topic_and_on_that_of_all)
{
	static const char *const expected[] = {
		"7|n|Ring|||||||||0|0",
		"7|n|Ring|Alice|100|||||||0|0",
		"7|n|Ring|Alice|100|Bob|200|||||0|0",
		"7|n|Ring|Alice|100|Bob|200|acc||||0|0",
		"7|n|Ring|Alice|100|Bob|200|acc|en|||0|0",
		"7|n|Ring|Alice|100|Bob|200|acc|en|default|s|-3|0",
		"7|n|Ring|Alice|100|Bob|200|acc|en|default|s|-3|16",
		"7|n|Ring||100|Bob|200|acc|en|default|s|-3|16",
		"7|n|Ring||100|||acc|en|default|s|-3|16",
		"7|n|Ring||100|||||default|s|-3|16",
	};
	const size_t n = sizeof(expected) / sizeof(expected[0]);
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	char text[] = "acc";
	struct watch own, all;

	watch_open(&own, stasis_channel_topic(chan));
	watch_open(&all, stasis_channel_topic_all());
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_RING), 0);
	check_cached("7", expected[0]);
	cr_assert_eq(stasis_channel_set_caller(chan, "Alice", "100"), 0);
	cr_assert_eq(stasis_channel_set_connected(chan, "Bob", "200"), 0);
	cr_assert_eq(stasis_channel_set_account(chan, text), 0);
	text[0] = '?'; /* it has been copied */
	cr_assert_eq(stasis_channel_set_language(chan, "en"), 0);
	cr_assert_eq(stasis_channel_set_position(chan, "default", "s", -3), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 16), 0);
	cr_assert_eq(stasis_channel_set_caller(chan, NULL, "100"), 0);
	cr_assert_eq(stasis_channel_set_connected(chan, NULL, NULL), 0);
	cr_assert_eq(stasis_channel_stage_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_set_account(chan, NULL), 0);
	cr_assert_eq(stasis_channel_set_language(chan, NULL), 0);
	cr_assert_eq(stasis_channel_stage_snapshot_done(chan), 0);
	cr_assert_eq(seen(&own), n);
	cr_assert_eq(seen(&all), n);
	for (size_t i = 0; i < n; i++) {
		check_snapshot(watch_snapshot(&own, i), expected[i]);
		cr_assert_eq(own.messages[i], all.messages[i]);
		check_cached("7", expected[n - 1]);
	}
	watch_close(&own);
	watch_close(&all);
	stasis_object_unref(chan);
}

Test(channel, position_may_be_unset)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");

	cr_assert_eq(stasis_channel_set_position(chan, "c", "e", 2), 0);
	check_channel(chan, "7|n|Down|||||||c|e|2|0");
	cr_assert_eq(stasis_channel_set_position(chan, NULL, NULL, 0), 0);
	check_channel(chan, "7|n|Down|||||||||0|0");
	stasis_object_unref(chan);
}

Test(channel, what_changes_nothing_publishes_nothing)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct watch own;

	stasis_channel_set_caller(chan, "Alice", "100");
	watch_open(&own, stasis_channel_topic(chan));
	cr_assert_eq(stasis_channel_set_state(chan, STASIS_CHANNEL_DOWN), 0);
	cr_assert_eq(stasis_channel_set_caller(chan, "Alice", "100"), 0);
	cr_assert_eq(stasis_channel_set_connected(chan, NULL, ""), 0);
	cr_assert_eq(stasis_channel_set_account(chan, NULL), 0);
	cr_assert_eq(stasis_channel_set_language(chan, ""), 0);
	cr_assert_eq(stasis_channel_set_position(chan, NULL, NULL, 0), 0);
	cr_assert_eq(stasis_channel_set_hangup_cause(chan, 0), 0);
	cr_assert_eq(seen(&own), 0);
	cr_assert_eq(stasis_channel_set_state(chan, (enum stasis_channel_state)10), -EINVAL);
	cr_assert_eq(stasis_channel_set_state(chan, (enum stasis_channel_state)-1), -EINVAL);
	cr_assert_eq(seen(&own), 0);
	check_channel(chan, "7|n|Down|Alice|100|||||||0|0");
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel, publishes_a_snapshot_on_demand)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct watch own;

	watch_open(&own, stasis_channel_topic(chan));
	cr_assert_eq(stasis_channel_publish_snapshot(chan), 0);
	cr_assert_eq(stasis_channel_publish_snapshot(chan), 0);
	cr_assert_eq(seen(&own), 2);
	cr_assert_neq(own.messages[0], own.messages[1]);
	check_snapshot(watch_snapshot(&own, 0), "7|n|Down|||||||||0|0");
	check_snapshot(watch_snapshot(&own, 1), "7|n|Down|||||||||0|0");
	watch_close(&own);
	stasis_object_unref(chan);
}

Test(channel, a_snapshot_stays_as_it_is_and_outlives_the_channel)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_channel_snapshot *old, *new;

	stasis_channel_set_language(chan, "en");
	old = stasis_channel_snapshot_create(chan);
	stasis_channel_set_language(chan, "de");
	new = stasis_channel_snapshot_create(chan);
	stasis_object_unref(chan);
	check_snapshot(old, "7|n|Down||||||en|||0|0");
	check_snapshot(new, "7|n|Down||||||de|||0|0");
	cr_assert(timercmp(&old->creationtime, &new->creationtime, ==));
	stasis_object_unref(old);
	stasis_object_unref(new);
}

Test(channel, a_snapshot_can_be_put_into_a_message)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_channel_snapshot *snapshot = stasis_channel_snapshot_create(chan);
	unsigned refs = stasis_object_refs(snapshot);
	struct stasis_message *message;

	message = stasis_message_create(stasis_channel_snapshot_type(), snapshot);
	cr_assert_eq(snapshot_of(message), snapshot);
	cr_assert_eq(stasis_object_refs(snapshot), refs + 1);
	stasis_object_unref(snapshot);
	stasis_object_unref(message);
	stasis_object_unref(chan);
}

/* Goes on until messages are stamped so much later than this one; returns one that is. */
static struct stasis_message *later_by_10_ms(struct stasis_message *message)
{
	const struct timeval delay = { .tv_usec = 10000 };
	struct stasis_message *later = NULL;
	struct timeval time;

	timeradd(stasis_message_timestamp(message), &delay, &time);
	do {
		stasis_object_unref(later);
		later = stasis_message_create_inline(stasis_channel_snapshot_type(), NULL, 0);
	} while (timercmp(stasis_message_timestamp(later), &time, <));
	return later;
}

Test(channel, the_clear_is_stamped_when_it_is_published)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_message *last, *later;
	struct watch own;

	watch_open(&own, stasis_channel_topic(chan));
	last = cached("7");
	later = later_by_10_ms(last);
	stasis_object_unref(chan);
	cr_assert_eq(seen(&own), 1);
	cr_assert(!timercmp(stasis_message_timestamp(own.messages[0]),
			    stasis_message_timestamp(later), <));
	stasis_object_unref(later);
	stasis_object_unref(last);
	watch_close(&own);
}

Test(channel, the_last_reference_clears_it_from_the_cache)
{
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	struct stasis_topic *topic = stasis_object_ref(stasis_channel_topic(chan));
	const struct stasis_cache_update *update;
	struct watch own, all, updates;

	watch_open(&own, topic);
	watch_open(&all, stasis_channel_topic_all());
	watch_open(&updates, stasis_caching_get_topic(stasis_channel_topic_all_cached()));
	stasis_channel_set_state(chan, STASIS_CHANNEL_UP);
	stasis_object_ref(chan);
	stasis_object_unref(chan);
	cr_assert_eq(seen(&own), 1);
	stasis_object_unref(chan);
	cr_assert_eq(seen(&own), 2);
	cr_assert_eq(seen(&all), 2);
	cr_assert_eq(own.messages[1], all.messages[1]);
	cr_assert_eq(stasis_message_type(own.messages[1]), stasis_cache_clear_type());
	cr_assert_eq(stasis_message_data(own.messages[1]), own.messages[0]);
	cr_assert_eq(seen(&updates), 2);
	update = stasis_message_data(updates.messages[1]);
	cr_assert_eq(update->type, stasis_channel_snapshot_type());
	cr_assert_eq(update->old_snapshot, own.messages[0]);
	cr_assert_null(update->new_snapshot);
	cr_assert_null(cached("7"));
	watch_close(&own);
	watch_close(&updates);
	/* Its topic lives on, and leads nowhere. */
	cr_assert_eq(stasis_topic_subscribers(topic), 0);
	stasis_object_unref(topic);
	watch_close(&all);
}

Test(channel, updates_form_a_chain)
{
	const struct stasis_cache_update *update;
	struct stasis_message *last = NULL;
	struct stasis_channel *chan;
	struct watch updates;

	watch_open(&updates, stasis_caching_get_topic(stasis_channel_topic_all_cached()));
	chan = stasis_channel_create("7", "n");
	for (int i = 1; i <= 5; i++)
		cr_assert_eq(stasis_channel_set_hangup_cause(chan, i), 0);
	stasis_object_unref(chan);
	cr_assert_eq(seen(&updates), 7);
	for (size_t i = 0; i < seen(&updates); i++) {
		update = stasis_message_data(updates.messages[i]);
		cr_assert_eq(update->old_snapshot, last);
		last = update->new_snapshot;
		if (i < 6)
			cr_assert_eq(snapshot_of(last)->hangupcause, (int)i);
	}
	cr_assert_null(last);
	watch_close(&updates);
}

Test(channel, a_new_one_with_the_id_of_a_former_one_is_cached)
{
	struct stasis_channel *chan = stasis_channel_create("7", "old");

	stasis_object_unref(chan);
	cr_assert_null(cached("7"));
	chan = stasis_channel_create("7", "new");
	check_cached("7", "7|new|Down|||||||||0|0");
	stasis_object_unref(chan);
	cr_assert_null(cached("7"));
}
