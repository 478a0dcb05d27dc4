/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_SYNC_H
#define STI_BUS_SYNC_H

/* bus/sync.h — a request to be told when a message has been handled
 *
 * It goes through the subscription's queue in the message's place, or past it if that is idle, so
 * that it is handled in its turn and whoever asked knows exactly when. It has two references: that
 * of the queue, or of who carries it, and his who waits, who may give up before it is handled.
 *
 * Edges
 *   R1  store-release state  finish -> A1  what the callback did
 *   A1  load-acquire state   wait   <- R1
 */

#include "bus/subscription.h"

struct sti_pending;

/* Handles the request in place of a message: calls back, and tells. item as it was in the queue, or
 * carried. */
void sti_sync_deliver(struct stasis_subscription *sub, void *item);

/* It was taken out of the queue to make room. */
void sti_sync_evicted(struct sti_pending *pending, void *item);

#endif
