/* SPDX-License-Identifier: BSD-2-Clause */
/* test_modules.c — modules: defects that have been found and mended */

#include <criterion/criterion.h>
#include <string.h>

#include <stasis/compat/asterisk.h>
#include <stasis/compat/asterisk/module.h>

static char order[16];

static int load_a(void)
{
	strcat(order, "a");
	return AST_MODULE_LOAD_SUCCESS;
}

static int unload_a(void)
{
	strcat(order, "A");
	return 0;
}

static int load_b(void)
{
	strcat(order, "b");
	return AST_MODULE_LOAD_SUCCESS;
}

/* Refuses. */
static int unload_b(void)
{
	strcat(order, "B");
	return -1;
}

static int load_c(void)
{
	strcat(order, "c");
	return AST_MODULE_LOAD_SUCCESS;
}

/* Link-time optimisation runs the constructors of a file from the last to the first. */
Test(regress, modules_of_a_file_are_loaded_in_its_order_whatever_the_constructors)
{
	static struct stasis_compat_module modules[] = {
		{ .size = sizeof(modules[0]), .load = load_a, .file = order, .line = 1 },
		{ .size = sizeof(modules[0]), .load = load_b, .file = order, .line = 2 },
		{ .size = sizeof(modules[0]), .load = load_c },
	};

	for (int i = 2; i >= 0; i--)
		cr_assert_eq(stasis_compat_module_register(&modules[i]), 0);
	cr_assert_eq(ast_modules_load(), 0);
	cr_assert_str_eq(order, "cab");
	for (int i = 0; i < 3; i++)
		stasis_compat_module_unregister(&modules[i]);
}

/* So do destructors: the first of a file to come ends them all. */
Test(regress, modules_of_a_file_are_unloaded_the_way_back_whatever_the_destructors)
{
	static struct stasis_compat_module modules[] = {
		{ .size = sizeof(modules[0]), .load = load_a, .unload = unload_a, .file = order },
		{ .size = sizeof(modules[0]), .load = load_b, .unload = unload_b, .file = order },
		{ .size = sizeof(modules[0]), .load = load_c },
	};

	for (int i = 0; i < 3; i++)
		cr_assert_eq(stasis_compat_module_register(&modules[i]), 0);
	cr_assert_eq(ast_modules_load(), 0);
	stasis_compat_modules_end(NULL);
	cr_assert_str_eq(order, "abc");
	stasis_compat_modules_end(order);
	stasis_compat_modules_end(order);
	cr_assert_str_eq(order, "abcBA");
	for (int i = 0; i < 2; i++)
		cr_assert_eq(stasis_compat_module_register(&modules[i]), 0);
	stasis_compat_modules_end(order);
	stasis_compat_module_unregister(&modules[2]);
	cr_assert_str_eq(order, "abcBA");
}
