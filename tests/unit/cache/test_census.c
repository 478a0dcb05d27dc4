/* SPDX-License-Identifier: BSD-2-Clause */
/* test_census.c — every kind of thing is counted while it is there */

#include <criterion/criterion.h>
#include <string.h>

#include <stasis/stasis.h>

#include "base/census.h"
#include "sync/rcu.h"

static const char *no_id(struct stasis_message *message)
{
	return NULL;
}

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

/* Memory goes after a few grace periods: first what leads to a thing, then the thing. */
static void settle(void)
{
	for (int i = 0; i < 4; i++)
		sti_rcu_barrier();
}

Test(census, each_kind_is_counted_and_goes)
{
	struct stasis_subscribe_options options = { .capacity = 1024 };
	int64_t before[STI_CENSUS_N];
	struct stasis_executor *executor;
	struct stasis_topic *from, *to;
	struct stasis_subscription *sub;
	struct stasis_message_router *router;
	struct stasis_forward *forward;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;

	for (int i = 0; i < STI_CENSUS_N; i++)
		before[i] = sti_census_count((enum sti_census)i);
	executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	options.executor = executor;
	from = stasis_topic_create("from");
	to = stasis_topic_create("to");
	forward = stasis_forward_all(from, to);
	sub = stasis_subscribe_with(to, ignore, NULL, &options);
	router = stasis_message_router_create_with(to, &options);
	cache = stasis_cache_create(no_id);
	caching = stasis_caching_topic_create(from, cache);
	for (int i = 0; i < STI_CENSUS_N; i++)
		cr_assert_gt(sti_census_count((enum sti_census)i), before[i], "%s",
			     sti_census_name((enum sti_census)i));

	stasis_caching_unsubscribe_and_join(caching);
	stasis_object_unref(cache);
	stasis_forward_cancel(forward);
	stasis_unsubscribe_and_join(sub);
	stasis_message_router_unsubscribe_and_join(router);
	stasis_executor_shutdown(executor);
	stasis_object_unref(from);
	stasis_object_unref(to);
	settle();
	for (int i = 0; i < STI_CENSUS_N; i++)
		cr_assert_eq(sti_census_count((enum sti_census)i), before[i], "%s",
			     sti_census_name((enum sti_census)i));
}

Test(census, every_kind_has_a_name_of_its_own)
{
	for (int i = 0; i < STI_CENSUS_N; i++) {
		for (int j = 0; j < i; j++)
			cr_assert_str_neq(sti_census_name((enum sti_census)i),
					  sti_census_name((enum sti_census)j));
	}
	cr_assert_str_eq(sti_census_name(STI_CENSUS_NONE), "?");
}
