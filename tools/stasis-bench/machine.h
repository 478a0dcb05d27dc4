/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_MACHINE_H
#define SB_MACHINE_H

/* machine.h — what figures depend on and should be printed with */

#include <sys/utsname.h>

struct sb_machine {
	char cpu[128];
	unsigned n_cpus;      /* of the machine, on line */
	unsigned n_cpus_used; /* that this process may use */
	struct utsname system;
	const char *compiler;
	const char *allocator;
	const char *caveat; /* why the figures mean little; NULL: none that is known */
	char version[32];   /* the library's */
	char date[32];	    /* UTC */
};

void sb_machine_get(struct sb_machine *machine);

#endif
