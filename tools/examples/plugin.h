/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_PLUGIN_H
#define EXAMPLES_PLUGIN_H

/* plugin.h — what plugin-host finds in a module. No word of libstasis: that is the module's. */

struct plugin {
	const char *name;

	/* 0 or -errno. */
	int (*start)(void);

	/* After start: sends this many numbers through the module; their sum, or -errno. */
	long long (*run)(unsigned n);

	/* After start, once: when it returns, no code of the module is running, or will. */
	void (*stop)(void);
};

/* The one symbol of a module. */
#define PLUGIN_SYMBOL "plugin"

extern const struct plugin plugin;

#endif
