/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_CHANNEL_CHANNEL_H
#define STI_CHANNEL_CHANNEL_H

/* channel/channel.h — what the files of this layer share
 *
 *   snapshot.c  states, and snapshots: one allocation each, and their JSON
 *   topics.c    what there is one of per process
 *   channel.c   a channel: changing it, and publishing in order
 *   blob.c      a JSON object with the snapshot of one channel
 *   multi.c     a JSON object with the snapshots of several
 */

#include <stdbool.h>

#include <jansson.h>

#include <stasis/channel.h>

#include "base/compiler.h"

/* A snapshot, and, behind what everybody sees, its place in its channel's queue. */
struct sti_snapshot {
	/* const after init; first: its address is the snapshot's */
	struct stasis_channel_snapshot values;
	/* the channel's lock */
	struct stasis_message *message; /* still to be published; owned by the channel */
	struct sti_snapshot *next;	/* to be published after it */
	/* the strings follow */
};

/* A snapshot with these values; copies the strings. An object; NULL when there is no memory. */
struct sti_snapshot *sti_snapshot_new(const struct stasis_channel_snapshot *values);

bool sti_snapshot_equal(const struct stasis_channel_snapshot *a,
			const struct stasis_channel_snapshot *b);

/* The to_json of messages that are snapshots. */
struct json_t *sti_snapshot_message_to_json(const struct stasis_message *message);

/* What there is one of. */
struct sti_channels {
	struct stasis_message_type *type;
	struct stasis_topic *all;
	struct stasis_cache *cache;
	struct stasis_caching_topic *cached;
};

/* All of it, made if need be; NULL with errno. */
const struct sti_channels *sti_channels_get(void);

/* A copy of a blob's members and the "timestamp" of its message; NULL when there is no memory. */
json_t *sti_blob_json(const json_t *blob, const struct stasis_message *message);

#endif
