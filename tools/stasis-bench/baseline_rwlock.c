/* SPDX-License-Identifier: BSD-2-Clause */
/* baseline_rwlock.c — a cache under a lock: a hash table, and the mutex queue for its updates
 *
 * Whoever publishes takes the lock for writing, puts the snapshot into the table and the update,
 * {old, new}, into the subscriber's queue. Both under the lock, or two updates of one id could
 * change places. Snapshots and updates come from malloc() and are not time-stamped.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "engine.h"
#include "ids.h"
#include "mutex_queue.h"
#include "rwlock_table.h"

struct snapshot {
	_Atomic unsigned refs;
	alignas(16) struct sb_stamp stamp; /* and what more the payload has */
};

struct update {
	struct snapshot *old_snapshot, *new_snapshot; /* a reference to each */
	struct locked *locked;
};

struct locked {
	/* const after init */
	struct sb_run *run;
	struct rwlock_table *table; /* a reference to each snapshot */
	struct mutex_queue *queue;  /* of updates */
	pthread_t thread;	    /* with a subscriber */
	/* consumer only: new snapshot, by id; only compared */
	struct snapshot **last;
};

static void snapshot_ref(void *value)
{
	struct snapshot *snapshot = value;

	/* Relaxed: who calls has a reference, or the lock. */
	atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
}

static void snapshot_unref(struct snapshot *snapshot)
{
	/* Acquire and release: uses of it are over, for the one who frees it. */
	if (snapshot != NULL &&
	    atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) == 1)
		free(snapshot);
}

static void drop(void *data, void *value)
{
	snapshot_unref(value);
}

static void deliver(struct locked *locked, struct update *update)
{
	struct sb_subscriber *subscriber = &locked->run->subscribers[0];
	uint32_t id = sb_stamp_id(&update->new_snapshot->stamp);

	if (sti_unlikely(update->old_snapshot != locked->last[id]))
		sb_subscriber_fault(subscriber, SB_FAULT_CHAIN, 0, id);
	locked->last[id] = update->new_snapshot;
	sb_deliver(subscriber, &update->new_snapshot->stamp);
	snapshot_unref(update->old_snapshot);
	snapshot_unref(update->new_snapshot);
	free(update);
}

static void *serve(void *arg)
{
	struct locked *locked = arg;
	void **items;
	size_t n;

	while ((n = mutex_queue_take(locked->queue, &items, true)) > 0) {
		for (size_t i = 0; i < n; i++)
			deliver(locked, items[i]);
	}
	return NULL;
}

static void locked_free(struct locked *locked)
{
	if (locked->table != NULL)
		rwlock_table_each(locked->table, drop, NULL);
	rwlock_table_free(locked->table);
	mutex_queue_free(locked->queue);
	free(locked->last);
	free(locked);
}

static int locked_open(struct sb_run *run)
{
	struct locked *locked = calloc(1, sizeof(*locked));
	int error = sb_ids_make(run->topology.ids);

	if (locked == NULL)
		return -ENOMEM;
	locked->run = run;
	locked->table = rwlock_table_new(run->topology.ids);
	locked->queue = mutex_queue_new();
	locked->last = calloc(run->topology.ids, sizeof(locked->last[0]));
	if (locked->table == NULL || locked->queue == NULL || locked->last == NULL)
		error = -ENOMEM;
	if (error == 0 && run->topology.subscribers > 0) {
		sb_cpu_consumers(run->topology.publishers == 1, 1);
		error = -pthread_create(&locked->thread, NULL, serve, locked);
	}
	if (error < 0)
		locked_free(locked);
	else
		run->data = locked;
	return error;
}

static struct snapshot *snapshot_new(struct sb_publisher *publisher, uint32_t id)
{
	size_t payload = publisher->run->setup.payload;
	struct snapshot *snapshot = malloc(offsetof(struct snapshot, stamp) + payload);

	if (snapshot == NULL)
		return NULL;
	publisher->payload->sequence = publisher->sequence;
	sb_stamp_set_id(publisher->payload, id);
	/* The table's, and the update's. */
	atomic_init(&snapshot->refs, publisher->run->topology.subscribers > 0 ? 2 : 1);
	memcpy(&snapshot->stamp, publisher->payload, payload);
	return snapshot;
}

/* With the lock held: the table's reference to the old snapshot becomes the update's. */
static void announce(void *data, void *old, void *value)
{
	struct update *update = data;

	update->old_snapshot = old;
	update->new_snapshot = value;
	if (update->locked->run->topology.subscribers > 0) {
		void *item = update;

		/* Without memory the update is lost, and the count tells. */
		(void)mutex_queue_put(update->locked->queue, &item, 1);
	}
}

/* False: no memory. */
static bool put(struct sb_publisher *publisher, struct locked *locked, uint32_t id)
{
	bool subscribed = publisher->run->topology.subscribers > 0;
	struct snapshot *snapshot = snapshot_new(publisher, id);
	struct update on_stack = { .locked = locked };
	struct update *update = subscribed ? malloc(sizeof(*update)) : &on_stack;

	if (snapshot == NULL || update == NULL)
		goto fail;
	update->locked = locked;
	if (!rwlock_table_replace(locked->table, sb_ids[id], snapshot, announce, update))
		goto fail;
	if (!subscribed)
		snapshot_unref(update->old_snapshot);
	return true;

fail:
	free(snapshot);
	if (subscribed)
		free(update);
	return false;
}

static size_t locked_publish(struct sb_publisher *publisher, size_t n)
{
	struct locked *locked = publisher->run->data;
	uint32_t n_ids = publisher->run->topology.ids;
	uint32_t id = (uint32_t)(publisher->sequence % n_ids);

	for (size_t i = 0; i < n; i++) {
		if (sti_unlikely(!put(publisher, locked, id))) {
			publisher->refused++;
			return i;
		}
		publisher->sequence++;
		if (++id == n_ids)
			id = 0;
	}
	return n;
}

static bool locked_get(struct sb_run *run, uint32_t id, struct sb_stamp *stamp)
{
	const struct locked *locked = run->data;
	struct snapshot *snapshot = rwlock_table_get(locked->table, sb_ids[id], snapshot_ref);

	if (snapshot == NULL)
		return false;
	*stamp = snapshot->stamp;
	snapshot_unref(snapshot);
	return true;
}

static void locked_close(struct sb_run *run)
{
	struct locked *locked = run->data;

	mutex_queue_close(locked->queue);
	if (run->topology.subscribers > 0)
		pthread_join(locked->thread, NULL);
	locked_free(locked);
	run->data = NULL;
}

const struct sb_engine sb_engine_rwlock = {
	.name = "rwlock",
	.text = "hash table under a read-write lock, updates put under it into the queue of mutex, "
		"snapshots and updates from malloc(), one thread",
	.open = locked_open,
	.publish = locked_publish,
	.get = locked_get,
	.close = locked_close,
};
