/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_INPUT_H
#define EXAMPLES_MONITOR_INPUT_H

/* monitor/input.h — reads lines from a file, or from connections, until there are no more */

#include "monitor.h"

/* Reads what the options say, to its end or until the monitor's stop is readable. True when all
 * went well; otherwise standard error has been told what did not. */
bool input_run(struct monitor *monitor);

#endif
