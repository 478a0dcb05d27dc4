/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger_check.c — what an ended view must have seen. See ledger.h. */

#include "fail.h"
#include "ledger.h"
#include "plant.h"

typedef unsigned long long ull;

/* Calls f for everything that reaches a view. */
static void for_each(const struct ss_view *view,
		     void (*f)(struct ss_mark *mark, const struct ss_count *count))
{
	const struct ss_place *place = &view->place;
	struct ss_mark *mark = view->marks;

	for (unsigned a = 0; a < place->n_authors && mark != NULL; a++) {
		for (unsigned t = 0; t < place->n_topics; t++) {
			for (unsigned k = 0; k < SS_KINDS; k++, mark++)
				f(mark, &place->authors[a].counts[t][k]);
		}
	}
}

static void mark_before(struct ss_mark *mark, const struct ss_count *count)
{
	mark->completed_before = atomic_load(&count->completed);
}

static void mark_at(struct ss_mark *mark, const struct ss_count *count)
{
	mark->begun_at = atomic_load(&count->begun);
}

static void mark_leaving(struct ss_mark *mark, const struct ss_count *count)
{
	mark->completed_at = atomic_load(&count->completed);
}

static void mark_left(struct ss_mark *mark, const struct ss_count *count)
{
	mark->begun_after = atomic_load(&count->begun);
}

void ss_view_mark_before(struct ss_view *view)
{
	for_each(view, mark_before);
}

void ss_view_mark_at(struct ss_view *view)
{
	for_each(view, mark_at);
}

void ss_view_mark_leaving(struct ss_view *view)
{
	for_each(view, mark_leaving);
}

void ss_view_mark_left(struct ss_view *view)
{
	for_each(view, mark_left);
}

uint64_t ss_view_due(const struct ss_view *view)
{
	const struct ss_place *place = &view->place;
	const struct ss_mark *mark = view->marks;
	uint64_t due = 0;

	for (unsigned a = 0; a < place->n_authors; a++) {
		for (unsigned t = 0; t < place->n_topics; t++) {
			uint64_t paths = view->distinct ? !!place->paths[t] : place->paths[t];

			for (unsigned k = 0; k < SS_KINDS; k++, mark++) {
				uint64_t completed = atomic_load(
					&place->authors[a].counts[t][k].completed);

				if (completed > mark->begun_at)
					due += (completed - mark->begun_at) * paths;
			}
		}
	}
	return due;
}

/* One author, topic and kind, by a single path, of which nothing was dropped. */
static void check_run(const struct ss_view *view, const struct ss_track *track,
		      const struct ss_mark *mark, unsigned author, unsigned topic)
{
	if (track->n == 0) {
		ss_check(mark->begun_at >= mark->completed_at,
			 "loss: %s: author %u, topic %u: %llu to %llu are missing", view->name,
			 author, topic, (ull)mark->begun_at, (ull)mark->completed_at);
		return;
	}
	ss_check(track->first >= mark->completed_before,
		 "stray: %s: author %u, topic %u: %llu was complete before the beginning",
		 view->name, author, topic, (ull)track->first);
	ss_check(track->first <= mark->begun_at || mark->begun_at >= mark->completed_at,
		 "loss: %s: author %u, topic %u: %llu is missing at the beginning", view->name,
		 author, topic, (ull)mark->begun_at);
	ss_check(track->next >= mark->completed_at,
		 "loss: %s: author %u, topic %u: %llu is missing at the end", view->name, author,
		 topic, (ull)track->next);
	ss_check(track->next <= mark->begun_after,
		 "stray: %s: author %u, topic %u: %llu came after the end", view->name, author,
		 topic, (ull)track->next - 1);
	ss_check(track->missing == (view->marks != NULL ? track->first : 0),
		 "loss: %s: author %u, topic %u: %llu are missing in between", view->name, author,
		 topic, (ull)track->missing);
}

struct sums {
	uint64_t lowest, highest;
};

/* Goes through all that reaches a view. exact: nothing was dropped, so that each run is whole. */
static struct sums check_tracks(const struct ss_view *view, bool exact)
{
	const struct ss_place *place = &view->place;
	struct sums sums = { 0, 0 };
	size_t i = 0;

	for (unsigned a = 0; a < place->n_authors; a++) {
		for (unsigned t = 0; t < place->n_topics; t++) {
			for (unsigned k = 0; k < SS_KINDS; k++, i++) {
				const struct ss_count *count = &place->authors[a].counts[t][k];
				uint64_t paths = view->distinct ? !!place->paths[t] :
								  place->paths[t];
				struct ss_mark mark = {
					.completed_at = atomic_load(&count->completed),
					.begun_after = atomic_load(&count->begun),
				};

				if (paths == 0 || !(view->always & (1u << k)))
					continue;
				if (view->marks != NULL)
					mark = view->marks[i];
				if (mark.completed_at > mark.begun_at)
					sums.lowest += (mark.completed_at - mark.begun_at) * paths;
				sums.highest += (mark.begun_after - mark.completed_before) * paths;
				if (exact && paths == 1)
					check_run(view, &view->tracks[i], &mark, a, t);
			}
		}
	}
	return sums;
}

void ss_view_check(const struct ss_view *view, const struct stasis_stats *stats)
{
	uint64_t dropped = stats != NULL ? stats->dropped : 0;
	uint64_t delivered = stats != NULL ? stats->delivered : view->n_calls;
	struct sums sums;

	if (ss_plant_now(SS_PLANT_STATS))
		delivered--;
	ss_check(view->n_finals == 1, "final: %s: %llu final messages", view->name,
		 (ull)view->n_finals);
	ss_check(view->routed ? delivered >= view->n_calls : delivered == view->n_calls,
		 "stats: %s: %llu delivered, %llu calls seen", view->name, (ull)delivered,
		 (ull)view->n_calls);
	ss_check(stats == NULL || stats->depth == 0, "stats: %s: %llu queued at the end",
		 view->name, stats != NULL ? (ull)stats->depth : 0);
	ss_check(!view->lossless || dropped == 0, "loss: %s: %llu dropped", view->name,
		 (ull)dropped);
	sums = check_tracks(view, dropped == 0 && stats != NULL);
	if (stats == NULL)
		return;
	ss_check(view->n_data + dropped >= sums.lowest,
		 "loss: %s: %llu seen and %llu dropped of %llu", view->name, (ull)view->n_data,
		 (ull)dropped, (ull)sums.lowest);
	if (view->selective && view->always == (1u << SS_KINDS) - 1)
		ss_check(view->n_data + dropped <= sums.highest,
			 "stats: %s: %llu seen and %llu dropped of only %llu", view->name,
			 (ull)view->n_data, (ull)dropped, (ull)sums.highest);
	else
		ss_check(view->n_data <= sums.highest, "stray: %s: %llu seen of only %llu",
			 view->name, (ull)view->n_data, (ull)sums.highest);
}
