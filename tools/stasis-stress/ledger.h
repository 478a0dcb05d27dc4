/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_LEDGER_H
#define SS_LEDGER_H

/* ledger.h — what was published, and what a subscription has been given of it
 *
 * An author publishes numbered messages: one run of numbers for each topic and kind of message, and
 * one, the turn, over all. An author is one thread at a time, or one subscription's callback.
 *
 * A view is what one subscription has seen. Checked with every message, at once: callbacks do not
 * overlap; the own "Subscribe" is first, the final message last and once; nothing comes after a
 * join; of each author turns go up, whatever the topics and the forwards between (a batch that
 * comes by several paths comes several times as a whole: within a batch a turn may come again); of
 * each author, topic and kind numbers go up by one, as long as nothing may be lost.
 *
 * Checked when a view has ended, from how far each author was before and after it began and ended
 * (marks): what was published in its time is there, what was published before or after is not; and
 * where the subscription has dropped something, exactly as much is missing as it has counted:
 *
 *   lowest <= seen + dropped <= highest
 *
 * where lowest is what was begun and completed while the subscription was there, and highest also
 * what was under way at its ends. For those that are there from before the first message to after
 * the last, the two are the same.
 *
 * What can be stated exactly depends on the view:
 *   one path, or distinct   every number of what is accepted all the time, without a gap
 *   several paths           as many deliveries as messages times paths, and their order
 *   filters that change     the kinds that are accepted all the time as above, others their order
 *   something was dropped   order, and the sum above; not which. For the sum the subscription must
 *                           be selective, or the changes that it drops are counted, too
 *
 * What ends itself in its callback (visit.c: leavers) is not held against marks, as nobody outside
 * knows when it ended: its order is checked, that it has no gaps, and that there is one final
 * message; not what is missing at its ends. What a callback subscribes and unsubscribes in passing
 * (station.c: come_and_go()) has no view at all: that it is freed in the end is all that is seen
 * of it.
 *
 * Fields of a view are plain: callbacks write them, and whoever has joined reads them. A race
 * detector then checks the library's promise that this is safe.
 *
 * Threads: as said at each.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <stasis/stasis.h>

#define SS_TOPICS_MAX 48u
#define SS_KINDS 3u /* of messages; each is a message type */
#define SS_AUTHORS_MAX 1200u

/* What is published. */
struct ss_datum {
	uint64_t number; /* of this author, topic and kind */
	uint64_t turn;	 /* of this author */
	uint64_t batch;	 /* the turn of the first of its batch */
	uint64_t at_ns;	 /* when; 0: not measured */
	uint16_t author;
	uint8_t topic, kind;
	uint8_t depth; /* publishes inside callbacks that led to it */
	uint8_t form;  /* how it is carried */
	uint16_t check;
};

struct ss_count {
	/* Sequentially consistent: whoever changes what a publish reaches and then looks here, and
	 * whoever writes here and then publishes, cannot both miss the other. */
	_Atomic uint64_t begun, completed;
};

struct ss_author {
	uint64_t turn; /* the author's own */
	struct ss_count counts[SS_TOPICS_MAX][SS_KINDS];
};

/* One message of an author, not published yet; NULL: no memory. batch: 0: of its own. */
struct stasis_message *ss_datum_message(struct ss_author *author, unsigned author_index,
					unsigned topic, unsigned kind, unsigned depth,
					uint64_t ahead, uint64_t batch);

/* n messages of one topic and kind are about to be published; have been, or have not. */
void ss_author_begin(struct ss_author *author, unsigned topic, unsigned kind, uint64_t n);
void ss_author_end(struct ss_author *author, unsigned topic, unsigned kind, uint64_t n,
		   bool published);

/* The type of a kind of message; made once. */
struct stasis_message_type *ss_kind_type(unsigned kind);

/* Where a view stands in the bus: what reaches it, and how often. */
struct ss_place {
	struct ss_author *authors;
	unsigned n_authors;
	unsigned n_topics;
	const uint16_t *paths; /* per topic: how many lead from there */
};

struct ss_track {
	uint64_t first, next;
	uint64_t n;	  /* deliveries */
	uint64_t missing; /* numbers skipped in between */
};

/* How far an author was with a topic and kind. */
struct ss_mark {
	uint64_t completed_before, begun_at, completed_at, begun_after;
};

enum ss_call {
	SS_CALL_DATUM,
	SS_CALL_CHANGE,
	SS_CALL_FINAL,
	SS_CALL_OTHER, /* not to be looked at */
};

struct ss_view {
	/* const while callbacks run */
	char name[32];
	struct ss_place place;
	bool distinct;
	bool selective; /* changes of subscriptions do not come, save the final message */
	bool lossless;	/* nothing may be dropped */
	bool routed;	/* what has no route is delivered, but to nobody */
	uint8_t always; /* bits: kinds accepted all the time */
	void (*ended)(struct ss_view *view); /* after the final message; may be NULL */

	_Atomic int refs;
	_Atomic bool counted; /* among those that must get a final message */
	_Atomic int inside;   /* relaxed, and what follows: it must order nothing */
	_Atomic bool closed;
	_Atomic uint64_t progress; /* calls so far */

	/* the callbacks' own */
	uint64_t n_calls, n_data, n_finals;
	const struct ss_datum *datum; /* of the call that runs; NULL: it is something else */
	struct ss_track *tracks;      /* [author][topic][kind] */
	uint64_t *turns;	      /* per author: 1 + the last; 0: none */
	uint64_t *batches;
	_Atomic uint64_t *handled; /* relaxed: per author, 1 + the last turn whose call returned */
	struct ss_mark *marks;	   /* [author][topic][kind]; NULL: from first to last */
};

/* A view with one reference. marked: it comes or goes while others publish. */
struct ss_view *ss_view_new(const struct ss_place *place, bool marked);
struct ss_view *ss_view_ref(struct ss_view *view);
void ss_view_unref(struct ss_view *view);

/* At the beginning and the end of a callback. The view may be gone after ss_view_leave(). */
enum ss_call ss_view_enter(struct ss_view *view, struct stasis_subscription *sub,
			   struct stasis_message *message);
void ss_view_leave(struct ss_view *view, enum ss_call call);

/* Note how far everybody is: before the way to the view is made, when it is there, when it is about
 * to be ended, and when it has been. */
void ss_view_mark_before(struct ss_view *view);
void ss_view_mark_at(struct ss_view *view);
void ss_view_mark_leaving(struct ss_view *view);
void ss_view_mark_left(struct ss_view *view);

/* How many deliveries of what has been published since ss_view_mark_at() are due by now: published,
 * not under way. */
uint64_t ss_view_due(const struct ss_view *view);

/* Whoever has joined: nothing may come any more. */
void ss_view_close(struct ss_view *view);

/* The subscription is done and its callbacks seen; stats: its own, read afterwards; NULL: nobody
 * could. */
void ss_view_check(const struct ss_view *view, const struct stasis_stats *stats);

/* Subscriptions that have begun, and those that have got their final message. */
extern _Atomic uint64_t ss_views_begun, ss_views_ended;
/* Counts a view's subscription, once. Its first callback does so, too; who subscribes does not wait
 * for that, or it would not be counted in time. */
void ss_view_begun(struct ss_view *view);

/* Messages with data, and updates of caches, that callbacks have looked at; the longest that a
 * message took from publish to callback. */
extern _Atomic uint64_t ss_n_verified;
extern _Atomic uint64_t ss_latency_max_ns;

#endif
