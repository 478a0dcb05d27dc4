/* SPDX-License-Identifier: BSD-2-Clause */
/* reader.c — see reader.h */

#include "reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ids.h"

/* Gets between two looks at the run's end. */
#define GETS 64u

int sb_reader_init(struct sb_reader *reader, struct sb_run *run, unsigned index)
{
	reader->run = run;
	reader->random = index + 1;
	reader->last = calloc(run->topology.ids, sizeof(reader->last[0]));
	return reader->last != NULL ? 0 : -ENOMEM;
}

void sb_reader_deinit(struct sb_reader *reader)
{
	free(reader->last);
	reader->last = NULL;
}

/* Each as likely as any other, whatever was the last. */
static uint32_t next_id(struct sb_reader *reader)
{
	reader->random = reader->random * UINT64_C(6364136223846793005) +
			 UINT64_C(1442695040888963407);
	return (uint32_t)(((reader->random >> 32) * reader->run->topology.ids) >> 32);
}

static void get_one(struct sb_reader *reader)
{
	uint32_t id = next_id(reader);
	struct sb_stamp stamp;

	if (sti_likely(reader->run->engine->get(reader->run, id, &stamp) &&
		       sb_stamp_id(&stamp) == id && stamp.sequence >= reader->last[id])) {
		reader->last[id] = stamp.sequence;
		return;
	}
	if (reader->text[0] == '\0')
		snprintf(reader->text, sizeof(reader->text),
			 "a get of id %" PRIu32
			 " gave nothing, another id's or an older snapshot than before",
			 id);
}

void sb_reader_loop(struct sb_reader *reader)
{
	uint64_t count = 0;

	/* Relaxed: as in sb_run_aborted(). */
	while (!atomic_load_explicit(&reader->run->stop, memory_order_relaxed)) {
		for (unsigned i = 0; i < GETS; i++)
			get_one(reader);
		count += GETS;
		/* Relaxed: see sb_reader_count(). */
		atomic_store_explicit(&reader->count, count, memory_order_relaxed);
	}
}

int sb_cache_fill(struct sb_run *run)
{
	struct sb_publisher *publisher = &run->publishers[0];

	while (publisher->sequence < run->topology.ids) {
		if (run->engine->publish(publisher, run->chunk) < run->chunk)
			return -ENOMEM;
	}
	return 0;
}

/* Does it have that id, and has its publisher published none of that id after it? */
static bool is_last(const struct sb_run *run, uint32_t id, const struct sb_stamp *stamp)
{
	uint64_t published;

	if (sb_stamp_id(stamp) != id || stamp->publisher >= run->topology.publishers)
		return false;
	published = run->publishers[stamp->publisher].sequence;
	return stamp->sequence < published && stamp->sequence + run->topology.ids >= published;
}

static bool anybody_published(const struct sb_run *run, uint32_t id)
{
	for (unsigned i = 0; i < run->topology.publishers; i++) {
		if (run->publishers[i].sequence > id)
			return true;
	}
	return false;
}

bool sb_cache_failed(struct sb_run *run, char *text, size_t size)
{
	for (uint32_t id = 0; id < run->topology.ids; id++) {
		struct sb_stamp stamp;
		bool found = run->engine->get(run, id, &stamp);

		if (found != anybody_published(run, id) || (found && !is_last(run, id, &stamp))) {
			snprintf(text, size, "the cache has not the last snapshot of id %" PRIu32,
				 id);
			return true;
		}
	}
	return false;
}
