/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_BENCH_RWLOCK_TABLE_H
#define STASIS_BENCH_RWLOCK_TABLE_H

/* rwlock_table.h — baseline: the cache that every C programmer has written once
 *
 * A hash table of chains from strings to addresses, under one read-write lock. Who replaces a value
 * announces it before the lock is let go, so that announcements come in the order of the
 * replacements. Entries stay; what they point to is the caller's.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rwlock_table;

/* For some n entries: the number of chains does not change. NULL when there is no memory. */
struct rwlock_table *rwlock_table_new(size_t n);
struct rwlock_table *rwlock_table_free(struct rwlock_table *table);

/* Any thread: puts value in the place of what id had, old, or NULL; and calls announce, unless that
 * is NULL, with the lock held for writing. The string is copied. False: no memory, no change. */
bool rwlock_table_replace(struct rwlock_table *table, const char *id, void *value,
			  void (*announce)(void *data, void *old, void *value), void *data);

/* Any thread: the value, for which ref has been called with the lock held for reading, or NULL. */
void *rwlock_table_get(struct rwlock_table *table, const char *id, void (*ref)(void *value));

/* Any thread: calls visit for all values, with the lock held for reading. */
void rwlock_table_each(struct rwlock_table *table, void (*visit)(void *data, void *value),
		       void *data);

#ifdef __cplusplus
}
#endif

#endif
