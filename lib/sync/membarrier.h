/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_SYNC_MEMBARRIER_H
#define STI_SYNC_MEMBARRIER_H

/* sync/membarrier.h — a barrier in every thread of the process, at the expense of one
 *
 * Thread A stores x, then loads y, without anything that keeps the processor from doing it the
 * other way round. Thread B stores y, calls sti_membarrier(), then loads x. Either A's load sees
 * what B stored, or B's load sees what A stored: while B was in the call, A has passed a full
 * barrier, before its load or after its store.
 *
 * It interrupts the processors that run threads of this process just now, and takes microseconds.
 *
 * Threads: any, at any time.
 */

#include <stdbool.h>

/* May sti_membarrier() be used just now? Not everywhere: kernels without it, or a filter of system
 * calls, which may come late. The first call registers the process; each asks anew. */
bool sti_membarrier_is_usable(void);

/* Only where it may be used. */
void sti_membarrier(void);

#endif
