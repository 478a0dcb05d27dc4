/* SPDX-License-Identifier: BSD-2-Clause */
/* callback.c — callbacks that behave badly
 *
 * Arguments: which station (modulo how many there are), what its next callback does (enum
 * ss_mischief), for how many microseconds it sleeps.
 */

#include "../station.h"
#include "faults.h"
#include "random.h"

#define LONG_US 1500000u
#define SHORT_US 5000u

static void draw(uint64_t *random, uint64_t *args)
{
	args[0] = random_below(random, SS_STATIONS_MAX);
	args[1] = 1 + random_below(random, SS_MISCHIEF_COME_AND_GO);
	args[2] = random_below(random, 60) == 0 ? random_below(random, LONG_US) :
						  random_below(random, SHORT_US);
}

static void inject(struct ss_net *net, const uint64_t *args)
{
	ss_station_disturb(&net->stations[args[0] % net->n_stations], (enum ss_mischief)args[1],
			   args[2]);
}

const struct ss_fault ss_fault_callback = {
	.name = "callback",
	.doc = "Callbacks that sleep, up to seconds, publish into their own topic, publish "
	       "synchronously, subscribe and unsubscribe.",
	.interval_us = 10000,
	.args_max = { SS_STATIONS_MAX, SS_MISCHIEF_COME_AND_GO, LONG_US },
	.draw = draw,
	.inject = inject,
};
