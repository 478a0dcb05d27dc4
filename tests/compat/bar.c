/* SPDX-License-Identifier: BSD-2-Clause */
/* bar.c — see bar.h */

#include "asterisk/astobj2.h"
#include "asterisk/stasis.h"

#include "bar.h"
#include "foo.h"
#include "tally.h"
#include "whatever.h"

const int bar_queued_at_unload = 10;

struct ast_bar {
	struct stasis_subscription *sub;
};

static void bar_dtor(void *obj)
{
	struct ast_bar *bar = obj;

	ast_assert(bar->sub == NULL);
	tally_add(BAR_DESTROYED);
}

static void bar_callback(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			 struct stasis_message *message)
{
	struct ast_bar *bar = data;

	(void)topic;
	if (stasis_subscription_final_message(sub, message)) {
		tally_add(BAR_FINAL);
		ao2_cleanup(bar);
		return;
	}
	if (ast_foo_type() == stasis_message_type(message)) {
		struct ast_foo *foo = stasis_message_data(message);

		tally_add(BAR_FOO);
		if (foo->hold) {
			tally_add(BAR_HELD);
			tally_await(BAR_RELEASE, 1);
		}
	} else if (ast_whatever_type() == stasis_message_type(message)) {
		struct ast_whatever *whatever = stasis_message_data(message);

		ast_assert(whatever->text[0] == 'w');
		tally_add(BAR_WHATEVER);
	}
}

struct ast_bar *ast_bar_create(void)
{
	RAII_VAR(struct ast_bar *, bar, NULL, ao2_cleanup);

	bar = ao2_alloc(sizeof(*bar), bar_dtor);
	if (!bar) {
		return NULL;
	}
	tally_add(BAR_MADE);
	bar->sub = stasis_subscribe(ast_foo_topic(), bar_callback, bar);
	if (!bar->sub) {
		return NULL;
	}
	ao2_ref(bar, +1); /* the subscription's */
	ao2_ref(bar, +1); /* the caller's */
	return bar;
}

void ast_bar_shutdown(struct ast_bar *bar)
{
	if (!bar) {
		return;
	}
	stasis_unsubscribe(bar->sub);
	bar->sub = NULL;
}
