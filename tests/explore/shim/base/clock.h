/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_CLOCK_H
#define STI_BASE_CLOCK_H

/* shim/base/clock.h — in place of lib/base/clock.h: a clock on which nothing but looking at it
 * takes time, so that schedules are the same each time; see sync.c */

#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "base/compiler.h"

struct sti_clock {
	uint64_t tick;
};

uint64_t sti_clock_monotonic_ns(void);
uint64_t sti_ticks_from_ns(uint64_t ns);
uint64_t sti_ticks(void);
void sti_clock_now(struct sti_clock *clock, struct timeval *now);

#endif
