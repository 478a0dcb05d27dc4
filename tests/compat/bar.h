/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_COMPAT_BAR_H
#define STASIS_TESTS_COMPAT_BAR_H

/* bar.h — something that listens to foo's topic, and cleans up when its final message comes
 *
 * In two forms: bar.c has a subscription, bar_router.c a router.
 */

struct ast_bar;

/* Messages of foo that may be queued to a bar when foo is unloaded: routes stay, by a type that foo
 * does not know any more. */
extern const int bar_queued_at_unload;

struct ast_bar *ast_bar_create(void);
void ast_bar_shutdown(struct ast_bar *bar);

#endif
