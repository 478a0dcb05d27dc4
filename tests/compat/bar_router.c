/* SPDX-License-Identifier: BSD-2-Clause */
/* bar_router.c — see bar.h */

#include "asterisk/astobj2.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_message_router.h"

#include "bar.h"
#include "foo.h"
#include "tally.h"
#include "whatever.h"

const int bar_queued_at_unload = 0;

struct ast_bar {
	struct stasis_message_router *router;
};

static void bar_dtor(void *obj)
{
	struct ast_bar *bar = obj;

	ast_assert(bar->router == NULL);
	tally_add(BAR_DESTROYED);
}

static void bar_default(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			struct stasis_message *message)
{
	struct ast_bar *bar = data;

	(void)topic;
	if (stasis_subscription_final_message(sub, message)) {
		tally_add(BAR_FINAL);
		ao2_cleanup(bar);
	}
}

static void bar_foo(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct ast_foo *foo;

	(void)data;
	(void)sub;
	(void)topic;
	ast_assert(ast_foo_type() == stasis_message_type(message));
	foo = stasis_message_data(message);
	tally_add(BAR_FOO);
	if (foo->hold) {
		tally_add(BAR_HELD);
		tally_await(BAR_RELEASE, 1);
	}
}

static void bar_whatever(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			 struct stasis_message *message)
{
	struct ast_whatever *whatever;

	(void)data;
	(void)sub;
	(void)topic;
	ast_assert(ast_whatever_type() == stasis_message_type(message));
	whatever = stasis_message_data(message);
	ast_assert(whatever->text[0] == 'w');
	tally_add(BAR_WHATEVER);
}

struct ast_bar *ast_bar_create(void)
{
	RAII_VAR(struct ast_bar *, bar, NULL, ao2_cleanup);
	int r;

	bar = ao2_alloc(sizeof(*bar), bar_dtor);
	if (!bar) {
		return NULL;
	}
	tally_add(BAR_MADE);
	bar->router = stasis_message_router_create(ast_foo_topic());
	if (!bar->router) {
		return NULL;
	}
	r = stasis_message_router_set_default(bar->router, bar_default, bar);
	if (r != 0) {
		ast_bar_shutdown(bar);
		return NULL;
	}
	ao2_ref(bar, +1); /* the subscription's */

	r |= stasis_message_router_add(bar->router, ast_foo_type(), bar_foo, bar);
	r |= stasis_message_router_add(bar->router, ast_whatever_type(), bar_whatever, bar);
	if (r != 0) {
		ast_bar_shutdown(bar);
		return NULL;
	}
	ao2_ref(bar, +1); /* the caller's */
	return bar;
}

void ast_bar_shutdown(struct ast_bar *bar)
{
	if (!bar) {
		return;
	}
	stasis_message_router_unsubscribe(bar->router);
	bar->router = NULL;
}
