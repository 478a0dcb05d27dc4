/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_CHANNEL_H
#define STASIS_CHANNEL_H

/* stasis/channel.h — channels, and what is published about them
 *
 * Overview   A channel is one leg of a call. Whoever drives it sets its state, identities and place
 *            in the dialplan; each change publishes a snapshot, an immutable copy of all there is
 *            to know about the channel, to the channel's own topic. A forward leads from there to
 *            the topic of all channels, and a caching topic remembers the last snapshot of each.
 *
 *              create -> first snapshot -> a snapshot per change ... -> last reference -> clear
 *
 *            Several changes can be staged, and are one snapshot then. Messages about a channel
 *            that are not snapshots are blobs: a JSON object with the snapshot of one channel, or
 *            with those of several, each in a role.
 *
 *            A channel is an object: stasis_object_ref() and stasis_object_unref() count it. With
 *            the last reference it is destroyed: a cache clear is published, after all snapshots,
 *            and its forward ends. Its topic lives as long as somebody subscribes to it.
 * Threads    Everything may be called from any thread at once, also inside callbacks, except that a
 *            multi-channel blob is put together by one thread. No lock is held while callbacks run.
 * Ordering   Snapshots of a channel are published in the order of its changes, whichever threads
 *            make them. One thread at a time publishes them; what others change meanwhile, and what
 *            a callback changes that it runs (STASIS_WAIT_INLINE), is left to it. So when a change
 *            returns its snapshot is published, and in the cache, unless another call for this
 *            channel was under way, by another thread or further up the stack; then it will be when
 *            that returns.
 * Memory     A change that there is no memory for fails and has not happened. What is published
 *            when a channel is destroyed is ready by then. As with every publish, a queue or the
 *            cache that needs memory, and gets none, misses what is published. The cache makes up
 *            for a snapshot with the next one; a clear that it has missed leaves the entry there.
 * JSON       stasis_message_to_json() of a snapshot, and of a blob whose type was made by
 *            stasis_channel_blob_type_create() or stasis_multi_channel_blob_type_create(), is an
 *            object. The forms are given with these functions. In all of them a byte that is not
 *            part of valid UTF-8 is replaced by U+FFFD in strings of snapshots and in roles, and a
 *            time is ISO 8601 in UTC with milliseconds: "2013-04-05T06:07:08.091+00:00".
 */

#include <stddef.h>
#include <sys/time.h>

#include "api.h"

STASIS_BEGIN_DECLS

struct json_t; /* jansson's json_t */
struct stasis_cache;
struct stasis_caching_topic;
struct stasis_channel;
struct stasis_message;
struct stasis_message_type;
struct stasis_multi_channel_blob;
struct stasis_topic;

/* Arrays and objects inside each other, at most, in the JSON of a blob: what jansson parses. */
#define STASIS_JSON_DEPTH_MAX 2048u

enum stasis_channel_state {
	STASIS_CHANNEL_DOWN = 0,	/* there and available */
	STASIS_CHANNEL_RESERVED,	/* there and reserved */
	STASIS_CHANNEL_OFFHOOK,		/* off hook */
	STASIS_CHANNEL_DIALING,		/* digits have been dialled */
	STASIS_CHANNEL_RING,		/* it calls */
	STASIS_CHANNEL_RINGING,		/* the far end is ringing */
	STASIS_CHANNEL_UP,		/* answered */
	STASIS_CHANNEL_BUSY,		/* busy */
	STASIS_CHANNEL_DIALING_OFFHOOK, /* digits have been dialled while off hook */
	STASIS_CHANNEL_PRERING,		/* a call has been detected before it rings */
};

/* All there is to know about a channel at one moment: an object, never written to. No string is
 * NULL; what is not set is empty. */
struct stasis_channel_snapshot {
	const char *uniqueid;
	const char *name;
	enum stasis_channel_state state;
	const char *caller_name;
	const char *caller_number;
	const char *connected_name;
	const char *connected_number;
	const char *accountcode;
	const char *language;
	const char *context; /* place in the dialplan: context, extension, priority */
	const char *exten;
	int priority;
	struct timeval creationtime; /* of the channel, by the wall clock */
	int hangupcause;	     /* 0: none */
};

/* The data of a channel blob: an object, never written to. */
struct stasis_channel_blob {
	struct stasis_channel_snapshot *snapshot; /* borrowed from the blob; NULL: of no channel */
	struct json_t *blob;			  /* borrowed from the blob; has a string "type" */
};

/* --- states --- */

/**
 * stasis_channel_state_name() - a state in words
 * @state:  a state
 *
 * "Down", "Rsrvd", "OffHook", "Dialing", "Ring", "Ringing", "Up", "Busy", "Dialing Offhook" or
 * "Pre-ring".
 *
 * Ownership:  the string is a constant.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the name; NULL with errno EINVAL when @state is none.
 */
STASIS_API const char *stasis_channel_state_name(enum stasis_channel_state state);

/**
 * stasis_channel_state_from_name() - find a state by its name
 * @name:    exactly as stasis_channel_state_name() gives it
 * @statep:  where to put the state
 *
 * Ownership:  borrows both.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     0; -EINVAL, and nothing is put anywhere, when there is no such state or an argument
 *             is NULL.
 */
STASIS_API int stasis_channel_state_from_name(const char *name, enum stasis_channel_state *statep);

/* --- channels --- */

/**
 * stasis_channel_create() - make a channel
 * @uniqueid:  copied; neither NULL nor empty, nor longer than STASIS_CACHE_ID_MAX. Its entry in the
 *             cache goes by it: no two channels that live at one time may have the same, which is
 *             not checked. Names its topic, too.
 * @name:      copied; neither NULL nor empty
 *
 * Publishes the first snapshot: state STASIS_CHANNEL_DOWN, created now, priority 0, the rest empty.
 *
 * Ownership:  the caller gets one reference.
 * Threads:    any thread.
 * Progress:   takes the lock that making a forward takes; then as stasis_publish().
 * Return:     the channel; NULL with errno EINVAL, ENOMEM or ELOOP (more than
 *             STASIS_FORWARD_DEPTH_MAX forwards in a row from here), and nothing is published.
 */
STASIS_API struct stasis_channel *stasis_channel_create(const char *uniqueid, const char *name);

/**
 * stasis_channel_set_state() - change the state
 * @chan:   a channel
 * @state:  the new one
 *
 * Publishes one new snapshot, unless changes are staged. What changes no value publishes none.
 *
 * Ownership:  borrows @chan. It may lose its last reference meanwhile only through a callback that
 *             this call runs.
 * Threads:    any thread, also inside callbacks.
 * Progress:   takes the channel's lock for one copy of its snapshot; then as stasis_publish(), for
 *             this change and those that come in meanwhile.
 * Return:     0; -ENOMEM, and nothing has changed; -EINVAL when @chan is NULL or @state is none.
 */
STASIS_API int stasis_channel_set_state(struct stasis_channel *chan,
					enum stasis_channel_state state);

/**
 * stasis_channel_set_caller() - change who calls
 * @chan:    a channel
 * @name:    copied; NULL: empty
 * @number:  copied; NULL: empty
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     0; -ENOMEM, and nothing has changed; -EINVAL when @chan is NULL.
 */
STASIS_API int stasis_channel_set_caller(struct stasis_channel *chan, const char *name,
					 const char *number);

/**
 * stasis_channel_set_connected() - change who it is connected to
 * @chan:    a channel
 * @name:    copied; NULL: empty
 * @number:  copied; NULL: empty
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     as stasis_channel_set_caller().
 */
STASIS_API int stasis_channel_set_connected(struct stasis_channel *chan, const char *name,
					    const char *number);

/**
 * stasis_channel_set_account() - change whose account it goes to
 * @chan:  a channel
 * @code:  copied; NULL: empty
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     as stasis_channel_set_caller().
 */
STASIS_API int stasis_channel_set_account(struct stasis_channel *chan, const char *code);

/**
 * stasis_channel_set_language() - change the language
 * @chan:      a channel
 * @language:  copied; NULL: empty
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     as stasis_channel_set_caller().
 */
STASIS_API int stasis_channel_set_language(struct stasis_channel *chan, const char *language);

/**
 * stasis_channel_set_position() - change the place in the dialplan
 * @chan:      a channel
 * @context:   copied; NULL: empty
 * @exten:     copied; NULL: empty
 * @priority:  any number
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     as stasis_channel_set_caller().
 */
STASIS_API int stasis_channel_set_position(struct stasis_channel *chan, const char *context,
					   const char *exten, int priority);

/**
 * stasis_channel_set_hangup_cause() - change why it was hung up
 * @chan:   a channel
 * @cause:  any number; 0: none
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     as stasis_channel_set_caller().
 */
STASIS_API int stasis_channel_set_hangup_cause(struct stasis_channel *chan, int cause);

/**
 * stasis_channel_stage_snapshot() - begin to stage changes
 * @chan:  a channel
 *
 * What is changed until stasis_channel_stage_snapshot_done(), by whatever thread, is published as
 * one snapshot then. Stages nest: the outermost counts. What is staged when the channel is
 * destroyed is not published.
 *
 * Ownership:  borrows @chan.
 * Threads:    any thread.
 * Progress:   takes the channel's lock for a moment.
 * Return:     0; -EINVAL when @chan is NULL.
 */
STASIS_API int stasis_channel_stage_snapshot(struct stasis_channel *chan);

/**
 * stasis_channel_stage_snapshot_done() - end it, and publish what has changed
 * @chan:  a channel
 *
 * When the outermost stage ends one snapshot is published, if there was any change, also one that
 * was taken back. It needs no memory.
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    any thread, also another than the one that has begun.
 * Progress:   takes the channel's lock for a moment; then as stasis_publish().
 * Return:     0; -EINVAL when @chan is NULL or nothing is being staged.
 */
STASIS_API int stasis_channel_stage_snapshot_done(struct stasis_channel *chan);

/**
 * stasis_channel_publish_snapshot() - publish a snapshot though nothing has changed
 * @chan:  a channel
 *
 * While changes are staged, it is published at the end of the stage.
 *
 * Ownership:  as stasis_channel_set_state().
 * Threads:    as stasis_channel_set_state().
 * Progress:   as stasis_channel_set_state().
 * Return:     0; -ENOMEM, and nothing is published; -EINVAL when @chan is NULL.
 */
STASIS_API int stasis_channel_publish_snapshot(struct stasis_channel *chan);

/**
 * stasis_channel_snapshot_create() - what a channel is like now
 * @chan:  a channel
 *
 * With what is staged, and with what another thread is about to publish. Calls without a change in
 * between may return the same snapshot.
 *
 * Ownership:  the caller gets one reference to the snapshot, an object.
 * Threads:    any thread.
 * Progress:   takes the channel's lock for a moment.
 * Return:     the snapshot; NULL with errno EINVAL when @chan is NULL.
 */
STASIS_API struct stasis_channel_snapshot *
stasis_channel_snapshot_create(struct stasis_channel *chan);

/* --- topics and types --- */

/**
 * stasis_channel_topic() - where messages about one channel are published
 * @chan:  a channel
 *
 * Ownership:  borrowed from the channel.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the topic; NULL with errno EINVAL when @chan is NULL.
 */
STASIS_API struct stasis_topic *stasis_channel_topic(struct stasis_channel *chan);

/**
 * stasis_channel_topic_all() - where the messages of all channels go
 *
 * This topic, the caching topic, its cache and the type of snapshots are one per process. All are
 * made together, by the first call for any of them or for a channel, so that whoever asks first
 * finds every snapshot in the cache.
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   wait-free, save for the first call, and for others meanwhile: they take a lock.
 * Return:     the topic; NULL with errno ENOMEM, and a later call tries again.
 */
STASIS_API struct stasis_topic *stasis_channel_topic_all(void);

/**
 * stasis_channel_topic_all_cached() - how the snapshots of all channels change
 *
 * The caching topic of stasis_channel_topic_all(): see stasis/cache.h.
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   as stasis_channel_topic_all().
 * Return:     the caching topic; NULL with errno ENOMEM, and a later call tries again.
 */
STASIS_API struct stasis_caching_topic *stasis_channel_topic_all_cached(void);

/**
 * stasis_channel_cache() - the last snapshot of every channel
 *
 * Of the type stasis_channel_snapshot_type(), by the uniqueid of the channel. Nothing but snapshots
 * is kept.
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   as stasis_channel_topic_all().
 * Return:     the cache; NULL with errno ENOMEM, and a later call tries again.
 */
STASIS_API struct stasis_cache *stasis_channel_cache(void);

/**
 * stasis_channel_snapshot_type() - the type of snapshots
 *
 * Their data is a struct stasis_channel_snapshot. JSON:
 *
 *   "type"       "stasis_channel_snapshot"
 *   "timestamp"  when the message was made
 *   "channel"    the snapshot, see stasis_channel_snapshot_to_json()
 *
 * Ownership:  borrowed; it lives as long as the process.
 * Threads:    any thread.
 * Progress:   as stasis_channel_topic_all().
 * Return:     the type; NULL with errno ENOMEM, and a later call tries again.
 */
STASIS_API struct stasis_message_type *stasis_channel_snapshot_type(void);

/**
 * stasis_channel_snapshot_to_json() - a snapshot as JSON
 * @snapshot:  a snapshot
 *
 *   "id"            uniqueid
 *   "name"          name
 *   "state"         as stasis_channel_state_name() gives it
 *   "caller"        { "name": caller_name, "number": caller_number }
 *   "connected"     { "name": connected_name, "number": connected_number }
 *   "accountcode"   accountcode
 *   "language"      language
 *   "dialplan"      { "context": context, "exten": exten, "priority": priority, an integer }
 *   "creationtime"  a time
 *   "hangupcause"   an integer
 *
 * Ownership:  borrows @snapshot; the caller gets a new JSON value (json_decref()).
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the value; NULL with errno EINVAL when @snapshot is NULL, or ENOMEM.
 */
STASIS_API struct json_t *
stasis_channel_snapshot_to_json(const struct stasis_channel_snapshot *snapshot);

/* --- blobs --- */

/**
 * stasis_channel_blob_create() - a message about a channel, with a JSON object
 * @chan:  the channel, whose snapshot of this moment is attached; NULL: none
 * @type:  what it is; stasis_channel_blob_type_create() makes types with a JSON form
 * @blob:  an object with a string as "type", no deeper than STASIS_JSON_DEPTH_MAX
 *
 * The message's data is a struct stasis_channel_blob. It has a deep copy of @blob: JSON values can
 * be changed at any time, messages cannot. Whoever wants to keep or change the blob that he finds
 * in a message makes a deep copy in turn, or keeps the message; he may read it.
 *
 * Ownership:  borrows all; the caller gets one reference to the message, to publish it.
 * Threads:    any thread; @blob must not be changed meanwhile.
 * Progress:   as the allocator; takes the channel's lock for a moment.
 * Return:     the message; NULL with errno EINVAL (@type is NULL, or @blob not such an object) or
 *             ENOMEM (@blob cannot be copied).
 */
STASIS_API struct stasis_message *stasis_channel_blob_create(struct stasis_channel *chan,
							     struct stasis_message_type *type,
							     struct json_t *blob);

/**
 * stasis_channel_blob_json_type() - the "type" of a blob
 * @blob:  the data of a channel blob
 *
 * Ownership:  the string belongs to the blob.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the string; NULL with errno EINVAL when @blob is NULL.
 */
STASIS_API const char *stasis_channel_blob_json_type(const struct stasis_channel_blob *blob);

/**
 * stasis_channel_blob_type_create() - a message type for channel blobs, with a JSON form
 * @name:  as for stasis_message_type_create()
 *
 * Only for messages of stasis_channel_blob_create(). JSON: the members of the blob, among them
 * "type", with
 *
 *   "timestamp"  when the message was made
 *   "channel"    the snapshot, see stasis_channel_snapshot_to_json(); null: none
 *
 * which take the place of members of the blob that have these names.
 *
 * Ownership:  the caller gets one reference.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the type; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_message_type *stasis_channel_blob_type_create(const char *name);

/**
 * stasis_multi_channel_blob_create() - a JSON object for several channels, each in a role
 * @blob:  an object, no deeper than STASIS_JSON_DEPTH_MAX; deeply copied, as by
 *         stasis_channel_blob_create()
 *
 * Made complete by stasis_multi_channel_blob_add_channel(), then given to stasis_message_create(),
 * then not changed any more.
 *
 * Ownership:  borrows @blob; the caller gets one reference.
 * Threads:    any thread; @blob must not be changed meanwhile.
 * Progress:   as the allocator.
 * Return:     the multi-channel blob, an object; NULL with errno EINVAL (@blob is not such an
 *             object) or ENOMEM (it cannot be copied).
 */
STASIS_API struct stasis_multi_channel_blob *stasis_multi_channel_blob_create(struct json_t *blob);

/**
 * stasis_multi_channel_blob_add_channel() - add a channel in a role
 * @blob:      a multi-channel blob that is not in a published message
 * @role:      copied; not NULL, may be empty. There may be several channels in one role.
 * @snapshot:  of the channel
 *
 * Ownership:  borrows all; the blob takes a reference of its own to @snapshot.
 * Threads:    one thread at a time for each blob, and none that reads it.
 * Progress:   as the allocator.
 * Return:     0; -ENOMEM, and nothing has changed; -EINVAL when an argument is NULL.
 */
STASIS_API int
stasis_multi_channel_blob_add_channel(struct stasis_multi_channel_blob *blob, const char *role,
				      struct stasis_channel_snapshot *snapshot);

/**
 * stasis_multi_channel_blob_get_channel() - the channel in a role
 * @blob:  a multi-channel blob
 * @role:  the role
 *
 * Ownership:  borrowed from the blob.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the snapshot that was added first with this role; NULL when there is none, or with
 *             errno EINVAL when an argument is NULL.
 */
STASIS_API struct stasis_channel_snapshot *
stasis_multi_channel_blob_get_channel(const struct stasis_multi_channel_blob *blob,
				      const char *role);

/**
 * stasis_multi_channel_blob_get_channels() - all channels in a role
 * @blob:       a multi-channel blob
 * @role:       the role
 * @snapshots:  where to put them, in the order in which they were added; may be NULL when @n is 0
 * @n:          how many there is room for
 *
 * Ownership:  the snapshots are borrowed from the blob.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     how many there are, which may be more than @n; 0 with errno EINVAL when @blob or
 *             @role is NULL, or @snapshots while @n is not 0.
 */
STASIS_API size_t
stasis_multi_channel_blob_get_channels(const struct stasis_multi_channel_blob *blob,
				       const char *role, struct stasis_channel_snapshot **snapshots,
				       size_t n);

/**
 * stasis_multi_channel_blob_get_json() - the JSON object
 * @blob:  a multi-channel blob
 *
 * Ownership:  borrowed from the blob; not to be changed.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the object; NULL with errno EINVAL when @blob is NULL.
 */
STASIS_API struct json_t *
stasis_multi_channel_blob_get_json(const struct stasis_multi_channel_blob *blob);

/**
 * stasis_multi_channel_blob_type_create() - a type for multi-channel blobs, with a JSON form
 * @name:  as for stasis_message_type_create()
 *
 * Only for messages whose data is a multi-channel blob. JSON: the members of the blob with
 *
 *   "type"       the blob's own, if it has one; else @name
 *   "timestamp"  when the message was made
 *   "channels"   an object: for each role an array of snapshots, in the order in which they were
 *                added, see stasis_channel_snapshot_to_json()
 *
 * which take the place of members of the blob that have these names.
 *
 * Ownership:  the caller gets one reference.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the type; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_message_type *stasis_multi_channel_blob_type_create(const char *name);

STASIS_END_DECLS

#endif
