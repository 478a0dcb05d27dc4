/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_READER_H
#define SB_READER_H

/* reader.h — threads that look into a cache, and what they and the main thread check there
 *
 * A reader gets the snapshots of ids at random, as fast as it can, while publishers replace them.
 * Each must be of the id asked for, and none older than one that this reader has had before: with
 * one publisher, which is what runs with readers have, its sequence says so.
 */

#include "harness.h"

struct sb_reader {
	/* reader only; count: any thread may read */
	alignas(STI_CACHELINE) _Atomic uint64_t count;
	uint64_t random;
	uint64_t *last; /* sequence, by id */
	char text[120]; /* the first thing that was wrong; "": nothing */
	/* const after init */
	alignas(STI_CACHELINE) struct sb_run *run;
	pthread_t thread;
};

/* 0 or -ENOMEM, after which deinit is due all the same. */
int sb_reader_init(struct sb_reader *reader, struct sb_run *run, unsigned index);
void sb_reader_deinit(struct sb_reader *reader);

/* Until the run stops, with the start lock waited for. */
void sb_reader_loop(struct sb_reader *reader);

/* Publishes a snapshot of every id, on the main thread. 0 or -ENOMEM. */
int sb_cache_fill(struct sb_run *run);

/* When the publishers have ended: the cache must have, of each id, the last snapshot of one of
 * them, and nothing of an id that nobody has published. Says in text what is wrong; false: nothing
 * is. */
bool sb_cache_failed(struct sb_run *run, char *text, size_t size);

static inline uint64_t sb_reader_count(const struct sb_reader *reader)
{
	/* Relaxed: a number; the rest is read when it has ended. */
	return atomic_load_explicit(&reader->count, memory_order_relaxed);
}

#endif
