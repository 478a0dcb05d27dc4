/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/walk.c — gathering segments. See walk.h. */

#include "bus/walk.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "bus/filter.h"
#include "bus/subscription.h"
#include "bus/topic.h"

/* Masks looked at together. */
#define BLOCK 8u

void sti_walk_init(struct sti_walk *walk, const struct stasis_message_type *type,
		   bool (*full)(struct sti_walk *walk))
{
	walk->type = type;
	walk->full = full;
	walk->room = STI_WALK_SEGMENTS;
	walk->once = false;
	walk->total = 0;
	walk->n_segments = 0;
	walk->visited = NULL;
	walk->n_visited = 0;
}

void sti_walk_deinit(struct sti_walk *walk)
{
	if (walk->visited != NULL && walk->visited != walk->visited_first)
		sti_free(walk->visited);
}

STI_INLINE bool walk_put(struct sti_walk *walk, struct sti_segment segment)
{
	walk->segments[walk->n_segments++] = segment;
	walk->total += segment.n;
	return walk->n_segments < walk->room || walk->full(walk);
}

static bool walk_add(struct sti_walk *walk, const struct sti_subscribers *subs, uint32_t i,
		     uint32_t n)
{
	return walk_put(walk, (struct sti_segment){ .subs = &subs->subs[i], .n = n });
}

/* --- topics visited before --- */

static const struct stasis_topic **visited_place(const struct sti_walk *walk,
						 const struct stasis_topic *topic)
{
	/* Topics are at least two lines apart. */
	size_t i = ((uintptr_t)topic >> 7) & walk->visited_mask;

	while (walk->visited[i] != NULL && walk->visited[i] != topic)
		i = (i + 1) & walk->visited_mask;
	return &walk->visited[i];
}

/* False: no memory. */
static bool visited_grow(struct sti_walk *walk)
{
	const struct stasis_topic **old = walk->visited;
	size_t size = old != NULL ? walk->visited_mask + 1 : 0;
	const struct stasis_topic **larger = walk->visited_first;

	if (old == NULL)
		memset(walk->visited_first, 0, sizeof(walk->visited_first));
	else
		larger = sti_alloc_zeroed(4 * size * sizeof(*larger));
	if (larger == NULL)
		return false;
	walk->visited = larger;
	walk->visited_mask = old != NULL ? 4 * size - 1 : STI_WALK_VISITED - 1;
	for (size_t i = 0; i < size; i++) {
		if (old[i] != NULL)
			*visited_place(walk, old[i]) = old[i];
	}
	if (old != walk->visited_first)
		sti_free(old);
	return true;
}

/* Has the walk been at this topic before? When there is no memory to remember it, it says no:
 * rather twice than not at all. */
static STI_COLD bool walk_revisits(struct sti_walk *walk, const struct stasis_topic *topic)
{
	if (walk->visited != NULL && *visited_place(walk, topic) == topic)
		return true;
	if ((walk->visited == NULL || walk->n_visited > walk->visited_mask / 2) &&
	    !visited_grow(walk) && walk->n_visited == walk->visited_mask)
		return false;
	*visited_place(walk, topic) = topic;
	walk->n_visited++;
	return false;
}

/* --- one topic --- */

static bool filter_accepts_at(const struct sti_walk *walk, const struct sti_subscribers *subs,
			      uint32_t i)
{
	/* The subscription first: while it is there, its filter is. */
	return sti_subscribers_at(subs, subs->n_open + i) != NULL &&
	       sti_filter_has(sti_subscribers_filters(subs)[i], walk->type);
}

static bool walk_selective(struct sti_walk *walk, const struct sti_subscribers *subs)
{
	const uint64_t *masks = sti_subscribers_masks(subs);
	uint64_t bit = sti_filter_bit(walk->type);
	uint32_t n = sti_subscribers_n_selective(subs);

	for (uint32_t i = 0; i < n; i += BLOCK) {
		uint32_t end = n - i < BLOCK ? n : i + BLOCK;
		uint64_t any = 0;

		for (uint32_t j = i; j < end; j++)
			any |= masks[j];
		if (sti_likely(!(any & bit)))
			continue;
		for (uint32_t j = i; j < end; j++) {
			if ((masks[j] & bit) && filter_accepts_at(walk, subs, j) &&
			    !walk_add(walk, subs, subs->n_open + j, 1))
				return false;
		}
	}
	return true;
}

/* All but those that have got the message before. */
static STI_COLD bool walk_again(struct sti_walk *walk, const struct sti_subscribers *subs)
{
	for (uint32_t i = 0; i < subs->n; i++) {
		const struct stasis_subscription *sub = sti_subscribers_at(subs, i);

		if (sub == NULL || sub->distinct ||
		    (i >= subs->n_open && !filter_accepts_at(walk, subs, i - subs->n_open)))
			continue;
		if (!walk_add(walk, subs, i, 1))
			return false;
	}
	return true;
}

static bool walk_here(struct sti_walk *walk, const struct stasis_topic *topic,
		      const struct sti_subscribers *subs)
{
	if (sti_unlikely(topic->tap != NULL))
		return walk_put(walk, (struct sti_segment){ .tap = topic->tap });
	if (subs->distinct && !walk->once && walk_revisits(walk, topic))
		return walk_again(walk, subs);
	if (subs->n_open > 0 && !walk_add(walk, subs, 0, subs->n_open))
		return false;
	return subs->n == subs->n_open || walk_selective(walk, subs);
}

bool sti_walk(struct sti_walk *walk, const struct stasis_topic *topic,
	      const struct sti_subscribers *subs)
{
	for (;;) {
		const struct stasis_topic *next = NULL;

		if (walk->once && walk_revisits(walk, topic))
			return true;
		if (!walk_here(walk, topic, subs))
			return false;
		for (uint32_t i = 0; i < subs->n_forwards; i++) {
			const struct stasis_topic *target = sti_subscribers_target(subs, i);

			if (target == NULL)
				continue;
			if (next != NULL &&
			    !sti_walk(walk, next, sti_subscribers_get(&next->subscribers)))
				return false;
			next = target;
		}
		if (next == NULL)
			return true;
		topic = next;
		subs = sti_subscribers_get(&next->subscribers);
	}
}
