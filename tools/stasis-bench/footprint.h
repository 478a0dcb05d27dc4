/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_FOOTPRINT_H
#define SB_FOOTPRINT_H

/* footprint.h — what the library takes while it does nothing: CPU time and memory */

#include "results.h"

/* The CPU time of the whole process while an executor of the default kind has n subscriptions and
 * nothing to do. settle: seconds to wait before, in which workers give memory back and end their
 * watch over each other. */
void sb_idle_measure(unsigned threads, double settle, double seconds, struct sb_idle *idle);

/* Bytes allocated per topic, idle subscription on a topic of its own, message, and message queued
 * to a subscription whose callback does not return. As the allocator counts them. */
void sb_memory_measure(size_t payload, size_t n, struct sb_memory *memory);

#endif
