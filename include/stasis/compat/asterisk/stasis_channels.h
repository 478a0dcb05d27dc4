/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_COMPAT_STASIS_CHANNELS_H
#define STASIS_COMPAT_STASIS_CHANNELS_H

/* asterisk/stasis_channels.h — channels, their snapshots and blobs by their older names
 *
 * Overview   Each ast_ name is what stasis/channel.h calls stasis_, and documented there: the same
 *            type, or a function that calls it. The members of snapshots and blobs have the names
 *            that they have in Asterisk; of a snapshot's, there are those listed in that header.
 *            Where older code expects a function to return nothing it may return a result, which
 *            can be left alone.
 * Threads    See stasis/channel.h.
 */

#include <stddef.h>

#include "../../api.h"
#include "../../channel.h"
#include "json.h"
#include "stasis.h"

STASIS_BEGIN_DECLS

#define ast_channel stasis_channel
#define ast_channel_snapshot stasis_channel_snapshot
#define ast_channel_blob stasis_channel_blob
#define ast_multi_channel_blob stasis_multi_channel_blob

/* --- states --- */

#define ast_channel_state stasis_channel_state
#define AST_STATE_DOWN STASIS_CHANNEL_DOWN
#define AST_STATE_RESERVED STASIS_CHANNEL_RESERVED
#define AST_STATE_OFFHOOK STASIS_CHANNEL_OFFHOOK
#define AST_STATE_DIALING STASIS_CHANNEL_DIALING
#define AST_STATE_RING STASIS_CHANNEL_RING
#define AST_STATE_RINGING STASIS_CHANNEL_RINGING
#define AST_STATE_UP STASIS_CHANNEL_UP
#define AST_STATE_BUSY STASIS_CHANNEL_BUSY
#define AST_STATE_DIALING_OFFHOOK STASIS_CHANNEL_DIALING_OFFHOOK
#define AST_STATE_PRERING STASIS_CHANNEL_PRERING

/* The name of a state, "Unknown" for what is none. */
static inline const char *ast_state2str(enum ast_channel_state state)
{
	const char *name = stasis_channel_state_name(state);

	return name != NULL ? name : "Unknown";
}

/* --- topics and types: borrowed --- */

static inline struct stasis_topic *ast_channel_topic(struct ast_channel *chan)
{
	return stasis_channel_topic(chan);
}

static inline struct stasis_topic *ast_channel_topic_all(void)
{
	return stasis_channel_topic_all();
}

static inline struct stasis_caching_topic *ast_channel_topic_all_cached(void)
{
	return stasis_channel_topic_all_cached();
}

static inline struct stasis_message_type *ast_channel_snapshot_type(void)
{
	return stasis_channel_snapshot_type();
}

/* --- snapshots --- */

/* The caller gets one reference. */
static inline struct ast_channel_snapshot *ast_channel_snapshot_create(struct ast_channel *chan)
{
	return stasis_channel_snapshot_create(chan);
}

/* A new value. */
static inline struct ast_json *
ast_channel_snapshot_to_json(const struct ast_channel_snapshot *snapshot)
{
	return stasis_channel_snapshot_to_json(snapshot);
}

static inline int ast_channel_publish_snapshot(struct ast_channel *chan)
{
	return stasis_channel_publish_snapshot(chan);
}

static inline int ast_channel_stage_snapshot(struct ast_channel *chan)
{
	return stasis_channel_stage_snapshot(chan);
}

static inline int ast_channel_stage_snapshot_done(struct ast_channel *chan)
{
	return stasis_channel_stage_snapshot_done(chan);
}

/* --- blobs --- */

/* Borrows all; the caller gets one reference to the message, which has a copy of the blob. */
static inline struct stasis_message *ast_channel_blob_create(struct ast_channel *chan,
							     struct stasis_message_type *type,
							     struct ast_json *blob)
{
	return stasis_channel_blob_create(chan, type, blob);
}

/* Borrowed from the blob. */
static inline const char *ast_channel_blob_json_type(struct ast_channel_blob *blob)
{
	return stasis_channel_blob_json_type(blob);
}

/* Borrows the blob, which is copied; the caller gets one reference. */
static inline struct ast_multi_channel_blob *ast_multi_channel_blob_create(struct ast_json *blob)
{
	return stasis_multi_channel_blob_create(blob);
}

/* Borrows all; takes a reference of its own to the snapshot. */
static inline int ast_multi_channel_blob_add_channel(struct ast_multi_channel_blob *blob,
						     const char *role,
						     struct ast_channel_snapshot *snapshot)
{
	return stasis_multi_channel_blob_add_channel(blob, role, snapshot);
}

/* Borrowed from the blob. */
static inline struct ast_channel_snapshot *
ast_multi_channel_blob_get_channel(struct ast_multi_channel_blob *blob, const char *role)
{
	return stasis_multi_channel_blob_get_channel(blob, role);
}

/* Borrowed from the blob. */
static inline struct ast_json *
ast_multi_channel_blob_get_json(struct ast_multi_channel_blob *blob)
{
	return stasis_multi_channel_blob_get_json(blob);
}

STASIS_END_DECLS

#endif
