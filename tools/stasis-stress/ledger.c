/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger.c — what is published, and looking at what comes. See ledger.h. */

#include "ledger.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "memory.h"
#include "plant.h"

/* How a datum is carried. */
enum {
	FORM_INLINE,
	FORM_OBJECT,
	FORM_FOREIGN,
	FORM_N
};

/* Every so manyth of an author's messages has the time in it. */
#define TIMED 16u

_Atomic uint64_t ss_views_begun, ss_views_ended;
_Atomic uint64_t ss_n_verified;
_Atomic uint64_t ss_latency_max_ns;

static struct stasis_message_type *kind_types[SS_KINDS];
static pthread_once_t kinds_once = PTHREAD_ONCE_INIT;

static void make_kinds(void)
{
	for (unsigned i = 0; i < SS_KINDS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "kind-%u", i);
		kind_types[i] = stasis_message_type_create(name);
		if (kind_types[i] == NULL)
			ss_die("no memory for a type");
	}
}

struct stasis_message_type *ss_kind_type(unsigned kind)
{
	pthread_once(&kinds_once, make_kinds);
	return kind_types[kind];
}

/* --- authors --- */

static uint16_t checksum(const struct ss_datum *datum)
{
	uint64_t sum = datum->number * 31 + datum->turn * 131 + datum->batch * 13 + datum->at_ns +
		       datum->author * 7u + datum->topic * 3u + datum->kind + datum->form;

	return (uint16_t)(sum ^ sum >> 16 ^ sum >> 32);
}

static void release_data(void *data)
{
	struct ss_datum *datum = data;

	ss_check(datum->check == checksum(datum), "memory: a message's data has changed");
	datum->check ^= 0xdead;
	ss_memory_data_freed();
	if (datum->form == FORM_FOREIGN)
		ss_free(datum);
}

struct stasis_message *ss_datum_message(struct ss_author *author, unsigned author_index,
					unsigned topic, unsigned kind, unsigned depth,
					uint64_t ahead, uint64_t batch)
{
	/* Only the author writes. */
	uint64_t number = atomic_load(&author->counts[topic][kind].begun) + ahead;
	uint64_t turn = author->turn + ahead;
	struct ss_datum datum = {
		.number = number,
		.turn = turn,
		.batch = batch,
		.at_ns = turn % TIMED == 0 ? ss_now_ns() : 0,
		.author = (uint16_t)author_index,
		.topic = (uint8_t)topic,
		.kind = (uint8_t)kind,
		.depth = (uint8_t)depth,
		.form = turn % 13 == 0 ? FORM_FOREIGN :
			turn % 11 == 0 ? FORM_OBJECT :
					 FORM_INLINE,
	};
	struct stasis_message_type *type = ss_kind_type(kind);
	struct stasis_message *message;
	void *data;

	datum.check = checksum(&datum);
	if (datum.form == FORM_INLINE)
		return stasis_message_create_inline(type, &datum, sizeof(datum));
	data = datum.form == FORM_FOREIGN ? ss_alloc(sizeof(datum)) :
					    stasis_object_alloc(sizeof(datum), release_data);
	if (data == NULL)
		return NULL;
	memcpy(data, &datum, sizeof(datum));
	ss_memory_data_made();
	if (datum.form == FORM_OBJECT) {
		message = stasis_message_create(type, data);
		stasis_object_unref(data);
		return message;
	}
	message = stasis_message_create_foreign(type, data, release_data);
	if (message == NULL)
		release_data(data);
	return message;
}

void ss_author_begin(struct ss_author *author, unsigned topic, unsigned kind, uint64_t n)
{
	author->turn += n;
	atomic_fetch_add(&author->counts[topic][kind].begun, n);
}

void ss_author_end(struct ss_author *author, unsigned topic, unsigned kind, uint64_t n,
		   bool published)
{
	if (published) {
		atomic_fetch_add(&author->counts[topic][kind].completed, n);
		return;
	}
	/* The numbers are used again, the turns are not: turns need not be without gaps. */
	atomic_fetch_sub(&author->counts[topic][kind].begun, n);
}

/* --- views --- */

static size_t n_tracks(const struct ss_place *place)
{
	return (size_t)place->n_authors * place->n_topics * SS_KINDS;
}

struct ss_view *ss_view_new(const struct ss_place *place, bool marked)
{
	struct ss_view *view = ss_alloc(sizeof(*view));

	view->place = *place;
	view->always = (1u << SS_KINDS) - 1;
	view->tracks = ss_alloc(n_tracks(place) * sizeof(*view->tracks));
	view->turns = ss_alloc(place->n_authors * sizeof(*view->turns));
	view->batches = ss_alloc(place->n_authors * sizeof(*view->batches));
	view->handled = ss_alloc(place->n_authors * sizeof(*view->handled));
	if (marked)
		view->marks = ss_alloc(n_tracks(place) * sizeof(*view->marks));
	atomic_init(&view->refs, 1);
	return view;
}

struct ss_view *ss_view_ref(struct ss_view *view)
{
	atomic_fetch_add(&view->refs, 1);
	return view;
}

void ss_view_unref(struct ss_view *view)
{
	if (view == NULL || atomic_fetch_sub(&view->refs, 1) > 1)
		return;
	ss_free(view->tracks);
	ss_free(view->turns);
	ss_free(view->batches);
	ss_free(view->handled);
	ss_free(view->marks);
	ss_free(view);
}

void ss_view_begun(struct ss_view *view)
{
	if (!atomic_exchange(&view->counted, true))
		atomic_fetch_add(&ss_views_begun, 1);
}

static void note_latency(uint64_t at_ns)
{
	uint64_t now = ss_now_ns();
	uint64_t latency = now > at_ns ? now - at_ns : 0;
	uint64_t max = atomic_load_explicit(&ss_latency_max_ns, memory_order_relaxed);

	while (latency > max && !atomic_compare_exchange_weak(&ss_latency_max_ns, &max, latency)) {
	}
}

/* One author's messages come in his order, whatever the topics. */
static void see_turn(struct ss_view *view, const struct ss_datum *datum)
{
	uint64_t *last = &view->turns[datum->author];
	uint64_t turn = datum->turn + 1;

	if (turn <= *last)
		ss_check(!view->distinct && view->batches[datum->author] == datum->batch + 1,
			 "order: %s: author %u: turn %llu after %llu", view->name, datum->author,
			 (unsigned long long)turn - 1, (unsigned long long)*last - 1);
	*last = turn;
	view->batches[datum->author] = datum->batch + 1;
}

static void see_number(struct ss_view *view, const struct ss_datum *datum, unsigned paths)
{
	const struct ss_place *place = &view->place;
	struct ss_track *track =
		&view->tracks[((size_t)datum->author * place->n_topics + datum->topic) * SS_KINDS +
			      datum->kind];
	unsigned long long number = datum->number, next = track->next;

	if (track->n++ == 0) {
		track->first = datum->number;
		ss_check(!view->lossless || view->marks != NULL || number == 0 ||
				 !(view->always & (1u << datum->kind)) || paths > 1,
			 "loss: %s: author %u, topic %u: begins with %llu", view->name,
			 datum->author, datum->topic, number);
		track->missing = datum->number; /* counts for those that are there from the first */
	} else if (paths == 1) {
		ss_check(number >= next, "order: %s: author %u, topic %u: %llu after %llu",
			 view->name, datum->author, datum->topic, number, next - 1);
		ss_check(number <= next || !view->lossless || !(view->always & (1u << datum->kind)),
			 "loss: %s: author %u, topic %u: %llu after %llu", view->name,
			 datum->author, datum->topic, number, next - 1);
		track->missing += number > next ? number - next : 0;
	}
	if (number + 1 > next)
		track->next = datum->number + 1;
}

static void see_datum(struct ss_view *view, const struct ss_datum *datum)
{
	const struct ss_place *place = &view->place;
	struct ss_datum changed;
	unsigned paths;

	changed = *datum;
	if (ss_plant_now(SS_PLANT_MEMORY))
		changed.number++;
	if (changed.check != checksum(&changed) || datum->author >= place->n_authors ||
	    datum->topic >= place->n_topics || datum->kind >= SS_KINDS) {
		ss_violation("memory: %s: a message that nobody has published", view->name);
		return;
	}
	paths = ss_plant_now(SS_PLANT_STRAY) ? 0 : place->paths[datum->topic];
	if (paths == 0) {
		ss_violation("stray: %s: a message of topic %u", view->name, datum->topic);
		return;
	}
	if (view->lossless && view->always == (1u << SS_KINDS) - 1 && ss_plant_now(SS_PLANT_LOSS))
		return;
	if (datum->turn > 0 && ss_plant_now(SS_PLANT_ORDER)) {
		changed.turn = 0;
		changed.batch = UINT64_MAX - 1;
		datum = &changed;
	}
	see_turn(view, datum);
	see_number(view, datum, view->distinct ? 1 : paths);
	view->n_data += (view->always >> datum->kind) & 1;
	/* Relaxed: a figure. */
	atomic_fetch_add_explicit(&ss_n_verified, 1, memory_order_relaxed);
	if (datum->at_ns != 0)
		note_latency(datum->at_ns);
}

static void see_change(struct ss_view *view, struct stasis_subscription *sub,
		       const struct stasis_subscription_change *change, bool final)
{
	bool own = strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0;
	bool subscribe = strcmp(change->description, "Subscribe") == 0;

	if (final)
		ss_check(own && !subscribe, "final: %s: it is another's, or a Subscribe",
			 view->name);
	else if (own)
		ss_check(subscribe && view->n_calls == 0,
			 "final: %s: its own %s as call %llu is not final", view->name,
			 change->description, (unsigned long long)view->n_calls);
	else
		ss_check(!view->selective && !ss_plant_now(SS_PLANT_FILTER),
			 "filter: %s: a change of another's", view->name);
}

/* Whoever is in this view's callback alone, goes on in it. */
static void enter(struct ss_view *view)
{
	/* Relaxed, here and below: it must order nothing. */
	if (atomic_exchange_explicit(&view->inside, 1, memory_order_relaxed) != 0)
		ss_violation("overlap: %s: two callbacks at once", view->name);
	ss_check(!atomic_load_explicit(&view->closed, memory_order_relaxed),
		 "join: %s: a callback after a join", view->name);
	ss_check(view->n_finals == 0, "final: %s: a message after the final one", view->name);
}

enum ss_call ss_view_enter(struct ss_view *view, struct stasis_subscription *sub,
			   struct stasis_message *message)
{
	bool final = stasis_subscription_final_message(sub, message) == 1;
	const struct stasis_message_type *type = stasis_message_type(message);
	enum ss_call call = final ? SS_CALL_FINAL : SS_CALL_DATUM;

	ss_view_begun(view);
	enter(view);
	if (ss_plant_now(SS_PLANT_OVERLAP))
		enter(view);
	view->datum = NULL;
	if (type == stasis_subscription_change_type()) {
		see_change(view, sub, stasis_message_data(message), final);
		call = final ? SS_CALL_FINAL : SS_CALL_CHANGE;
	} else {
		const struct ss_datum *datum = stasis_message_data(message);

		ss_check(!final, "final: %s: it is of another type", view->name);
		if (type == ss_kind_type(datum->kind % SS_KINDS)) {
			see_datum(view, datum);
			view->datum = datum;
		} else {
			ss_violation("stray: %s: a message of another type", view->name);
			call = SS_CALL_OTHER;
		}
		if (ss_plant_now(SS_PLANT_LEAK))
			stasis_object_ref(message);
	}
	view->n_calls++;
	view->n_finals += final;
	if (final && ss_plant_now(SS_PLANT_FINAL))
		view->n_finals++;
	return call;
}

void ss_view_leave(struct ss_view *view, enum ss_call call)
{
	void (*ended)(struct ss_view *) = view->ended;

	if (view->datum != NULL)
		atomic_store_explicit(&view->handled[view->datum->author], view->datum->turn + 1,
				      memory_order_relaxed);
	atomic_store_explicit(&view->progress, view->n_calls, memory_order_relaxed);
	atomic_store_explicit(&view->inside, 0, memory_order_relaxed);
	if (call != SS_CALL_FINAL)
		return;
	atomic_fetch_add(&ss_views_ended, 1);
	if (ended != NULL)
		ended(view);
}

void ss_view_close(struct ss_view *view)
{
	/* Relaxed: whoever joined knows that nothing may come. */
	atomic_store_explicit(&view->closed, true, memory_order_relaxed);
	if (ss_plant_now(SS_PLANT_JOIN))
		enter(view);
	ss_check(view->n_finals == 1, "final: %s: %llu final messages at a join", view->name,
		 (unsigned long long)view->n_finals);
}
