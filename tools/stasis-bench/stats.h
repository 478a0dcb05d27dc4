/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_STATS_H
#define SB_STATS_H

/* stats.h — exact order statistics: every value is kept and sorted */

#include <stddef.h>
#include <stdint.h>

/* Both sort values. n > 0. */
double sb_median(double *values, size_t n);
void sb_sort(uint64_t *values, size_t n);

/* The smallest value of sorted that at least the part p (0 to 1) of all do not exceed. n > 0. */
uint64_t sb_percentile(const uint64_t *sorted, size_t n, double p);

#endif
