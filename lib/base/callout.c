/* SPDX-License-Identifier: BSD-2-Clause */
/* base/callout.c — the end of a program whose callback did not return */

#include "base/callout.h"

#include <stdio.h>
#include <stdlib.h>

__thread unsigned sti_cancel_holds;

STI_COLD void sti_callout_left(const char *how)
{
	fprintf(stderr, "libstasis: a callback was left %s: it must return\n", how);
	abort();
}
