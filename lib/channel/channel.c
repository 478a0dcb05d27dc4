/* SPDX-License-Identifier: BSD-2-Clause */
/* channel/channel.c — a channel: changing it, and publishing its snapshots in order
 *
 * A change is made under the channel's lock: it copies the present snapshot with something changed,
 * wraps the copy in a message, and makes the message that would clear it from the cache. Only when
 * there is memory for all three does the copy become the present snapshot, and join the queue of
 * those to be published, which is linked through the snapshots themselves.
 *
 * Whoever finds nobody publishing takes the queue's first, publishes it without the lock, and so on
 * until the queue is empty; others leave what they have queued to him. So messages are published in
 * the order of the changes, and callbacks, which may run inside a publish, may change the channel:
 * that queues, and goes no deeper. While changes are staged the present snapshot is kept out of the
 * queue, and the next change replaces it, message and all.
 *
 * The clear is published by the destructor. Nobody is publishing then: who does holds a reference.
 *
 * References of a channel: the present snapshot; the clear, which holds the message of the present
 * snapshot; messages in the queue, which hold their snapshots; its topic.
 */

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <stasis/cache.h>
#include <stasis/message.h>
#include <stasis/object.h>
#include <stasis/topic.h>

#include "base/assert.h"
#include "bus/message.h"
#include "channel/channel.h"

struct stasis_channel {
	/* const after init */
	struct stasis_topic *topic;
	struct stasis_forward *forward; /* to the topic of all channels */
	/* lock */
	struct sti_snapshot *current;
	struct stasis_message *clear; /* nobody else has seen it */
	struct sti_snapshot *first, *last; /* to be published */
	size_t n_stages;
	bool staged; /* the present snapshot waits for the end of the stage */
	bool publishing;
	pthread_mutex_t lock;
};

/* --- a change --- */

/* What it takes, or what it has replaced. */
struct change {
	struct sti_snapshot *snapshot;
	struct stasis_message *message;
	struct stasis_message *clear;
};

static void change_drop(const struct change *change)
{
	stasis_object_unref(change->clear);
	stasis_object_unref(change->message);
	stasis_object_unref(change->snapshot);
}

/* Allocates all that a change to these values needs. 0 or -ENOMEM. */
static int change_make(struct change *change, const struct stasis_channel_snapshot *values)
{
	struct stasis_message_type *type = stasis_channel_snapshot_type();
	struct change made = { .snapshot = sti_snapshot_new(values) };

	if (made.snapshot != NULL)
		made.message = stasis_message_create(type, made.snapshot);
	if (made.message != NULL)
		made.clear = stasis_cache_clear_create(made.message);
	if (made.clear == NULL) {
		change_drop(&made);
		return -ENOMEM;
	}
	*change = made;
	return 0;
}

/* Makes the change, to be published, and leaves in it what it has replaced. */
static void change_apply_locked(struct stasis_channel *chan, struct change *change)
{
	struct change old = { .snapshot = chan->current, .clear = chan->clear };

	if (chan->staged) {
		old.message = old.snapshot->message;
		old.snapshot->message = NULL;
	}
	chan->current = change->snapshot;
	chan->current->message = change->message;
	chan->clear = change->clear;
	chan->staged = true;
	*change = old;
}

/* --- publishing --- */

/* Ends the stage. */
static void queue_locked(struct stasis_channel *chan)
{
	struct sti_snapshot *snapshot = chan->current;

	if (!chan->staged)
		return;
	chan->staged = false;
	snapshot->next = NULL;
	if (chan->first == NULL)
		chan->first = snapshot;
	else
		chan->last->next = snapshot;
	chan->last = snapshot;
}

/* Publishes what is queued, unless somebody does so already. Takes the lock over, and releases it.
 * The channel may be gone when this returns: a callback may drop the reference that the caller
 * counts on. */
static void publish_and_unlock(struct stasis_channel *chan)
{
	struct sti_snapshot *snapshot;

	if (chan->publishing || chan->first == NULL) {
		pthread_mutex_unlock(&chan->lock);
		return;
	}
	chan->publishing = true;
	stasis_object_ref(chan);
	while ((snapshot = chan->first) != NULL) {
		struct stasis_message *message = snapshot->message;

		snapshot->message = NULL;
		chan->first = snapshot->next;
		pthread_mutex_unlock(&chan->lock);
		stasis_publish_take(chan->topic, message);
		pthread_mutex_lock(&chan->lock);
	}
	chan->publishing = false;
	pthread_mutex_unlock(&chan->lock);
	stasis_object_unref(chan);
}

/* --- the beginning and the end --- */

static void channel_destroy(void *obj)
{
	struct stasis_channel *chan = obj;

	stasis_assert(chan->first == NULL);
	if (chan->clear != NULL) {
		sti_message_stamp(chan->clear);
		stasis_publish_take(chan->topic, chan->clear);
	}
	if (chan->staged)
		stasis_object_unref(chan->current->message);
	stasis_object_unref(chan->current);
	if (chan->forward != NULL)
		stasis_forward_cancel(chan->forward);
	stasis_object_unref(chan->topic);
	pthread_mutex_destroy(&chan->lock);
}

/* All but the first publishing. 0 or -errno; the destructor takes back what has been done. */
static int channel_init(struct stasis_channel *chan, const char *uniqueid, const char *name,
			struct stasis_topic *all)
{
	struct stasis_channel_snapshot values = {
		.uniqueid = uniqueid,
		.name = name,
		.caller_name = "",
		.caller_number = "",
		.connected_name = "",
		.connected_number = "",
		.accountcode = "",
		.language = "",
		.context = "",
		.exten = "",
	};
	struct change first;
	int result;

	gettimeofday(&values.creationtime, NULL);
	chan->topic = stasis_topic_create(uniqueid);
	if (chan->topic == NULL)
		return -errno;
	chan->forward = stasis_forward_all(chan->topic, all);
	if (chan->forward == NULL)
		return -errno;
	result = change_make(&first, &values);
	if (result == 0)
		change_apply_locked(chan, &first); /* nobody else has it */
	return result;
}

struct stasis_channel *stasis_channel_create(const char *uniqueid, const char *name)
{
	const struct sti_channels *channels;
	struct stasis_channel *chan;
	int result;

	if (uniqueid == NULL || uniqueid[0] == '\0' || name == NULL || name[0] == '\0' ||
	    strlen(uniqueid) > STASIS_CACHE_ID_MAX) {
		errno = EINVAL;
		return NULL;
	}
	channels = sti_channels_get();
	if (channels == NULL)
		return NULL;
	chan = stasis_object_alloc(sizeof(*chan), channel_destroy);
	if (chan == NULL)
		return NULL;
	pthread_mutex_init(&chan->lock, NULL);
	result = channel_init(chan, uniqueid, name, channels->all);
	if (result != 0) {
		stasis_object_unref(chan);
		errno = -result;
		return NULL;
	}
	pthread_mutex_lock(&chan->lock);
	queue_locked(chan);
	publish_and_unlock(chan);
	return chan;
}

/* --- changing --- */

/* Locks, and gives the present values, for channel_commit(). */
static void channel_begin(struct stasis_channel *chan, struct stasis_channel_snapshot *values)
{
	pthread_mutex_lock(&chan->lock);
	*values = chan->current->values;
}

/* Makes the change, unless there is none; publishes it, unless it is staged; unlocks. */
static int channel_commit(struct stasis_channel *chan, const struct stasis_channel_snapshot *values,
			  bool always)
{
	struct change change = { .snapshot = NULL };
	int result = 0;

	if (always || !sti_snapshot_equal(values, &chan->current->values))
		result = change_make(&change, values);
	if (change.snapshot != NULL) {
		change_apply_locked(chan, &change);
		if (chan->n_stages == 0)
			queue_locked(chan);
	}
	publish_and_unlock(chan);
	change_drop(&change);
	return result;
}

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

int stasis_channel_set_state(struct stasis_channel *chan, enum stasis_channel_state state)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL || (unsigned)state > STASIS_CHANNEL_PRERING)
		return -EINVAL;
	channel_begin(chan, &values);
	values.state = state;
	return channel_commit(chan, &values, false);
}

int stasis_channel_set_caller(struct stasis_channel *chan, const char *name, const char *number)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	values.caller_name = or_empty(name);
	values.caller_number = or_empty(number);
	return channel_commit(chan, &values, false);
}

int stasis_channel_set_connected(struct stasis_channel *chan, const char *name, const char *number)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	values.connected_name = or_empty(name);
	values.connected_number = or_empty(number);
	return channel_commit(chan, &values, false);
}

int stasis_channel_set_account(struct stasis_channel *chan, const char *code)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	values.accountcode = or_empty(code);
	return channel_commit(chan, &values, false);
}

int stasis_channel_set_language(struct stasis_channel *chan, const char *language)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	values.language = or_empty(language);
	return channel_commit(chan, &values, false);
}

int stasis_channel_set_position(struct stasis_channel *chan, const char *context, const char *exten,
				int priority)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	values.context = or_empty(context);
	values.exten = or_empty(exten);
	values.priority = priority;
	return channel_commit(chan, &values, false);
}

int stasis_channel_set_hangup_cause(struct stasis_channel *chan, int cause)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	values.hangupcause = cause;
	return channel_commit(chan, &values, false);
}

int stasis_channel_publish_snapshot(struct stasis_channel *chan)
{
	struct stasis_channel_snapshot values;

	if (chan == NULL)
		return -EINVAL;
	channel_begin(chan, &values);
	return channel_commit(chan, &values, true);
}

/* --- staging --- */

int stasis_channel_stage_snapshot(struct stasis_channel *chan)
{
	if (chan == NULL)
		return -EINVAL;
	pthread_mutex_lock(&chan->lock);
	chan->n_stages++;
	pthread_mutex_unlock(&chan->lock);
	return 0;
}

int stasis_channel_stage_snapshot_done(struct stasis_channel *chan)
{
	if (chan == NULL)
		return -EINVAL;
	pthread_mutex_lock(&chan->lock);
	if (chan->n_stages == 0) {
		pthread_mutex_unlock(&chan->lock);
		return -EINVAL;
	}
	if (--chan->n_stages == 0)
		queue_locked(chan);
	publish_and_unlock(chan);
	return 0;
}

/* --- asking --- */

struct stasis_channel_snapshot *stasis_channel_snapshot_create(struct stasis_channel *chan)
{
	struct sti_snapshot *snapshot;

	if (chan == NULL) {
		errno = EINVAL;
		return NULL;
	}
	pthread_mutex_lock(&chan->lock);
	snapshot = stasis_object_ref(chan->current);
	pthread_mutex_unlock(&chan->lock);
	return &snapshot->values;
}

struct stasis_topic *stasis_channel_topic(struct stasis_channel *chan)
{
	if (chan == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return chan->topic;
}
