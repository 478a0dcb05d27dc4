/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fuzz.c — defects that the fuzz target's model has shown, and that have been mended */

#include <jansson.h>
#include <stdint.h>
#include <sys/mman.h>

#include "regress_fixture.h"

/* --- a batch that came by two paths to a topic with a distinct subscription, before another that
 * is not: that one was given the whole batch once for each path, not each message --- */

Test(fuzz, a_batch_by_two_paths_keeps_its_order_beside_a_distinct_subscription)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_topic *from = topic_new(), *to = topic_new();
	struct stasis_message *messages[2] = { datum_message(0, 0), datum_message(0, 1) };
	struct stasis_subscription *subs[2];
	struct probe probes[2] = { 0 };

	subs[0] = subscribe_probe(to, &probes[0],
				  &(struct stasis_subscribe_options){ .executor = executor,
								      .distinct = true });
	subs[1] = subscribe_probe(to, &probes[1],
				  &(struct stasis_subscribe_options){ .executor = executor });
	drain(executor);
	for (int i = 0; i < 2; i++)
		stasis_object_unref(stasis_forward_all(from, to));
	cr_assert_eq(stasis_publish_batch(from, messages, 2), 0);
	drain(executor);
	cr_assert_eq(probes[0].n_data, 2);
	cr_assert_eq(probes[1].n_data, 4);
	/* Behind its own "Subscribe", as by two publishes. */
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(probes[1].log[1 + i].datum.seq, i / 2, "%zu", i);
	for (int i = 0; i < 2; i++)
		stasis_unsubscribe(subs[i]);
	stasis_executor_shutdown(executor);
	stasis_object_unref(from);
	stasis_object_unref(to);
}

/* --- options whose size was never set: what lies behind them was read, to the end of the mapping
 * --- */

Test(fuzz, options_of_a_size_beyond_reason_are_not_read)
{
	const size_t page = 4096;
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	struct stasis_executor_options *last;

	cr_assert_neq(pages, MAP_FAILED);
	cr_assert_eq(mprotect(pages + page, page, PROT_NONE), 0);
	last = (struct stasis_executor_options *)(pages + page) - 1;
	last->size = SIZE_MAX;
	errno = 0;
	cr_assert_null(stasis_executor_create(last));
	cr_assert_eq(errno, E2BIG);
	munmap(pages, 2 * page);
}

/* --- JSON from outside that is deeper than the stack: it was copied by recursion --- */

Test(fuzz, json_of_any_depth_is_no_danger)
{
	struct stasis_message_type *type = stasis_channel_blob_type_create("deep");
	json_t *json = json_object(), *value = json_array();

	for (unsigned i = 0; i < 20000; i++) {
		json_t *outer = json_array();

		json_array_append_new(outer, value);
		value = outer;
	}
	json_object_set_new(json, "type", json_string("deep"));
	json_object_set_new(json, "value", value);
	errno = 0;
	cr_assert_null(stasis_channel_blob_create(NULL, type, json));
	cr_assert_eq(errno, EINVAL);
	json_decref(json);
	stasis_object_unref(type);
}
