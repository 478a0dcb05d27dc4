/* SPDX-License-Identifier: BSD-2-Clause */
/* test_topics.c — what there is one of per process. Each test is a process of its own, so whoever
 * asks first is the first. */

#include <pthread.h>

#include "channel_fixture.h"
#include "gate.h"

#define N_THREADS 8

Test(channel_topics, are_one_per_process)
{
	struct stasis_topic *all = stasis_channel_topic_all();

	cr_assert_not_null(all);
	cr_assert_not_null(stasis_channel_topic_all_cached());
	cr_assert_not_null(stasis_channel_cache());
	cr_assert_not_null(stasis_channel_snapshot_type());
	cr_assert_eq(stasis_channel_topic_all(), all);
	cr_assert_eq(stasis_channel_topic_all_cached(), stasis_channel_topic_all_cached());
	cr_assert_eq(stasis_channel_cache(), stasis_channel_cache());
	cr_assert_str_eq(stasis_message_type_name(stasis_channel_snapshot_type()),
			 "stasis_channel_snapshot");
}

Test(channel_topics, channels_that_exist_before_anybody_asks_for_the_cache_are_in_it)
{
	struct stasis_channel *first = stasis_channel_create("1", "a");
	struct stasis_channel *second = stasis_channel_create("2", "b");
	struct stasis_message **dump;
	size_t n;

	stasis_channel_set_state(second, STASIS_CHANNEL_UP);
	dump = stasis_cache_dump(stasis_channel_cache(), stasis_channel_snapshot_type(), &n);
	cr_assert_eq(n, 2);
	stasis_cache_dump_free(dump, n);
	check_cached("1", "1|a|Down|||||||||0|0");
	check_cached("2", "2|b|Up|||||||||0|0");
	stasis_object_unref(first);
	stasis_object_unref(second);
	cr_assert_null(cached("1"));
	cr_assert_null(cached("2"));
}

Test(channel_topics, the_topic_of_all_passes_everything_but_only_snapshots_are_cached)
{
	struct stasis_message_type *type = stasis_message_type_create("other");
	struct stasis_channel *chan = stasis_channel_create("7", "n");
	/* It begins as a snapshot does. */
	const char *payload = "id";
	struct watch all, updates;
	struct stasis_message **dump;
	size_t n;

	watch_open(&all, stasis_channel_topic_all());
	watch_open(&updates, stasis_caching_get_topic(stasis_channel_topic_all_cached()));
	cr_assert_eq(stasis_publish_take(stasis_channel_topic(chan),
					 stasis_message_create_inline(type, &payload,
								      sizeof(payload))),
		     0);
	cr_assert_eq(seen(&all), 1);
	cr_assert_eq(stasis_message_type(all.messages[0]), type);
	cr_assert_eq(seen(&updates), 0);
	dump = stasis_cache_dump(stasis_channel_cache(), NULL, &n);
	cr_assert_eq(n, 1);
	stasis_cache_dump_free(dump, n);
	watch_close(&updates);
	watch_close(&all);
	stasis_object_unref(chan);
	stasis_object_unref(type);
}

struct asker {
	struct gate *start;
	int which;
	void *found[4];
};

static void *ask(void *arg)
{
	struct asker *asker = arg;

	gate_pass(asker->start);
	for (int i = 0; i < 4; i++) {
		int which = (asker->which + i) % 4;

		asker->found[which] =
			which == 0 ? (void *)stasis_channel_topic_all() :
			which == 1 ? (void *)stasis_channel_topic_all_cached() :
			which == 2 ? (void *)stasis_channel_cache() :
				     (void *)stasis_channel_snapshot_type();
	}
	return NULL;
}

static void *open_start(void *arg)
{
	gate_await(arg, N_THREADS);
	gate_open(arg);
	return NULL;
}

Test(channel_topics, threads_that_ask_at_once_find_the_same)
{
	static struct gate start = GATE_INIT;
	struct asker askers[N_THREADS];
	pthread_t opener;

	for (int i = 0; i < N_THREADS; i++)
		askers[i] = (struct asker){ .start = &start, .which = i };
	cr_assert_eq(pthread_create(&opener, NULL, open_start, &start), 0);
	run_threads(N_THREADS, ask, askers, sizeof(askers[0]));
	pthread_join(opener, NULL);
	for (int i = 0; i < N_THREADS; i++) {
		cr_assert_eq(askers[i].found[0], stasis_channel_topic_all());
		cr_assert_eq(askers[i].found[1], stasis_channel_topic_all_cached());
		cr_assert_eq(askers[i].found[2], stasis_channel_cache());
		cr_assert_eq(askers[i].found[3], stasis_channel_snapshot_type());
	}
}
