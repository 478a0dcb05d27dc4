/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_LATENCY_H
#define SB_LATENCY_H

/* latency.h — the latency workloads and their control, taking turns; see paced.h */

#include "options.h"
#include "results.h"

unsigned sb_latency_runs(const struct sb_options *options);

/* All those selected. 0 or -ENOMEM. */
int sb_latency(const struct sb_options *options, struct sb_results *results);

#endif
