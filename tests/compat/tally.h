/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_COMPAT_TALLY_H
#define STASIS_TESTS_COMPAT_TALLY_H

/* tally.h — counts what happens in callbacks and destructors, and lets others wait for it */

enum tally {
	FOO_MADE,
	FOO_DESTROYED,
	WHATEVER_DESTROYED,
	BAR_MADE,
	BAR_DESTROYED,
	BAR_FOO,      /* foo messages that bars have been given */
	BAR_WHATEVER, /* and others */
	BAR_FINAL,
	BAR_HELD,    /* bars that wait inside their callback */
	BAR_RELEASE, /* how many of them may go on */
	N_TALLIES,
};

void tally_add(enum tally tally);
int tally_get(enum tally tally);
void tally_await(enum tally tally, int n);

#endif
