/* SPDX-License-Identifier: BSD-2-Clause */
/* stats.c — see stats.h */

#include "stats.h"

#include <math.h>
#include <stdlib.h>

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double sb_median(double *values, size_t n)
{
	qsort(values, n, sizeof(values[0]), compare_double);
	return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void sb_sort(uint64_t *values, size_t n)
{
	qsort(values, n, sizeof(values[0]), compare_u64);
}

uint64_t sb_percentile(const uint64_t *sorted, size_t n, double p)
{
	/* Nearest rank, counted from 1; 0.9 of 10 is 9 and not a rounding error more. */
	double rank = ceil(p * (double)n - 1e-9);

	if (rank < 1)
		return sorted[0];
	return rank >= (double)n ? sorted[n - 1] : sorted[(size_t)rank - 1];
}
