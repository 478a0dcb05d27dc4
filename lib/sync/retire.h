/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_SYNC_RETIRE_H
#define STI_SYNC_RETIRE_H

/* sync/retire.h — dropping references after a grace period, many at a time
 *
 * What readers find without counting must outlive them: a reference to it is dropped when every
 * read section that had begun has ended. A call of liburcu's for each would cost more than what it
 * is for, so references are gathered: a batch that is full is given to liburcu as a whole. One that
 * is not is closed by a flush, a grace period after the first was put into it, and dropped after
 * another: so nothing waits for what may never come.
 *
 * A place is reserved first, for that can fail; putting cannot.
 *
 * Threads: everything from any thread. A batch belongs to whoever has reserved in it until he puts
 * it back; others get another one meanwhile. Legal inside read sections.
 *
 * Edges
 *   S1  exchange stripe->open (put back), then exchange armed  -- store armed, then exchange open
 *       (the flush): either the flush finds the batch, or another flush is asked for
 *   R1  exchange stripe->open (put back)       -> A1  what is in the batch
 *   A1  exchange stripe->open (reserve, flush) <- R1
 */

struct sti_retire_batch;

/* A batch with room for two references; NULL: no memory. */
struct sti_retire_batch *sti_retire_reserve(void);

/* Puts a reference to drop, or NULL, into a batch, at most once before the next. */
void sti_retire_add(struct sti_retire_batch *batch, void *obj);

/* Puts a batch back; obj: a reference to drop, or NULL. */
void sti_retire_put(struct sti_retire_batch *batch, void *obj);

#endif
