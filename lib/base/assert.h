/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_ASSERT_H
#define STI_BASE_ASSERT_H

/* base/assert.h — programmer errors
 *
 * stasis_assert() is on in every build and always evaluates its operand. stasis_assert_slow() is
 * for hot paths: it is compiled, but evaluated only with -Dslow_asserts=true.
 */

#include <assert.h> /* static_assert */

#include "base/compiler.h"

/* Says where and what on standard error, then aborts. */
_Noreturn void sti_assert_failed(const char *what, const char *file, int line);

#define stasis_assert(e)                                                                           \
	((void)(sti_likely(e) ? 0 : (sti_assert_failed(#e, __FILE__, __LINE__), 0)))

#ifdef STI_SLOW_ASSERTS
#define stasis_assert_slow(e) stasis_assert(e)
#else
#define stasis_assert_slow(e) ((void)sizeof((e) ? 1 : 0))
#endif

#endif
