/* SPDX-License-Identifier: BSD-2-Clause */
/* model.c — see model.h */

#include "model.h"

#include <stdlib.h>
#include <string.h>

/* Where the library turns to one message at a time, which matters to all-or-nothing only: see
 * publish_run(). */
#define SEGMENTS 32u
#define REACH 4096u

bool m_puts_fail;
bool m_may_lose;
size_t m_sync_evicted;

static struct m_message *all;
static unsigned last_group;
static unsigned last_mark;

struct m_message *m_message_new(unsigned type)
{
	struct m_message *message = calloc(1, sizeof(*message));

	if (message == NULL)
		abort();
	message->type = type;
	message->chain = all;
	all = message;
	return message;
}

void m_reset(void)
{
	while (all != NULL) {
		struct m_message *next = all->chain;

		free(all);
		all = next;
	}
	last_group = 0;
}

/* --- one subscription --- */

static void append(struct m_sub *sub, const struct m_message *message, unsigned group, bool sync)
{
	if (sub->first + sub->n == sub->room) {
		if (sub->first > 0)
			memmove(sub->items, sub->items + sub->first,
				sub->n * sizeof(*sub->items));
		sub->first = 0;
		if (sub->n == sub->room) {
			sub->room = sub->room > 0 ? 2 * sub->room : 16;
			sub->items = realloc(sub->items, sub->room * sizeof(*sub->items));
			if (sub->items == NULL)
				abort();
		}
	}
	sub->items[sub->first + sub->n++] = (struct m_item){
		.message = message, .group = group, .sync = sync,
		/* A queue that is bounded has its memory. */
		.maybe = m_may_lose && (sub->capacity == 0 || sub->policy == M_BLOCK)
	};
	sub->depth++;
	sub->pushed++;
}

static void evict(struct m_sub *sub)
{
	m_sync_evicted += sub->items[sub->first].sync;
	sub->first++;
	sub->n--;
	sub->depth--;
	sub->evicted++;
}

/* A publisher looks whether the queue has become too long. */
static void look(struct m_sub *sub)
{
	if (sub->high != 0 && !sub->congested && sub->depth >= sub->high) {
		sub->congested = true;
		sub->n_crossed++;
	}
}

/* How many it does not take. */
static size_t push(struct m_sub *sub, const struct m_message *const *messages, size_t n,
		   unsigned group, bool sync)
{
	size_t refused = 0;

	if (sub->executor->closed || sub->done) {
		if (!sub->ended)
			sub->refused += n;
		return sub->ended ? 0 : n;
	}
	if (sub->policy == M_REJECT && sub->capacity != 0 && n > sub->capacity - sub->depth)
		refused = n;
	for (size_t i = 0; i < n && refused == 0; i++) {
		if (sub->capacity != 0 && sub->depth >= sub->capacity && sub->policy == M_NEWEST) {
			refused = n - i;
			break;
		}
		if (sub->capacity != 0 && sub->depth >= sub->capacity && sub->policy == M_OLDEST)
			evict(sub);
		append(sub, messages[i], group, sync);
	}
	sub->refused += refused;
	if (!sync || refused == 0)
		look(sub);
	return refused;
}

static bool accepts(const struct m_sub *sub, unsigned type)
{
	return !sub->selective || sub->accepts[type];
}

struct m_item m_take(struct m_sub *sub)
{
	struct m_item item = sub->items[sub->first++];

	sub->n--;
	sub->delivered++;
	sub->executor->delivered++;
	if (item.message->leaves && item.message->uniqueid == sub->uniqueid) {
		sub->done = true;
		sub->executor->n_subs--;
		return item;
	}
	sub->depth--;
	if (sub->congested && sub->depth <= sub->low) {
		sub->congested = false;
		sub->n_crossed++;
	}
	return item;
}

void m_sub_free(struct m_sub *sub)
{
	free(sub->items);
	memset(sub, 0, sizeof(*sub));
}

const struct m_route *m_route_of(const struct m_sub *sub, const struct m_message *message)
{
	if (message->type == M_TYPE_UPDATE && sub->updates[message->inner].set)
		return &sub->updates[message->inner];
	if (sub->own[message->type].set)
		return &sub->own[message->type];
	return sub->fallback.set ? &sub->fallback : NULL;
}

/* --- caches --- */

struct m_entry *m_cache_find(struct m_cache *cache, unsigned type, const char *id)
{
	for (size_t i = 0; i < cache->n; i++) {
		if (cache->entries[i].type == type && strcmp(cache->entries[i].id, id) == 0)
			return &cache->entries[i];
	}
	return NULL;
}

/* The id that a cache goes by; NULL: none. */
static const char *id_in(const struct m_cache *cache, const struct m_message *message)
{
	if (cache->channels)
		return message->type == M_TYPE_SNAPSHOT ? message->values.uniqueid : NULL;
	if (message->type >= M_TYPES_OWN || message->id == NULL ||
	    strlen(message->id) > M_ID_MAX)
		return NULL;
	return message->id;
}

static size_t reach_push(struct m_topic *topic, const struct m_message *message,
			 const struct m_sub *but);

const char *m_id(const struct m_cache *cache, const struct m_message *message, unsigned *typep)
{
	const struct m_message *snapshot = message->type == M_TYPE_CLEAR ? message->old : message;

	*typep = snapshot->type;
	return id_in(cache, snapshot);
}

/* A message comes to a cache. How many do not take the update. */
static size_t put(struct m_caching *caching, const struct m_message *message)
{
	bool clear = message->type == M_TYPE_CLEAR;
	const struct m_message *snapshot = clear ? message->old : message;
	struct m_cache *cache = caching->cache;
	const char *id = id_in(cache, snapshot);
	struct m_message *update;
	struct m_entry *entry;

	if (id == NULL)
		return 0;
	entry = m_cache_find(cache, snapshot->type, id);
	if (entry == NULL && clear)
		return 0;
	if (m_puts_fail)
		return 1;
	update = m_message_new(M_TYPE_UPDATE);
	update->inner = snapshot->type;
	update->old = entry != NULL ? entry->snapshot : NULL;
	update->new = clear ? NULL : snapshot;
	if (clear) {
		*entry = cache->entries[--cache->n];
	} else {
		if (entry == NULL) {
			if (cache->n == M_ENTRIES)
				abort();
			entry = &cache->entries[cache->n++];
		}
		*entry = (struct m_entry){ snapshot->type, id, snapshot };
	}
	caching->topic->published++;
	return reach_push(caching->topic, update, NULL);
}

/* --- whom a publish reaches --- */

struct reached {
	struct m_sub *sub;
	struct m_caching *tap;
	struct m_topic *at;
};

struct reaching {
	struct reached list[REACH];
	size_t n;
	unsigned n_segments;
};

static void reach_add(struct reaching *reaching, struct reached reached)
{
	if (reaching->n == REACH)
		abort();
	reaching->list[reaching->n++] = reached;
}

/* Once for each path; those that want it once, once. */
static void reach(struct reaching *reaching, struct m_topic *topic, unsigned type)
{
	bool again = topic->mark == last_mark && topic->was_distinct;
	bool open = false;

	topic->mark = last_mark;
	for (size_t i = 0; i < topic->n_subs; i++) {
		struct m_sub *sub = topic->subs[i];

		if (!accepts(sub, type) || (again && sub->distinct))
			continue;
		reach_add(reaching, (struct reached){ .sub = sub, .at = topic });
		/* Those that take everything are one segment, the others one each. */
		if (again || sub->selective || !open)
			reaching->n_segments++;
		open |= !sub->selective;
	}
	for (size_t i = 0; i < topic->n_forwards; i++) {
		struct m_forward *forward = topic->forwards[i];

		if (forward->tap != NULL) {
			reach_add(reaching, (struct reached){ .tap = forward->tap });
			reaching->n_segments++;
		} else {
			reach(reaching, forward->to, type);
		}
	}
}

static struct reaching *reach_new(struct m_topic *topic, unsigned type)
{
	struct reaching *reaching = malloc(sizeof(*reaching));

	if (reaching == NULL)
		abort();
	reaching->n = 0;
	reaching->n_segments = 0;
	last_mark++;
	reach(reaching, topic, type);
	return reaching;
}

/* Does it matter whether several messages go at once or one by one? */
static bool crosses(const struct reaching *reaching)
{
	if (reaching->n_segments >= SEGMENTS)
		return true;
	for (size_t i = 0; i < reaching->n; i++) {
		if (reaching->list[i].tap != NULL && reaching->n_segments > 1)
			return true;
		for (size_t j = 0; j < i && reaching->list[i].sub != NULL; j++) {
			if (reaching->list[j].sub == reaching->list[i].sub)
				return true;
		}
	}
	return false;
}

static size_t reached_push(const struct reaching *reaching,
			   const struct m_message *const *messages, size_t n,
			   const struct m_sub *but)
{
	size_t refused = 0;

	for (size_t i = 0; i < reaching->n; i++) {
		for (size_t j = 0; j < n && reaching->list[i].tap != NULL; j++)
			refused += put(reaching->list[i].tap, messages[j]);
	}
	for (size_t i = 0; i < reaching->n; i++) {
		struct m_sub *sub = reaching->list[i].sub;

		if (sub != NULL && sub != but)
			refused += push(sub, messages, n, 0, false);
	}
	return refused;
}

static size_t reach_push(struct m_topic *topic, const struct m_message *message,
			 const struct m_sub *but)
{
	struct reaching *reaching = reach_new(topic, message->type);
	size_t refused = reached_push(reaching, &message, 1, but);

	free(reaching);
	return refused;
}

static bool is_plain(const struct m_topic *topic)
{
	for (size_t i = 0; i < topic->n_subs; i++) {
		if (topic->subs[i]->selective)
			return false;
	}
	return topic->n_forwards == 0;
}

/* Messages of one type. */
static size_t publish_run(struct m_topic *topic, const struct m_message *const *messages, size_t n)
{
	struct reaching *reaching = reach_new(topic, messages[0]->type);
	size_t refused = 0;

	if (n > 1 && crosses(reaching)) {
		for (size_t i = 0; i < n; i++)
			refused += reach_push(topic, messages[i], NULL);
	} else {
		refused = reached_push(reaching, messages, n, NULL);
	}
	free(reaching);
	return refused;
}

size_t m_publish(struct m_topic *topic, const struct m_message *const *messages, size_t n)
{
	size_t refused = 0;

	topic->published += n;
	if (is_plain(topic)) {
		for (size_t i = 0; i < topic->n_subs; i++)
			refused += push(topic->subs[i], messages, n, 0, false);
		return refused;
	}
	while (n > 0) {
		size_t run = 1;

		while (run < n && messages[run]->type == messages[0]->type)
			run++;
		refused += publish_run(topic, messages, run);
		messages += run;
		n -= run;
	}
	return refused;
}

size_t m_publish_sync(struct m_sub *sub, const struct m_message *message, bool *ownp)
{
	size_t refused = push(sub, &message, 1, 0, true);

	*ownp = refused == 0;
	sub->topic->published++;
	return refused + reach_push(sub->topic, message, sub);
}

bool m_wants(struct m_topic *topic, unsigned type)
{
	struct reaching *reaching = reach_new(topic, type);
	bool wants = reaching->n > 0;

	free(reaching);
	return wants;
}

static size_t reach_count(struct m_topic *topic)
{
	size_t n = topic->n_subs;

	if (topic->mark == last_mark)
		return 0;
	topic->mark = last_mark;
	for (size_t i = 0; i < topic->n_forwards; i++) {
		if (topic->forwards[i]->tap == NULL)
			n += reach_count(topic->forwards[i]->to);
	}
	return n;
}

size_t m_reach(struct m_topic *topic)
{
	last_mark++;
	return reach_count(topic);
}

size_t m_taps(struct m_topic *topic, struct m_caching **tapp)
{
	size_t n = 0;

	for (size_t i = 0; i < topic->n_forwards; i++) {
		struct m_forward *forward = topic->forwards[i];

		if (forward->tap != NULL)
			*tapp = forward->tap;
		n += forward->tap != NULL ? 1 : m_taps(forward->to, tapp);
	}
	return n;
}

/* --- forwards --- */

bool m_leads_to(struct m_topic *from, const struct m_topic *to)
{
	if (from == to)
		return true;
	for (size_t i = 0; i < from->n_forwards; i++) {
		if (from->forwards[i]->tap == NULL && m_leads_to(from->forwards[i]->to, to))
			return true;
	}
	return false;
}

void m_forward(struct m_forward *forward, struct m_topic *from, struct m_topic *to,
	       struct m_caching *tap)
{
	*forward = (struct m_forward){ .from = from, .to = to, .tap = tap };
	from->forwards[from->n_forwards++] = forward;
}

void m_forward_end(struct m_forward *forward)
{
	struct m_topic *from = forward->from;

	for (size_t i = 0; from != NULL && i < from->n_forwards; i++) {
		if (from->forwards[i] == forward) {
			from->n_forwards--;
			memmove(&from->forwards[i], &from->forwards[i + 1],
				(from->n_forwards - i) * sizeof(from->forwards[0]));
			break;
		}
	}
	forward->from = NULL;
}

/* --- coming and going --- */

static struct m_message *change_new(const struct m_sub *sub, bool leaves)
{
	struct m_message *message = m_message_new(M_TYPE_CHANGE);

	message->topic = sub->topic;
	message->uniqueid = sub->uniqueid;
	message->leaves = leaves;
	return message;
}

void m_subscribe(struct m_sub *sub)
{
	const struct m_message *change = change_new(sub, false);
	bool may_lose = m_may_lose;

	/* Its own cannot be lost: without it there is no subscription. Whether the queue is too
	 * long is for the next publisher to see. */
	m_may_lose = false;
	if (accepts(sub, M_TYPE_CHANGE))
		append(sub, change, 0, false);
	m_may_lose = may_lose;
	sub->topic->subs[sub->topic->n_subs++] = sub;
	sub->topic->was_distinct |= sub->distinct;
	sub->executor->n_subs++;
	reach_push(sub->topic, change, sub);
}

void m_state(struct m_sub *sub, const struct m_cache *cache)
{
	last_group++;
	for (size_t i = 0; i < cache->n && accepts(sub, M_TYPE_UPDATE); i++) {
		struct m_message *update = m_message_new(M_TYPE_UPDATE);
		const struct m_message *message = update;

		update->inner = cache->entries[i].type;
		update->new = cache->entries[i].snapshot;
		push(sub, &message, 1, last_group, false);
	}
}

void m_unsubscribe(struct m_sub *sub)
{
	const struct m_message *change = change_new(sub, true);
	struct m_topic *topic = sub->topic;
	bool may_lose = m_may_lose;

	for (size_t i = 0; i < topic->n_subs; i++) {
		if (topic->subs[i] == sub) {
			topic->n_subs--;
			memmove(&topic->subs[i], &topic->subs[i + 1],
				(topic->n_subs - i) * sizeof(topic->subs[0]));
			break;
		}
	}
	sub->ended = true;
	reach_push(topic, change, sub);
	/* The final message is never lost, nor does it count as queued. */
	m_may_lose = false;
	append(sub, change, 0, false);
	sub->depth--;
	m_may_lose = may_lose;
}
