/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TOOLS_NUMBER_H
#define STASIS_TOOLS_NUMBER_H

/* number.h — a number on the command line, for all programs with argp */

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Ends the program, saying why, if arg is none, not between min and max, or not whole though it
 * should be. name: the option's. */
static inline double parse_number(struct argp_state *state, const char *name, const char *arg,
				  double min, double max, bool whole)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(arg, &end);
	if (end == arg || *end != '\0' || errno != 0 || isnan(value))
		argp_error(state, "--%s: \"%s\" is not a number", name, arg);
	if (value < min || value > max)
		argp_error(state, "--%s: %s is not between %g and %.10g", name, arg, min, max);
	if (whole && floor(value) < value)
		argp_error(state, "--%s: %s is not a whole number", name, arg);
	return value;
}

#endif
