/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SS_FAIL_H
#define SS_FAIL_H

/* fail.h — broken invariants, and what makes a run meaningless
 *
 * Threads: any, callbacks included.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses. */
enum {
	SS_EXIT_PASSED = 0,
	SS_EXIT_FAILED = 1, /* an invariant does not hold */
	SS_EXIT_USAGE = 2,  /* wrong options, or a file that cannot be read or written */
	SS_EXIT_HANG = 3,   /* something does not come to its end */
};

/* Notes a violation, and prints it unless there were many before. */
void ss_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define ss_check(e, ...) ((e) ? (void)0 : ss_violation(__VA_ARGS__))

uint64_t ss_violations(void);

/* The first violation's text; empty: there was none. */
const char *ss_violation_first(void);

/* Says where violations happen from now on: printed with each. A string that stays. */
void ss_violation_where(const char *where);

/* Something that makes the run meaningless, such as no memory for the tool itself. Exits. */
_Noreturn void ss_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Memory of the tool itself, zeroed; freed by ss_free(). A thread is not stopped in there. */
void *ss_alloc(size_t size);
void ss_free(void *ptr);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t ss_now_ns(void);
void ss_sleep_us(uint64_t us);

#endif
