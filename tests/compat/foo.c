/* SPDX-License-Identifier: BSD-2-Clause */
/* foo.c — see foo.h */

#include "asterisk.h"

ASTERISK_FILE_VERSION(__FILE__, "$Revision$")

#include "asterisk/astobj2.h"
#include "asterisk/module.h"
#include "asterisk/stasis.h"

#include "foo.h"
#include "tally.h"

static struct stasis_message_type *foo_type;
static struct stasis_topic *foo_topic;

struct stasis_message_type *ast_foo_type(void)
{
	return foo_type;
}

struct stasis_topic *ast_foo_topic(void)
{
	return foo_topic;
}

static void foo_dtor(void *obj)
{
	struct ast_foo *foo = obj;

	ast_assert(foo->number >= 0);
	tally_add(FOO_DESTROYED);
}

static void publish_foo(struct ast_foo *foo)
{
	RAII_VAR(struct stasis_message *, msg, NULL, ao2_cleanup);

	msg = stasis_message_create(foo_type, foo);
	if (!msg) {
		return;
	}
	stasis_publish(foo_topic, msg);
}

void ast_foo_happened(int number, int hold)
{
	RAII_VAR(struct ast_foo *, foo, ao2_alloc(sizeof(*foo), foo_dtor), ao2_cleanup);

	if (!foo) {
		return;
	}
	tally_add(FOO_MADE);
	foo->number = number;
	foo->hold = hold;
	publish_foo(foo);
}

static int unload_module(void)
{
	ao2_cleanup(foo_type);
	foo_type = NULL;
	ao2_cleanup(foo_topic);
	foo_topic = NULL;
	return 0;
}

static int load_module(void)
{
	foo_type = stasis_message_type_create("foo");
	if (!foo_type) {
		return AST_MODULE_LOAD_FAILURE;
	}
	foo_topic = stasis_topic_create("foo");
	if (!foo_topic) {
		ao2_cleanup(foo_type);
		foo_type = NULL;
		return AST_MODULE_LOAD_FAILURE;
	}
	return AST_MODULE_LOAD_SUCCESS;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, 0, "Foo and its topic",
	.load = load_module,
	.unload = unload_module,
);
