/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_MEMORY_H
#define SS_MEMORY_H

/* memory.h — the allocator under the library: counted, made to fail, and a shelter
 *
 * What a round has left is told by kind: topics, subscriptions, rings and their like by the
 * library's census, inline messages by slabs in use, the tool's own data by a balance, all else as
 * blocks.
 *
 * Threads: any, except ss_memory_init() and ss_memory_check().
 */

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Puts the allocator in place, before the library is used. patience: how many seconds to wait for
 * what must go. */
void ss_memory_init(double patience);

/* A thread between these is in an allocator, or holds a lock of the C library: it must not be
 * stopped for long. They nest. */
extern __thread volatile sig_atomic_t ss_memory_inside;

static inline void ss_memory_enter(void)
{
	ss_memory_inside = ss_memory_inside + 1;
}

static inline void ss_memory_leave(void)
{
	ss_memory_inside = ss_memory_inside - 1;
}

enum ss_memory_mode {
	SS_MEMORY_WELL,
	SS_MEMORY_RANDOM, /* one in n, at random */
	SS_MEMORY_EVERY,  /* every nth */
	SS_MEMORY_NTH,	  /* the nth from now, once */
};

/* How allocations fail from now on. */
void ss_memory_fail(enum ss_memory_mode mode, uint64_t n);

/* Allocations that failed on purpose. */
uint64_t ss_memory_failures(void);

/* This thread's allocations do not fail between these. */
void ss_memory_spare(bool spare);

/* What the tool puts into messages: made and freed must come out even. */
void ss_memory_data_made(void);
void ss_memory_data_freed(void);

/* How many messages with such data there are now: one in six or so of all there are. */
uint64_t ss_memory_data_live(void);

/* Remembers what there is now as what may stay. */
void ss_memory_mark(void);

/* Everything but that must be gone, or go within some seconds. */
void ss_memory_check(void);

#endif
