/* SPDX-License-Identifier: BSD-2-Clause */
/* test_modules.c — modules: defects that have been found and mended */

#include <criterion/criterion.h>
#include <string.h>

#include <stasis/compat/asterisk.h>
#include <stasis/compat/asterisk/module.h>

static char order[8];

static int load_a(void)
{
	strcat(order, "a");
	return AST_MODULE_LOAD_SUCCESS;
}

static int load_b(void)
{
	strcat(order, "b");
	return AST_MODULE_LOAD_SUCCESS;
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
