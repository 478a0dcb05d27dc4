/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_WINDOW_H
#define SB_WINDOW_H

/* window.h — back pressure: nobody publishes further ahead than the window allows; see harness.h */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "harness.h"

/* Messages per chunk, and per step of a subscriber's acked: a power of two and a multiple of
 * SB_BATCH, such that a chunk and a step together fit into the window. */
size_t sb_window_chunk(uint64_t window);

/* Waits until n more messages may be outstanding. False: the run stops. */
bool sb_window_enter(struct sb_publisher *publisher, size_t n);

#endif
