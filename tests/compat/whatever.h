/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_COMPAT_WHATEVER_H
#define STASIS_TESTS_COMPAT_WHATEVER_H

/* whatever.h — a module that has a type of message for the topic of another one */

#include "asterisk/stasis.h"

struct ast_whatever {
	char text[16];
};

struct stasis_message_type *ast_whatever_type(void);
void ast_whatever_happened(void);

#endif
