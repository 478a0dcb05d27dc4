/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_FUZZ_PLANT_H
#define STASIS_FUZZ_PLANT_H

/* plant.h — errors on purpose, between the library and the checks, to see that they are found
 *
 * The environment variable FUZZ_PLANT is the number of the one that a process makes.
 */

#include <stdbool.h>

extern unsigned w_planted; /* 0: none */

/* Two neighbours change places. */
#define PLANT_ORDER 1
/* A message is not seen. */
#define PLANT_LOST 2
/* The final message is not seen. */
#define PLANT_FINAL 3
/* Somebody keeps a message. */
#define PLANT_LEAK 4
/* A publish that is refused says one too few. */
#define PLANT_RESULT 5
/* A loss is not counted. */
#define PLANT_COUNT 6
/* An update is said to have no old snapshot. */
#define PLANT_UPDATE 7

static inline bool w_plants(unsigned error)
{
	return w_planted == error;
}

#endif
