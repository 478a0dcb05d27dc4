/* SPDX-License-Identifier: BSD-2-Clause */
/* whatever.c — see whatever.h */

#include "asterisk.h"

ASTERISK_FILE_VERSION(__FILE__, "$Revision$");

#include <string.h>

#include "asterisk/astobj2.h"
#include "asterisk/module.h"

#include "foo.h"
#include "tally.h"
#include "whatever.h"

static struct stasis_message_type *whatever_type;

struct stasis_message_type *ast_whatever_type(void)
{
	return whatever_type;
}

static void whatever_dtor(void *obj)
{
	struct ast_whatever *whatever = obj;

	ast_assert(strcmp(whatever->text, "whatever") == 0);
	tally_add(WHATEVER_DESTROYED);
}

void ast_whatever_happened(void)
{
	RAII_VAR(struct ast_whatever *, whatever, NULL, ao2_cleanup);
	RAII_VAR(struct stasis_message *, msg, NULL, ao2_cleanup);

	whatever = ao2_alloc(sizeof(*whatever), whatever_dtor);
	if (!whatever) {
		return;
	}
	strcpy(whatever->text, "whatever");
	msg = stasis_message_create(whatever_type, whatever);
	if (!msg) {
		return;
	}
	stasis_publish(ast_foo_topic(), msg);
}

static int load_module(void)
{
	whatever_type = stasis_message_type_create("whatever");
	return whatever_type ? AST_MODULE_LOAD_SUCCESS : AST_MODULE_LOAD_FAILURE;
}

static int unload_module(void)
{
	ao2_cleanup(whatever_type);
	whatever_type = NULL;
	return 0;
}

static int reload_module(void)
{
	return 0;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER, "Whatever else there is",
	.support_level = AST_MODULE_SUPPORT_CORE,
	.load = load_module,
	.unload = unload_module,
	.reload = reload_module,
	.load_pri = AST_MODPRI_DEFAULT - 1,
);
