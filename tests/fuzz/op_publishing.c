/* SPDX-License-Identifier: BSD-2-Clause */
/* op_publish.c — messages, and all ways to publish them */

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "plant.h"
#include "world.h"

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

/* --- messages --- */

static void payload_destroy(void *obj)
{
	struct w_payload *payload = obj;

	W_EQUAL(payload->magic, W_MAGIC);
	payload->magic = 0;
	world.n_released++;
}

static void payload_release(void *data)
{
	payload_destroy(data);
	free(data);
}

static struct stasis_message *make_object(unsigned type, const struct w_payload *values)
{
	struct w_payload *payload = stasis_object_alloc(sizeof(*payload), payload_destroy);
	struct stasis_message *message;

	if (payload == NULL)
		return NULL;
	world.n_payloads++;
	*payload = *values;
	message = stasis_message_create(w_types[type], payload);
	stasis_object_unref(payload);
	return message;
}

static struct stasis_message *make_foreign(unsigned type, const struct w_payload *values)
{
	struct w_payload *payload = malloc(sizeof(*payload));
	struct stasis_message *message;

	if (payload == NULL)
		abort();
	*payload = *values;
	message = stasis_message_create_foreign(w_types[type], payload, payload_release);
	if (message == NULL)
		free(payload);
	else
		world.n_payloads++;
	return message;
}

static struct stasis_message *make_inline(unsigned type, const struct w_payload *values)
{
	static const size_t sizes[] = { sizeof(*values), 100, 1000, 70000 };
	size_t size = sizes[from(4)];
	char *bytes = calloc(1, size);
	struct stasis_message *message;

	if (bytes == NULL)
		abort();
	*(struct w_payload *)bytes = *values;
	message = stasis_message_create_inline(w_types[type], bytes, size);
	free(bytes);
	return message;
}

static struct stasis_message *make(unsigned kind, unsigned type, const struct w_payload *values)
{
	return kind == 0 ? make_object(type, values) :
	       kind == 1 ? make_foreign(type, values) :
			   make_inline(type, values);
}

struct w_message *w_message_of(struct stasis_message *lib, struct m_message *m)
{
	struct w_message *message = w_free_message();

	m->handle = lib;
	message->lib = lib;
	message->m = m;
	return message;
}

static void op_message(void)
{
	static unsigned number;
	struct w_payload values = { .magic = W_MAGIC, .number = number++ };
	unsigned kind = from(3);
	unsigned type = from(M_TYPES_OWN);
	struct stasis_message *lib;
	struct m_message *m;

	values.id = from(2) ? w_string() : NULL;
	if (w_free_message() == NULL)
		return;
	errno = 0;
	w_arm();
	lib = make(kind, type, &values);
	if (w_disarm() && lib == NULL) {
		W_EQUAL(errno, ENOMEM);
		return;
	}
	W_TRUE(lib != NULL);
	W_TRUE(stasis_message_timestamp(lib)->tv_sec > 0);
	m = m_message_new(type);
	m->id = values.id;
	w_message_of(lib, m);
}

static void op_message_drop(void)
{
	struct w_message *message = w_pick_message();

	if (message != NULL)
		message->lib = stasis_object_unref(message->lib);
}

/* --- publishing --- */

void w_publish_result(long long result, size_t refused)
{
	if (w_plants(PLANT_RESULT) && result > 0)
		result--;
	if (!world.failed) {
		W_EQUAL(result, refused);
		return;
	}
	/* What is lost for want of memory is told like what a policy refuses. */
	W_TRUE(result >= (long long)refused);
	world.n_lost_expected = (uint64_t)result - refused;
	world.count_lost = true;
	for (unsigned i = 0; i < M_SUBS; i++)
		world.count_lost &= !world.subs[i].m.router;
}

/* What a publish may lead into. */
struct inlet {
	struct m_caching *tap;
	size_t n; /* ways there */
};

/* Lets memory run out, unless it could not be told where: with several ways, or when the cache has
 * this very message already. */
static struct inlet inlet_arm(struct m_topic *topic, const struct m_message *message)
{
	struct inlet inlet = { .tap = NULL };
	const struct m_entry *entry = NULL;
	const char *id = NULL;
	unsigned type;

	inlet.n = m_taps(topic, &inlet.tap);
	if (inlet.n == 1)
		id = m_id(inlet.tap->cache, message, &type);
	if (id != NULL)
		entry = m_cache_find(inlet.tap->cache, type, id);
	if (inlet.n <= 1 && (entry == NULL || entry->snapshot != message))
		w_arm();
	return inlet;
}

/* Has the cache taken the message? Its entry says so. */
static bool inlet_failed(const struct inlet *inlet, const struct m_message *message)
{
	const struct m_cache *m = inlet->n > 0 ? inlet->tap->cache : NULL;
	struct stasis_message *last;
	const char *id;
	unsigned type;
	bool taken;

	if (m == NULL || !world.failed)
		return false;
	id = m_id(m, message, &type);
	if (id == NULL)
		return false;
	last = stasis_cache_get(((const struct w_cache *)m)->lib, w_types[type], id);
	taken = message->type == M_TYPE_CLEAR ? last == NULL : last == message->handle;
	stasis_object_unref(last);
	return !taken;
}

static void op_publish(void)
{
	struct w_topic *topic = w_pick_topic();
	struct w_message *message = w_pick_message();
	const struct m_message *m;
	bool take = from(2);
	struct inlet inlet;
	int result;

	if (topic == NULL || message == NULL)
		return;
	m = message->m;
	inlet = inlet_arm(&topic->m, m);
	if (take) {
		result = stasis_publish_take(topic->lib, message->lib);
		message->lib = NULL;
	} else {
		result = stasis_publish(topic->lib, message->lib);
	}
	w_disarm();
	m_puts_fail = inlet_failed(&inlet, m);
	w_publish_result(result, m_publish(&topic->m, &m, 1));
	m_puts_fail = false;
}

static struct stasis_message *make_own(struct m_message **mp)
{
	const struct w_payload values = { .magic = W_MAGIC };
	struct stasis_message *lib = stasis_message_create_inline(w_types[1], &values,
								  sizeof(values));

	*mp = m_message_new(1);
	(*mp)->handle = lib;
	return lib;
}

void w_publish_own(struct w_topic *topic)
{
	struct m_message *m;
	struct stasis_message *lib = make_own(&m);
	const struct m_message *published = m;
	int result = stasis_publish_take(topic->lib, lib);

	W_EQUAL(result, m_publish(&topic->m, &published, 1));
}

static void op_batch(void)
{
	struct stasis_message *libs[32];
	const struct m_message *ms[32];
	struct w_topic *topic = w_pick_topic();
	struct m_caching *tap;
	unsigned n = from(32);
	int result;

	if (topic == NULL)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct w_message *message = w_pick_message();

		if (message == NULL)
			return;
		/* Each occurrence consumes a reference. */
		libs[i] = message->lib;
		ms[i] = message->m;
	}
	for (unsigned i = 0; i < n; i++)
		stasis_object_ref(libs[i]);
	if (m_taps(&topic->m, &tap) == 0)
		w_arm();
	result = stasis_publish_batch(topic->lib, libs, n);
	w_disarm();
	w_publish_result(result, m_publish(&topic->m, ms, n));
}

/* --- and waiting --- */

static void sync_later_of(struct w_sub *sub)
{
	world.later = NULL;
	world.sync_refused = m_publish_sync(&sub->m, world.sync_message, &world.sync_own);
}

static void sync_later(void)
{
	sync_later_of(world.sync_sub);
}

/* Nothing that has been waited for is still queued. Where the same message may be queued as well,
 * or may have been lost, which of the two was delivered cannot be told. */
static void sync_ended(struct m_sub *sub, bool timed_out)
{
	bool uncertain = false;

	for (size_t i = 0; i < sub->n; i++) {
		struct m_item *item = &sub->items[sub->first + i];

		uncertain = uncertain || item->maybe;
		W_TRUE(timed_out || !item->sync || uncertain);
		item->sync = false;
	}
}

static int sync_call(struct w_sub *sub, struct stasis_message *message, unsigned how)
{
	const struct timespec none = { 0 }, hour = { .tv_sec = 3600 };

	switch (how) {
	case 0:
		return stasis_publish_sync_timed(sub->lib, message, &none);
	case 1:
		return stasis_publish_sync_timed(sub->lib, message, &hour);
	default:
		return stasis_publish_sync(sub->lib, message);
	}
}

/* What it is to be told before it comes to that; 1: it does. */
static int sync_refusal(const struct w_sub *sub, bool declined)
{
	if (sub->running)
		return -EDEADLK;
	if (sub->m.ended || (sub->m.executor->closed && !declined))
		return -ESHUTDOWN;
	return 1;
}

static void sync_publish(struct w_sub *sub, struct stasis_message *lib, const struct m_message *m,
			 unsigned how)
{
	bool declined = sub->m.selective && !sub->m.accepts[m->type];
	int refusal = sync_refusal(sub, declined);
	struct m_caching *tap;
	int result;

	if (refusal <= 0) {
		W_EQUAL(sync_call(sub, lib, how), refusal);
		return;
	}
	world.sync_sub = sub;
	world.sync_message = m;
	m_sync_evicted = 0;
	if (!declined)
		world.later = sync_later;
	if (world.inside == 0 && m_taps(sub->m.topic, &tap) == 0)
		w_arm();
	result = sync_call(sub, lib, how);
	w_disarm();
	world.sync_sub = NULL;
	if (world.failed && result == -ENOMEM) {
		W_TRUE(declined || world.later != NULL);
		world.later = NULL;
		return;
	}
	if (world.later != NULL)
		sync_later_of(sub);
	if (declined) {
		w_publish_result(result, m_publish(sub->m.topic, &m, 1));
	} else if (how == 0 && result < 0) {
		W_EQUAL(result, -ETIMEDOUT);
		W_TRUE(world.sync_own);
		sync_ended(&sub->m, true);
	} else {
		w_publish_result(result, world.sync_refused + m_sync_evicted);
		sync_ended(&sub->m, world.failed);
	}
}

static void op_sync(void)
{
	struct w_sub *sub = w_pick_sub();
	struct w_message *message = w_pick_message();
	unsigned how = from(4);

	if (sub != NULL && message != NULL)
		sync_publish(sub, message->lib, message->m, how);
}

void w_sync_own(struct w_sub *sub)
{
	struct m_message *m;
	struct stasis_message *lib;

	/* One at a time, so that it is clear whose is evicted. */
	if (world.sync_sub != NULL)
		return;
	lib = make_own(&m);
	sync_publish(sub, lib, m, 2);
	stasis_object_unref(lib);
}

/* The next operation that can will fail at one of its allocations. */
static void op_arm(void)
{
	world.fail_at = from(12);
	world.arm = true;
}

const w_operation op_publishing[] = {
	op_message, op_message, op_message_drop, op_publish, op_publish, op_batch, op_sync, op_arm,
};
const size_t n_op_publishing = sizeof(op_publishing) / sizeof(op_publishing[0]);
