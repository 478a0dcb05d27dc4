/* SPDX-License-Identifier: BSD-2-Clause */
/* op_caching.c — caches and caching topics */

#include <errno.h>
#include <string.h>

#include "world.h"

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

static void op_cache_create(void)
{
	struct w_cache *cache = &world.caches[from(M_CACHES)];

	if (cache->lib != NULL)
		return;
	errno = 0;
	w_arm();
	cache->lib = stasis_cache_create(w_get_id);
	if (w_disarm() && cache->lib == NULL) {
		W_EQUAL(errno, ENOMEM);
		return;
	}
	W_TRUE(cache->lib != NULL);
}

static void op_caching_create(void)
{
	struct w_caching *caching = &world.cachings[from(M_CACHINGS)];
	struct w_topic *original = w_pick_topic();
	struct w_cache *cache = w_pick_cache();
	struct w_topic *topic = w_free_topic();

	/* The library's own cache knows ids of channels only. */
	if (caching->m.used || cache == NULL || topic == NULL || original == NULL ||
	    cache == &world.caches[0])
		return;
	errno = 0;
	w_arm();
	caching->lib = stasis_caching_topic_create(original->lib, cache->lib);
	if (w_disarm() && caching->lib == NULL) {
		W_EQUAL(errno, ENOMEM);
		return;
	}
	W_TRUE(caching->lib != NULL);
	*topic = (struct w_topic){ .held = true };
	topic->lib = stasis_object_ref(stasis_caching_get_topic(caching->lib));
	topic->m.used = true;
	topic->m.name = stasis_topic_name(topic->lib);
	W_TRUE(strncmp(topic->m.name, original->m.name, strlen(original->m.name)) == 0);
	W_TRUE(strcmp(topic->m.name + strlen(original->m.name), "-cached") == 0);
	caching->m.used = true;
	caching->m.cache = &cache->m;
	caching->m.topic = &topic->m;
	m_forward(&caching->m.forward, &original->m, NULL, &caching->m);
}

static void op_caching_end(void)
{
	struct w_caching *caching = w_pick_caching();
	struct stasis_caching_topic *lib;
	bool join = from(2), again = from(2);
	bool held, ended;

	if (caching == NULL || caching == &world.cachings[0])
		return;
	lib = caching->lib;
	ended = caching->m.forward.from == NULL;
	held = ended || w_topic_of(caching->m.forward.from)->held;
	if (again)
		stasis_object_ref(lib);
	else
		caching->lib = NULL;
	errno = 0;
	W_TRUE((join ? stasis_caching_unsubscribe_and_join(lib) :
		       stasis_caching_unsubscribe(lib)) == NULL);
	if (held)
		W_EQUAL(errno, ended ? EALREADY : 0);
	m_forward_end(&caching->m.forward);
}

static void op_get(void)
{
	struct w_cache *cache = w_pick_cache();
	unsigned type = from(M_TYPES);
	const char *id = w_string();
	struct stasis_message *lib;
	struct m_entry *entry;

	if (cache == NULL || id == NULL)
		return;
	entry = m_cache_find(&cache->m, type, id);
	errno = 0;
	lib = stasis_cache_get(cache->lib, w_types[type], id);
	W_EQUAL(lib != NULL, entry != NULL);
	W_EQUAL(errno, 0);
	if (lib != NULL)
		w_check_message(entry->snapshot, lib);
	stasis_object_unref(lib);
}

static bool is_of(const struct m_message *snapshot, const struct stasis_message *lib)
{
	const struct stasis_channel_snapshot *values;

	if (snapshot->type != M_TYPE_SNAPSHOT)
		return snapshot->handle == lib;
	if (stasis_message_type(lib) != w_types[M_TYPE_SNAPSHOT])
		return false;
	values = stasis_message_data(lib);
	return strcmp(values->uniqueid, snapshot->values.uniqueid) == 0;
}

static void check_dump(const struct m_cache *cache, unsigned type,
		       struct stasis_message *const *dump, size_t n)
{
	size_t expected = 0;

	for (size_t i = 0; i < cache->n; i++) {
		const struct m_entry *entry = &cache->entries[i];
		size_t found = 0;

		if (type != M_TYPES && type != entry->type)
			continue;
		expected++;
		for (size_t j = 0; j < n; j++) {
			if (is_of(entry->snapshot, dump[j])) {
				w_check_message(entry->snapshot, dump[j]);
				found++;
			}
		}
		/* One message may be the snapshot of one entry only. */
		W_EQUAL(found, 1);
	}
	W_EQUAL(n, expected);
}

static void op_dump(void)
{
	struct w_cache *cache = w_pick_cache();
	unsigned type = from(M_TYPES + 1);
	struct stasis_message **dump;
	size_t n = 77;

	if (cache == NULL)
		return;
	errno = 0;
	w_arm();
	dump = stasis_cache_dump(cache->lib, type < M_TYPES ? w_types[type] : NULL, &n);
	if (w_disarm() && dump == NULL) {
		W_EQUAL(errno, ENOMEM);
		W_EQUAL(n, 0);
		return;
	}
	W_TRUE(dump != NULL);
	check_dump(&cache->m, type, dump, n);
	W_TRUE(stasis_cache_dump_free(dump, n) == NULL);
}

static void op_clear(void)
{
	struct w_message *message = w_pick_message();
	struct stasis_message *lib;
	struct m_message *m;

	if (message == NULL || w_free_message() == NULL)
		return;
	errno = 0;
	w_arm();
	lib = stasis_cache_clear_create(message->lib);
	if (w_disarm() && lib == NULL) {
		W_EQUAL(errno, ENOMEM);
		return;
	}
	W_TRUE(lib != NULL);
	m = m_message_new(M_TYPE_CLEAR);
	m->old = message->m;
	w_message_of(lib, m);
}

static void op_subscribe_with_state(void)
{
	struct stasis_subscribe_options options;
	struct w_caching *caching = w_pick_caching();
	struct w_sub *sub = w_free_sub();
	struct stasis_subscription *lib;

	if (sub == NULL || caching == NULL || !w_options(&options, sub, false))
		return;
	/* What does not fit is lost in no order. */
	if (sub->m.capacity != 0 && sub->m.capacity < caching->m.cache->n + 1) {
		options.capacity = sub->m.capacity = 0;
	}
	sub->m.topic = caching->m.topic;
	errno = 0;
	lib = stasis_caching_subscribe_with_state(caching->lib, w_callback, sub, &options);
	W_EQUAL(errno, sub->m.executor->closed ? ESHUTDOWN : 0);
	W_EQUAL(lib != NULL, !sub->m.executor->closed);
	if (lib == NULL)
		return;
	w_subscribed(sub, lib);
	m_state(&sub->m, caching->m.cache);
}

const w_operation op_caching[] = {
	op_cache_create, op_caching_create, op_caching_end, op_get, op_dump, op_clear,
	op_subscribe_with_state,
};
const size_t n_op_caching = sizeof(op_caching) / sizeof(op_caching[0]);
