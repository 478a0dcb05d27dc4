/* SPDX-License-Identifier: BSD-2-Clause */
/* test_modules.c — the order of loading and unloading, failures, and modules that come and go
 *
 * test_modules PLUGIN
 */

#include "asterisk.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "asterisk/module.h"

#include "check.h"
#include "plugin.h"

#define N_THREADS 8

/* What was called, in order. Only one thread at a time is inside a module's function. */
static char trace[256];

static void report(const char *what)
{
	CHECK(strlen(trace) + strlen(what) + 2 < sizeof(trace));
	strcat(strcat(trace, " "), what);
}

static int trace_was(const char *expected)
{
	int same = strcmp(trace, expected) == 0;

	if (!same)
		fprintf(stderr, "\"%s\" instead of \"%s\"\n", trace, expected);
	trace[0] = '\0';
	return same;
}

/* --- the modules; what they return is set by the tests --- */

static int second_declines, second_refuses, third_result;
static void (*second_hook)(void);
static _Atomic int second_up; /* its load function has returned, its unload function has not */

static int first_load(void)
{
	report("+first");
	return AST_MODULE_LOAD_SUCCESS;
}

static int first_unload(void)
{
	report("-first");
	return 0;
}

static int second_load(void)
{
	if (second_declines) {
		report("?second");
		return AST_MODULE_LOAD_DECLINE;
	}
	report("+second");
	if (second_hook)
		second_hook();
	atomic_store(&second_up, 1);
	return AST_MODULE_LOAD_SUCCESS;
}

static int second_unload(void)
{
	report(second_refuses ? "!second" : "-second");
	if (second_hook)
		second_hook();
	atomic_store(&second_up, second_refuses);
	return second_refuses;
}

static int early_load(void)
{
	report("+early");
	return AST_MODULE_LOAD_SUCCESS;
}

static int early_unload(void)
{
	report("-early");
	return 0;
}

static int third_load(void)
{
	report(third_result == 0 ? "+third" : "!third");
	return third_result;
}

static int third_unload(void)
{
	report("-third");
	return 0;
}

static int late_load(void)
{
	report("+late");
	return AST_MODULE_LOAD_SUCCESS;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER, "After all others",
	.load = late_load, .load_pri = AST_MODPRI_DEFAULT + 1);
AST_MODULE_INFO(ASTERISK_GPL_KEY, 0, "The first in order",
	.load = first_load,
	.unload = first_unload);
AST_MODULE_INFO(ASTERISK_GPL_KEY, 0, "The second in order",
	.load = second_load,
	.unload = second_unload,
	);
AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER, "Before all others",
	.load = early_load,
	.unload = early_unload,
	.load_pri = 1);
AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_DEFAULT, "The third in order",
	.load = third_load,
	.unload = third_unload);
AST_MODULE_INFO(ASTERISK_GPL_KEY, 0, "Nothing to be done", .reload = NULL);

#define ALL_LOADED " +early +first +second +third +late"
#define ALL_UNLOADED " -third -second -first -early"

static void test_order(void)
{
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(""));
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(ALL_LOADED));
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(""));
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(ALL_UNLOADED));
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(""));
}

static void test_decline(void)
{
	second_declines = 1;
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +early +first ?second +third +late"));
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" ?second"));
	second_declines = 0;
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +second"));
	/* By the order in which they were loaded, whatever the one of registration. */
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(" -second -third -first -early"));
}

static void test_failure(void)
{
	static const int results[][2] = { { AST_MODULE_LOAD_FAILURE, -1 }, { -7, -7 }, { 5, -1 } };

	for (int i = 0; i < 3; i++) {
		third_result = results[i][0];
		CHECK(ast_modules_load() == results[i][1]);
		CHECK(trace_was(" +early +first +second !third -second -first -early"));
	}
	/* What was loaded before the call that fails stays. */
	third_result = AST_MODULE_LOAD_DECLINE;
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +early +first +second !third +late"));
	third_result = AST_MODULE_LOAD_FAILURE;
	CHECK(ast_modules_load() == -1);
	CHECK(trace_was(" !third"));
	third_result = 0;
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(" -second -first -early"));
}

static void test_refusal(void)
{
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(ALL_LOADED));
	second_refuses = 1;
	CHECK(ast_modules_unload() == -1);
	CHECK(trace_was(" -third !second -first -early"));
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +early +first +third +late"));
	second_refuses = 0;
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(" -third -first -early -second"));
}

static void call_all_inside(void)
{
	CHECK(ast_modules_load() == -EDEADLK);
	CHECK(ast_modules_unload() == -EDEADLK);
}

static void test_inside(void)
{
	second_hook = call_all_inside;
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(ALL_LOADED));
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(ALL_UNLOADED));
	second_hook = NULL;
}

static int by_hand_load(void)
{
	report("+by_hand");
	return 0;
}

static int by_hand_unload(void)
{
	report("-by_hand");
	return -1;
}

static void test_arguments(void)
{
	struct stasis_compat_module module = { .size = sizeof(module),
					       .load = by_hand_load,
					       .unload = by_hand_unload };

	CHECK(stasis_compat_module_register(NULL) == -EINVAL);
	module.size = sizeof(module) - 1;
	CHECK(stasis_compat_module_register(&module) == -EINVAL);
	module.size = sizeof(module) + 1;
	CHECK(stasis_compat_module_register(&module) == -E2BIG);
	module.size = sizeof(module);
	stasis_compat_module_unregister(NULL);
	stasis_compat_module_unregister(&module);
	CHECK(stasis_compat_module_register(&module) == 0);
	CHECK(stasis_compat_module_register(&module) == -EEXIST);
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +early +first +second +third +by_hand +late"));
	/* It goes although it refuses to. */
	stasis_compat_module_unregister(&module);
	CHECK(trace_was(" -by_hand"));
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(ALL_UNLOADED));
}

/* --- modules that come and go --- */

static const char *plugin_path;
static void *plugin;

static void plugin_open(void)
{
	plugin_report_function *plugins_report;

	plugin = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
	if (plugin == NULL)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(plugin != NULL);
	plugins_report = dlsym(plugin, "plugin_report");
	CHECK(plugins_report != NULL);
	*plugins_report = report;
}

static void plugin_close(void)
{
	CHECK(dlclose(plugin) == 0);
	CHECK(dlopen(plugin_path, RTLD_NOW | RTLD_NOLOAD) == NULL);
	plugin = NULL;
}

static void plugin_open_or_close(void)
{
	if (plugin == NULL)
		plugin_open();
	else
		plugin_close();
}

static void test_plugin(void)
{
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(ALL_LOADED));
	plugin_open();
	CHECK(trace_was(""));
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +plugin"));
	plugin_close();
	CHECK(trace_was(" -plugin"));
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(""));

	plugin_open();
	plugin_close();
	CHECK(trace_was(""));

	plugin_open();
	CHECK(ast_modules_load() == 0);
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(" +plugin -plugin" ALL_UNLOADED));
	plugin_close();
	CHECK(trace_was(""));
}

static void test_plugin_of_a_module(void)
{
	second_hook = plugin_open_or_close;
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +early +first +second +third +plugin +late"));
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(" -plugin -third -second -first -early"));
	CHECK(plugin == NULL);

	/* Closed while it is loaded, by a module that was loaded after it. */
	plugin_open();
	second_hook = NULL;
	second_declines = 1;
	CHECK(ast_modules_load() == 0);
	second_declines = 0;
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(" +early +first ?second +third +plugin +late +second"));
	second_hook = plugin_open_or_close;
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(" -second -plugin -third -first -early"));
	second_hook = NULL;
}

/* Lets other threads get ahead, if they do not wait. */
static void linger(void)
{
	for (int i = 0; i < 10000; i++)
		sched_yield();
}

/* Whoever does it, it is done when the call returns. */
static void *load_or_unload(void *unload)
{
	CHECK((unload ? ast_modules_unload() : ast_modules_load()) == 0);
	CHECK(atomic_load(&second_up) == !unload);
	return NULL;
}

static void run_at_once(void *unload)
{
	pthread_t threads[N_THREADS];

	for (int i = 0; i < N_THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, load_or_unload, unload) == 0);
	for (int i = 0; i < N_THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
}

static void test_threads(void)
{
	second_hook = linger;
	run_at_once(NULL);
	CHECK(trace_was(ALL_LOADED));
	run_at_once(trace);
	CHECK(trace_was(ALL_UNLOADED));
	second_hook = NULL;
}

static _Atomic int loading, gone;

static int slow_load(void)
{
	atomic_store(&loading, 1);
	linger();
	CHECK(!atomic_load(&gone));
	report("+slow");
	return 0;
}

static int slow_unload(void)
{
	report("-slow");
	return 0;
}

static void *unregister(void *module)
{
	while (!atomic_load(&loading))
		sched_yield();
	stasis_compat_module_unregister(module);
	atomic_store(&gone, 1);
	return NULL;
}

static void test_unregister_waits_for_the_load_function(void)
{
	struct stasis_compat_module module = { .size = sizeof(module),
					       .load = slow_load,
					       .unload = slow_unload,
					       .load_pri = AST_MODPRI_DEFAULT + 2 };
	pthread_t thread;

	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(ALL_LOADED));
	CHECK(stasis_compat_module_register(&module) == 0);
	CHECK(pthread_create(&thread, NULL, unregister, &module) == 0);
	CHECK(ast_modules_load() == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(gone);
	CHECK(trace_was(" +slow -slow"));
	CHECK(ast_modules_unload() == 0);
	CHECK(trace_was(ALL_UNLOADED));
}

/* After those of the modules, which are unloaded as they are unregistered, the last one loaded
 * first. */
__attribute__((destructor(101))) static void check_exit(void)
{
	CHECK(trace_was(ALL_UNLOADED));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	plugin_path = argv[1];
	test_order();
	test_decline();
	test_failure();
	test_refusal();
	test_inside();
	test_arguments();
	test_plugin();
	test_plugin_of_a_module();
	test_threads();
	test_unregister_waits_for_the_load_function();
	/* Left loaded, see check_exit(). */
	CHECK(ast_modules_load() == 0);
	CHECK(trace_was(ALL_LOADED));
	return 0;
}
