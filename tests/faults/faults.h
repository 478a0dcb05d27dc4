/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_FAULTS_H
#define STASIS_TESTS_FAULTS_H

/* faults.h — programs whose cases end threads, processes or the rules
 *
 * Each case runs in a process of its own, made by fork() from one that has not used the library
 * yet, and is ended by a signal if it hangs. A case passes when it returns and the process then
 * exits with status 0; or, if it says so, when the process is aborted with a certain message.
 */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fault_case {
	const char *name;
	void (*run)(void);
	const char *dies; /* part of what is on standard error after abort(); NULL: it returns */
};

/* The whole of main(). Arguments: names of cases; none: all of them. */
int faults_main(int argc, char **argv, const struct fault_case *cases, size_t n_cases);

/* Does AddressSanitizer keep what is on the stack elsewhere? */
#if defined(__SANITIZE_ADDRESS__)
#define FAULTS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAULTS_ASAN 1
#endif
#endif
#ifndef FAULTS_ASAN
#define FAULTS_ASAN 0
#endif

/* Seconds on a clock that nobody sets. */
double faults_now(void);

/* In any thread of a case. Not abort(): that is what some cases are expected to do. */
#define CHECK(e)                                                                                   \
	do {                                                                                       \
		if (!(e)) {                                                                        \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #e);            \
			_Exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#ifdef __cplusplus
}
#endif

#endif
