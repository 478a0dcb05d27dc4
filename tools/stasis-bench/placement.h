/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_PLACEMENT_H
#define SB_PLACEMENT_H

/* placement.h — how far apart are the two CPUs?
 *
 * On a virtual machine two CPUs are at times two hyperthreads of one core and at times two cores,
 * and it may change while a benchmark runs. Figures differ by a factor of three between the two, so
 * every run is put between two measurements of the time that a cache line takes from the first CPU
 * to the second and back, and runs are compared only with runs of the same placement.
 */

enum sb_placement {
	SB_PLACEMENT_TWO_CORES, /* SB_ROUND_TRIP_CORE_NS and more, before and after */
	SB_PLACEMENT_ONE_CORE,	/* less, before and after */
	SB_PLACEMENT_MIXED,	/* it changed */
	SB_PLACEMENT_ONE_CPU,	/* there is only one */
	SB_PLACEMENTS,
};

#define SB_ROUND_TRIP_CORE_NS 60.0

/* Nanoseconds; 0 when there is one CPU only. Takes some 2 ms; the calling thread's affinity is all
 * CPUs afterwards. */
double sb_round_trip_ns(void);

enum sb_placement sb_placement_of(double before_ns, double after_ns);

const char *sb_placement_name(enum sb_placement placement);

#endif
