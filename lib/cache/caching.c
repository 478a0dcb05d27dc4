/* SPDX-License-Identifier: BSD-2-Clause */
/* cache/caching.c — caching topics: what leads from an original topic into a cache. See cache.h.
 *
 * Edges
 *   X1  exchange caching->forward: one of several ends it
 */

#include <errno.h>
#include <string.h>

#include <stasis/object.h>
#include <stasis/topic.h>

#include "base/alloc.h"
#include "base/process.h"
#include "cache/cache.h"
#include "sync/rcu.h"

/* --- clears --- */

static struct sti_own_type clear_type =
	STI_OWN_TYPE("stasis_cache_clear", STI_TYPE_ID_CACHE_CLEAR, NULL);

struct stasis_message_type *stasis_cache_clear_type(void)
{
	return &clear_type.type;
}

struct stasis_message *stasis_cache_clear_create(struct stasis_message *snapshot)
{
	return stasis_message_create(stasis_cache_clear_type(), snapshot);
}

/* --- the inlet --- */

static void caching_take(struct sti_tap *tap, struct stasis_message *message,
			 struct sti_delivery *delivery)
{
	struct stasis_caching_topic *caching = (struct stasis_caching_topic *)tap;

	if (sti_cache_put(caching->cache, caching->topic, message, delivery) != 0)
		delivery->refused++;
}

static void caching_release(struct sti_tap *tap)
{
	stasis_object_unref(tap);
}

/* --- life --- */

static struct stasis_forward *caching_end(struct stasis_caching_topic *caching)
{
	/* X1: whoever gets it ends it; both ends for what its maker did. */
	return atomic_exchange_explicit(&caching->forward, NULL, memory_order_acq_rel);
}

static void caching_destroy(void *obj)
{
	struct stasis_caching_topic *caching = obj;

	/* The inlet is gone, so the forward has ended: with the original topic, if not before. */
	stasis_object_unref(caching_end(caching));
	stasis_object_unref(caching->topic);
	stasis_object_unref(caching->cache);
}

/* The topic's name, of the original's. */
static struct stasis_topic *topic_named_after(const struct stasis_topic *original)
{
	static const char suffix[] = "-cached";
	size_t size = strlen(original->name);
	struct stasis_topic *topic;
	char *name = sti_alloc(size + sizeof(suffix));

	if (name == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(name, original->name, size);
	memcpy(name + size, suffix, sizeof(suffix));
	topic = stasis_topic_create(name);
	sti_free(name);
	return topic;
}

/* Lets the original topic lead to a caching topic. 0 or -errno. */
static int caching_begin(struct stasis_caching_topic *caching, struct stasis_topic *original)
{
	struct stasis_forward *forward;
	struct stasis_topic *inlet;
	int result = 0;

	stasis_object_ref(caching); /* the inlet's */
	inlet = sti_topic_new(caching->topic->name, &caching->tap);
	if (inlet == NULL)
		return -ENOMEM;
	forward = stasis_forward_all(original, inlet);
	if (forward == NULL)
		result = -errno;
	/* Before the forward can have ended: another thread may free the original now. R1 in
	 * base/object.h orders it before the end. Relaxed: the handle is handed out after it. */
	atomic_store_explicit(&caching->forward, forward, memory_order_relaxed);
	stasis_object_unref(inlet);
	return result;
}

struct stasis_caching_topic *stasis_caching_topic_create(struct stasis_topic *original,
							 struct stasis_cache *cache)
{
	struct stasis_caching_topic *caching;
	int result;

	if (original == NULL || cache == NULL) {
		errno = EINVAL;
		return NULL;
	}
	caching = sti_object_new(STI_KIND_CACHING_TOPIC, STI_MEM_HEAP, sizeof(struct sti_object),
				 sizeof(*caching), caching_destroy);
	if (caching == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	caching->tap = (struct sti_tap){ .take = caching_take, .release = caching_release };
	caching->cache = stasis_object_ref(cache);
	caching->topic = topic_named_after(original);
	sti_chain_start();
	result = caching->topic != NULL ? caching_begin(caching, original) : -ENOMEM;
	if (result != 0) {
		stasis_object_unref(caching);
		errno = -result;
		return NULL;
	}
	return caching;
}

struct stasis_topic *stasis_caching_get_topic(struct stasis_caching_topic *caching)
{
	if (caching == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return caching->topic;
}

static struct stasis_caching_topic *caching_unsubscribe(struct stasis_caching_topic *caching,
							bool join)
{
	int result = caching != NULL ? sti_process_check() : -EINVAL;
	struct stasis_forward *forward;
	int saved = errno;

	if (result != 0) {
		errno = -result;
		return NULL;
	}
	forward = caching_end(caching);
	if (forward != NULL)
		stasis_forward_cancel(forward);
	if (join)
		sti_rcu_synchronize();
	stasis_object_unref(caching);
	errno = forward != NULL ? saved : EALREADY;
	return NULL;
}

struct stasis_caching_topic *stasis_caching_unsubscribe(struct stasis_caching_topic *caching)
{
	return caching_unsubscribe(caching, false);
}

struct stasis_caching_topic *
stasis_caching_unsubscribe_and_join(struct stasis_caching_topic *caching)
{
	return caching_unsubscribe(caching, true);
}
