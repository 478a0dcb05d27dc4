/* SPDX-License-Identifier: BSD-2-Clause */
/* sanitizer.c — what unit tests need under a sanitizer
 *
 * Tests ask for absurd amounts of memory and expect to be refused, which a sanitizer takes for an
 * error unless told. And the test framework picks addresses for memory that it shares with its
 * children by rand_r(), over ranges that ThreadSanitizer keeps for itself: here it is given numbers
 * that lead to addresses it may have.
 */

#include "base/compiler.h"

#if STI_ASAN
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

#if STI_TSAN
#include <stdatomic.h>
#include <stdlib.h>

const char *__tsan_default_options(void);

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* Becomes address 0x200000000000 + (number << 24). The program and its libraries are never between
 * 0x550000000000 and 0x555000000000, and ThreadSanitizer leaves that range to programs. */
#define FIRST 0x350000u
#define NUMBERS 0x5000u

int rand_r(unsigned *seed)
{
	static _Atomic unsigned next;

	(void)seed;
	return (int)(FIRST + atomic_fetch_add(&next, 1) % NUMBERS);
}
#endif
