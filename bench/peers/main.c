/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — stasis-peer: one run of one engine on one workload */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cpu.h"
#include "json.h"
#include "options.h"

static void fatal(const char *what, int error)
{
	fprintf(stderr, "stasis-peer: %s: %s\n", what, strerror(error));
	exit(SP_EXIT_USAGE);
}

/* A socket of ZeroMQ's or nng's takes a descriptor or more. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* Who needs more than there are fails, and says so. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void print(json_t *json)
{
	if (json == NULL)
		fatal("the result", ENOMEM);
	if (json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) < 0 ||
	    putchar('\n') < 0 || fflush(stdout) != 0)
		fatal("standard output", EIO);
	json_decref(json);
}

int main(int argc, char **argv)
{
	struct sp_options options;
	struct sp_result result = { 0 };
	int error;

	sp_options_parse(&options, argc, argv);
	error = sb_cpu_init();
	if (error < 0)
		fatal("the process's CPUs", -error);
	if (options.list) {
		print(sp_json_list());
		return SP_EXIT_OK;
	}
	allow_many_files();
	if (sp_entry_fits(options.entry, options.workload))
		sp_measure(options.entry->peer, options.workload, &options.setup, &result);
	else
		sp_result_fail(&result, "", ENOTSUP);
	print(sp_json_result(&options, &result));
	sp_result_deinit(&result);
	return SP_EXIT_OK;
}
