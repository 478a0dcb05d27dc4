/* SPDX-License-Identifier: BSD-2-Clause */
/* crash.c — see crash.h */

#include "crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "fail.h"
#include "watch.h"

/* Two paths of a record, and the rest. */
static char how[2 * SS_RECORD_NAME_MAX + 2048];
static _Atomic bool crashed;
static _Atomic bool interrupted;

static void tell(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));

	/* There is nobody else to tell. */
	(void)written;
}

static const char *name_of(int number)
{
	switch (number) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	default:
		return "SIGABRT";
	}
}

/* The default action is in force again: SA_RESETHAND. */
static void on_crash(int number)
{
	if (!atomic_exchange(&crashed, true)) {
		tell("\nFAILED: the run crashes, ");
		tell(name_of(number));
		tell("; its round began:\n");
		tell(how);
	}
	raise(number);
}

static void on_interrupt(int number)
{
	atomic_store(&interrupted, true);
}

static void take(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESETHAND | SA_RESTART };
	struct sigaction before;

	/* Whoever started it may want one to be ignored. */
	if (sigaction(number, NULL, &before) != 0 || before.sa_handler == SIG_IGN)
		return;
	if (sigaction(number, &action, NULL) != 0)
		ss_die("cannot take signal %d", number);
}

void ss_crash_init(void)
{
	take(SIGINT, on_interrupt);
	take(SIGTERM, on_interrupt);
	take(SIGABRT, on_crash);
	/* Sanitizers have their own, which say more. */
	if (STI_ASAN || STI_TSAN)
		return;
	take(SIGSEGV, on_crash);
	take(SIGBUS, on_crash);
	take(SIGFPE, on_crash);
}

void ss_crash_prepare(const struct ss_schedule *schedule)
{
	/* Its last byte stays zero. */
	FILE *file = fmemopen(how, sizeof(how) - 1, "w");

	if (file == NULL)
		ss_die("no memory for the tool itself");
	ss_watch_tell_how(file, schedule, ss_schedule_name());
	if (fclose(file) != 0)
		ss_die("cannot say how to run it again");
}

bool ss_interrupted(void)
{
	return atomic_load(&interrupted);
}
