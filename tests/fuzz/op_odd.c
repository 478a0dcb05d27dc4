/* SPDX-License-Identifier: BSD-2-Clause */
/* op_odd.c — arguments that are refused, and leave everything as it was */

#include <errno.h>
#include <string.h>

#include "world.h"

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

/* A call gives NULL and says why. */
#define REFUSED(expr, error)                                                                      \
	do {                                                                                      \
		errno = 0;                                                                        \
		W_TRUE((expr) == NULL);                                                           \
		W_EQUAL(errno, error);                                                            \
	} while (0)

static void op_null(void)
{
	struct stasis_message_type *type = w_types[0];

	REFUSED(stasis_topic_create(NULL), EINVAL);
	REFUSED(stasis_topic_name(NULL), EINVAL);
	REFUSED(stasis_message_type_create(NULL), EINVAL);
	REFUSED(stasis_message_type_create(""), EINVAL);
	REFUSED(stasis_message_type_name(NULL), EINVAL);
	REFUSED(stasis_message_create(type, NULL), EINVAL);
	REFUSED(stasis_message_create_inline(type, NULL, 1), EINVAL);
	REFUSED(stasis_message_create_foreign(NULL, NULL, NULL), EINVAL);
	REFUSED(stasis_message_data(NULL), EINVAL);
	REFUSED(stasis_object_ref(NULL), EINVAL);
	REFUSED(stasis_subscribe(NULL, w_callback, NULL), EINVAL);
	REFUSED(stasis_unsubscribe(NULL), EINVAL);
	REFUSED(stasis_unsubscribe_and_join(NULL), EINVAL);
	REFUSED(stasis_forward_all(NULL, world.topics[0].lib), EINVAL);
	REFUSED(stasis_forward_cancel(NULL), EINVAL);
	REFUSED(stasis_cache_create(NULL), EINVAL);
	REFUSED(stasis_cache_get(world.caches[0].lib, type, NULL), EINVAL);
	REFUSED(stasis_cache_dump(world.caches[0].lib, type, NULL), EINVAL);
	REFUSED(stasis_cache_clear_create(NULL), EINVAL);
	REFUSED(stasis_caching_topic_create(NULL, world.caches[0].lib), EINVAL);
	REFUSED(stasis_caching_unsubscribe(NULL), EINVAL);
	REFUSED(stasis_caching_subscribe_with_state(NULL, w_callback, NULL, NULL), EINVAL);
	REFUSED(stasis_message_router_create(NULL), EINVAL);
	REFUSED(stasis_message_router_unsubscribe(NULL), EINVAL);
	REFUSED(stasis_channel_create(NULL, "a"), EINVAL);
	REFUSED(stasis_channel_create("", "a"), EINVAL);
	REFUSED(stasis_channel_snapshot_create(NULL), EINVAL);
	REFUSED(stasis_channel_blob_create(NULL, NULL, NULL), EINVAL);
	REFUSED(stasis_multi_channel_blob_create(NULL), EINVAL);
	W_EQUAL(stasis_publish(NULL, NULL), -EINVAL);
	W_EQUAL(stasis_publish_take(world.topics[0].lib, NULL), -EINVAL);
	W_EQUAL(stasis_publish_batch(world.topics[0].lib, NULL, SIZE_MAX), -EINVAL);
	W_EQUAL(stasis_publish_sync(NULL, NULL), -EINVAL);
	W_EQUAL(stasis_executor_run(NULL, 1), -EINVAL);
	W_EQUAL(stasis_executor_drain(NULL), -EINVAL);
	W_EQUAL(stasis_channel_set_state(NULL, STASIS_CHANNEL_UP), -EINVAL);
	W_EQUAL(stasis_stats_read(NULL, NULL), -EINVAL);
	W_EQUAL(stasis_message_router_add(NULL, type, w_routed, NULL), -EINVAL);
}

/* A batch with a hole: nothing is published, and everything is consumed. */
static void op_batch_with_hole(void)
{
	struct w_topic *topic = w_pick_topic();
	struct w_message *message = w_pick_message();
	struct stasis_message *batch[3];

	if (topic == NULL || message == NULL)
		return;
	batch[0] = stasis_object_ref(message->lib);
	batch[1] = NULL;
	batch[2] = stasis_object_ref(message->lib);
	W_EQUAL(stasis_publish_batch(topic->lib, batch, 3), -EINVAL);
}

/* One option that is out of range. */
static int spoil(struct stasis_subscribe_options *options, unsigned which)
{
	static struct stasis_message_type *const none[] = { NULL };

	switch (which) {
	case 0:
		options->capacity = STASIS_CAPACITY_MAX + 1;
		return EINVAL;
	case 1:
		options->capacity = SIZE_MAX;
		return EINVAL;
	case 2:
		options->batch = STASIS_BATCH_MAX + 1;
		return EINVAL;
	case 3:
		options->overflow = STASIS_OVERFLOW_REJECT + 1;
		return EINVAL;
	case 4:
		options->low_water = 1;
		return EINVAL;
	case 5:
		options->high_water = 1;
		return EINVAL;
	case 6:
		options->high_water = options->low_water = SIZE_MAX;
		options->on_congestion = w_congestion;
		return EINVAL;
	case 7:
		options->n_types = 1;
		return EINVAL;
	case 8:
		options->types = none;
		options->n_types = 1;
		return EINVAL;
	case 9:
		options->types = none;
		options->n_types = SIZE_MAX;
		return EINVAL;
	case 10:
		options->size = 1;
		return EINVAL;
	default:
		options->size = SIZE_MAX;
		return E2BIG;
	}
}

static void op_options(void)
{
	struct w_topic *topic = w_pick_topic();
	struct stasis_subscribe_options options = { .executor = world.executors[0].lib };
	int error = spoil(&options, from(12));

	if (topic == NULL)
		return;
	REFUSED(stasis_subscribe_with(topic->lib, w_callback, NULL, &options), error);
	REFUSED(stasis_message_router_create_with(topic->lib, &options), error);
}

/* What a later version might have behind the options. */
static void op_newer(void)
{
	struct {
		struct stasis_subscribe_options options;
		unsigned char more[16];
	} newer;
	struct w_topic *topic = w_pick_topic();

	if (topic == NULL)
		return;
	memset(&newer, 0, sizeof(newer));
	newer.options.size = sizeof(newer);
	newer.options.executor = world.executors[0].lib;
	newer.more[from(16)] = 1;
	REFUSED(stasis_subscribe_with(topic->lib, w_callback, NULL, &newer.options), E2BIG);
}

/* More than there is. */
static void op_huge(void)
{
	size_t size = SIZE_MAX - from(256);

	REFUSED(stasis_object_alloc(size, NULL), ENOMEM);
	REFUSED(stasis_message_create_inline(w_types[0], "", size), ENOMEM);
	REFUSED(stasis_object_alloc(size / 2, NULL), ENOMEM);
}

const w_operation op_odd[] = { op_null, op_batch_with_hole, op_options, op_newer, op_huge };
const size_t n_op_odd = sizeof(op_odd) / sizeof(op_odd[0]);
