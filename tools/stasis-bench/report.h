/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_REPORT_H
#define SB_REPORT_H

/* report.h — the results for people and for programs */

#include <stdio.h>

#include "machine.h"
#include "options.h"
#include "results.h"

void sb_report_table(FILE *stream, const struct sb_options *options,
		     const struct sb_machine *machine, const struct sb_results *results);

/* Opens path for writing, so that a mistake is found before the measurements; what is in it stays
 * until sb_report_json(). A file descriptor or -errno. */
int sb_report_json_open(const char *path);

/* Writes everything to fd and closes it. 0 or -errno. */
int sb_report_json(int fd, const struct sb_options *options, const struct sb_machine *machine,
		   const struct sb_results *results);

#endif
