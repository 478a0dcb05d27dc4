/* SPDX-License-Identifier: BSD-2-Clause */
/* base/assert.c — the end of a program that broke its own rules */

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void sti_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "libstasis: %s:%d: assertion failed: %s\n", file, line, what);
	abort();
}
