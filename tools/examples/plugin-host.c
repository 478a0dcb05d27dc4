/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin-host.c — loads a module that uses libstasis, works with it, unloads it; again and again
 *
 * The host is not linked to libstasis and knows nothing of it: the library comes with the module.
 */

#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin.h"

#define EXIT_USAGE 2
#define COUNT_MAX 1000000u

struct options {
	const char *path;
	unsigned rounds;
	unsigned numbers;
};

/* clang-format off */
static const struct argp_option argp_options[] = {
	{ "rounds", 'r', "N", 0, "Load, use and unload it this many times (5)", 0 },
	{ "numbers", 'n', "N", 0, "Send this many numbers through it each time (1000)", 0 },
	{ 0 },
};
/* clang-format on */

static unsigned parse_count(struct argp_state *state, const char *arg)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(arg, &end, 10);
	if (end == arg || *end != '\0' || errno != 0 || value < 1 || value > COUNT_MAX)
		argp_error(state, "\"%s\" is not a number from 1 to %u", arg, COUNT_MAX);
	return (unsigned)value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'r':
		options->rounds = parse_count(state, arg);
		break;
	case 'n':
		options->numbers = parse_count(state, arg);
		break;
	case ARGP_KEY_ARG:
		if (options->path != NULL)
			argp_error(state, "one module, please");
		options->path = arg;
		break;
	case ARGP_KEY_END:
		if (options->path == NULL)
			argp_error(state, "which module?");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static bool plugin_use(const struct plugin *found, unsigned n)
{
	long long expected = (long long)n * (n + 1) / 2, sum;
	int error = found->start();

	if (error != 0) {
		fprintf(stderr, "plugin-host: %s: %s\n", found->name, strerror(-error));
		return false;
	}
	sum = found->run(n);
	found->stop();
	if (sum == expected)
		return true;
	fprintf(stderr, "plugin-host: %s: the sum is %lld, not %lld\n", found->name, sum, expected);
	return false;
}

static bool plugin_round(const struct options *options)
{
	void *library = dlopen(options->path, RTLD_NOW | RTLD_LOCAL);
	const struct plugin *found;
	bool good;

	if (library == NULL) {
		fprintf(stderr, "plugin-host: %s\n", dlerror());
		return false;
	}
	found = dlsym(library, PLUGIN_SYMBOL);
	if (found == NULL)
		fprintf(stderr, "plugin-host: %s\n", dlerror());
	good = found != NULL && plugin_use(found, options->numbers);
	if (dlclose(library) != 0) {
		fprintf(stderr, "plugin-host: %s\n", dlerror());
		return false;
	}
	/* Gone: what it left running would now run into nothing. */
	library = dlopen(options->path, RTLD_NOW | RTLD_NOLOAD);
	if (library != NULL) {
		fprintf(stderr, "plugin-host: %s is still loaded\n", options->path);
		dlclose(library);
		return false;
	}
	return good;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "MODULE",
		.doc = "Loads a module, uses it, unloads it, several times.",
	};
	struct options options = { .rounds = 5, .numbers = 1000 };

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, 0, NULL, &options);
	for (unsigned i = 1; i <= options.rounds; i++) {
		if (!plugin_round(&options))
			return EXIT_FAILURE;
		printf("round %u: loaded, %u numbers, unloaded\n", i, options.numbers);
	}
	return EXIT_SUCCESS;
}
