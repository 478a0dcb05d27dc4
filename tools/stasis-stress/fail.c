/* SPDX-License-Identifier: BSD-2-Clause */
/* fail.c — see fail.h */

#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "memory.h"

#define PRINTED_MAX 20u

static _Atomic uint64_t n_violations;
static _Atomic(const char *) where = "";
static char first[400];
static _Atomic bool first_there;

void ss_violation(const char *format, ...)
{
	uint64_t n = atomic_fetch_add(&n_violations, 1);
	char text[sizeof(first)];
	va_list args;

	if (n >= PRINTED_MAX)
		return;
	ss_memory_enter();
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n == 0) {
		snprintf(first, sizeof(first), "%s", text);
		atomic_store(&first_there, true);
	}
	fprintf(stderr, "\nVIOLATION: %s [%s]\n", text, atomic_load(&where));
	if (n + 1 == PRINTED_MAX)
		fprintf(stderr, "further violations are counted, and not printed\n");
	ss_memory_leave();
}

uint64_t ss_violations(void)
{
	return atomic_load(&n_violations);
}

const char *ss_violation_first(void)
{
	return atomic_load(&first_there) ? first : "";
}

void ss_violation_where(const char *text)
{
	atomic_store(&where, text);
}

void ss_die(const char *format, ...)
{
	va_list args;

	fputs("stasis-stress: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(SS_EXIT_USAGE);
}

void *ss_alloc(size_t size)
{
	void *ptr;

	ss_memory_enter();
	ptr = calloc(1, size > 0 ? size : 1);
	ss_memory_leave();
	if (ptr == NULL)
		ss_die("no memory for the tool itself");
	return ptr;
}

void ss_free(void *ptr)
{
	ss_memory_enter();
	free(ptr);
	ss_memory_leave();
}

uint64_t ss_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void ss_sleep_us(uint64_t us)
{
	struct timespec left = { .tv_sec = (time_t)(us / 1000000),
				 .tv_nsec = (long)(us % 1000000) * 1000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR) {
	}
}
