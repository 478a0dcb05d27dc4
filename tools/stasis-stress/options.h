/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_OPTIONS_H
#define SS_OPTIONS_H

/* options.h — the command line */

#include <stdbool.h>
#include <stdint.h>

#include "net.h"
#include "plant.h"

#define SS_THREADS_MAX 1000u
#define SS_SHAPES_MAX 32u

struct ss_options {
	double seconds;
	uint64_t round_us;
	unsigned threads;
	uint64_t seed;
	const struct ss_shape *shapes[SS_SHAPES_MAX];
	unsigned n_shapes;
	unsigned faults; /* bits */
	double patience; /* seconds beyond its end until a round counts as hanging */
	enum ss_plant plant;
	const char *replay, *record; /* files; NULL: none */
	bool quiet, json;
};

/* Exits by itself when the options are wrong or ask for no more than information. */
void ss_options_parse(struct ss_options *options, int argc, char **argv);

#endif
