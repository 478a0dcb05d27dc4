/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_STORE_H
#define SS_STORE_H

/* store.h — a cache in the middle of it
 *
 *   far -> things -> (caching topic) -> updates -> all
 *
 * Writers put and clear snapshots of few ids or many, at "far" or at "things". Checked at once: at
 * every subscription that loses nothing, the old snapshot of each update is the new one of the one
 * before of that id; a subscription with the state begins with nothing, so it has no gap and no
 * repeat; what a writer has put is in the cache when its publish returns, or something later; a
 * dump has nothing twice. In the end: what the last updates say is what the cache has; of every
 * subscription, updates seen and updates dropped add up to the same.
 *
 * Where memory may fail, updates may be dropped, and are counted: no more links are missing then
 * than were dropped, and the sums are not of use, for a publisher that helped another may have
 * counted one twice.
 */

#include <stdbool.h>
#include <stdint.h>

struct ss_net;
struct ss_store;

struct ss_store *ss_store_open(struct ss_net *net, uint64_t *random);

/* Nobody uses it any more: unsubscribes its subscriptions. */
void ss_store_end(struct ss_store *store);

/* Their final messages have been seen. */
void ss_store_close(struct ss_store *store);

/* One thing that a writer, reader or statist does; author: a thread's number. */
void ss_store_write(struct ss_store *store, unsigned author, uint64_t *random);
void ss_store_read(struct ss_store *store, unsigned author, uint64_t *random);
void ss_store_visit(struct ss_store *store, uint64_t *random);

/* Updates seen so far. */
uint64_t ss_store_updates(const struct ss_store *store);

#endif
