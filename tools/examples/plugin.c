/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.c — a module that uses libstasis inside, and can be unloaded
 *
 * A module may be unloaded when nothing of the process can call into it any more. What libstasis
 * calls are callbacks, and the release functions of messages and objects. So stop() ends each
 * subscription and waits for its final message, and shuts the module's executor down, which waits
 * for the workers to have dropped their references. A module that shares an executor with others,
 * the default one for instance, drains it instead.
 *
 * libstasis itself stays loaded, whoever unloads what, because it has a thread of its own.
 */

#include "plugin.h"

#include <errno.h>
#include <stddef.h>

#include <stasis/stasis.h>

static struct {
	struct stasis_executor *executor;
	struct stasis_message_type *type;
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	long long sum; /* the callback's; others look when it is at rest */
} module;

static void on_number(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		      struct stasis_message *message)
{
	if (stasis_message_type(message) == module.type)
		module.sum += *(const unsigned *)stasis_message_data(message);
}

/* Takes what start() has left half done, too: everything here accepts NULL. */
static void module_stop(void)
{
	module.sub = stasis_unsubscribe_and_join(module.sub);
	module.executor = stasis_executor_shutdown(module.executor);
	module.topic = stasis_object_unref(module.topic);
	module.type = stasis_object_unref(module.type);
}

static int module_start(void)
{
	struct stasis_executor_options executor_options = {
		.size = sizeof(executor_options),
		.threads = 1,
		.name = "plugin",
	};
	struct stasis_subscribe_options options = { .size = sizeof(options) };
	int error;

	module.sum = 0;
	module.executor = stasis_executor_create(&executor_options);
	module.type = stasis_message_type_create("number");
	module.topic = stasis_topic_create("numbers");
	options.executor = module.executor;
	/* Without an executor of its own it would run on the default one. */
	if (module.executor != NULL)
		module.sub = stasis_subscribe_with(module.topic, on_number, NULL, &options);
	if (module.type != NULL && module.sub != NULL)
		return 0;
	error = -errno;
	module_stop();
	return error;
}

static long long module_run(unsigned n)
{
	long long before = module.sum;
	int result = 0;

	for (unsigned i = 1; i <= n && result == 0; i++)
		result = stasis_publish_take(
			module.topic, stasis_message_create_inline(module.type, &i, sizeof(i)));
	if (result >= 0) {
		int drained = stasis_executor_drain(module.executor);

		result = drained != 0 ? drained : result;
	}
	/* Somebody did not take it: memory has run out. */
	if (result > 0)
		result = -ENOMEM;
	return result != 0 ? result : module.sum - before;
}

const struct plugin plugin = {
	.name = "numbers",
	.start = module_start,
	.run = module_run,
	.stop = module_stop,
};
