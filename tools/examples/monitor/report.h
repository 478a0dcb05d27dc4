/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_REPORT_H
#define EXAMPLES_MONITOR_REPORT_H

/* monitor/report.h — what is printed at the end, from the cache of all channels
 *
 * 0 or -ENOMEM; whether the output has failed, stdio knows.
 */

#include "monitor.h"

/* The snapshot of each channel, a line of JSON each, by id. */
int report_dump(void);

/* Channels by state, and totals. The updates have to be closed. */
int report_summary(const struct monitor *monitor);

#endif
