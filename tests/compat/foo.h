/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_COMPAT_FOO_H
#define STASIS_TESTS_COMPAT_FOO_H

/* foo.h — a module that has a topic, a type of message for it, and publishes */

#include "asterisk/stasis.h"

struct ast_foo {
	int number;
	int hold; /* the callback that gets it waits */
};

struct stasis_message_type *ast_foo_type(void);
struct stasis_topic *ast_foo_topic(void);
void ast_foo_happened(int number, int hold);

#endif
