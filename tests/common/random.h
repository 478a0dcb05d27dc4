/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_RANDOM_H
#define STASIS_TESTS_RANDOM_H

/* random.h — pseudo-random numbers that a seed decides */

#include <stdint.h>

/* The next number; the state must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
	/* xorshift64* */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * UINT64_C(0x2545F4914F6CDD1D)) >> 16;
}

/* One of 0 to n - 1. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return random_next(state) % n;
}

/* A state, from a seed and a number. */
static inline uint64_t random_seed(uint64_t seed, uint64_t number)
{
	/* splitmix64: neighbours become strangers. */
	uint64_t z = seed * UINT64_C(1000003) + (number + 1) * UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	z ^= z >> 31;
	return z != 0 ? z : 1;
}

#endif
