/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_impl.c — see stress_impl.h */

#include "stress_impl.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common/random.h"

#define SECONDS_DEFAULT 2.0
#define SEED_DEFAULT 1u
#define THREADS_DEFAULT_MIN 16u
#define THREADS_MAX 1000u
#define PRINTED_MAX 20u
#define WATCHDOG_SECONDS 240.0

static _Atomic uint64_t n_violations;

static const struct argp_option options[] = {
	{ "seconds", 's', "N", 0, "how long to run (2; fractions are allowed)", 0 },
	{ "seed", 'r', "N", 0, "where the random numbers start (1)", 0 },
	{ "threads", 't', "N", 0, "how many threads (4 per CPU, 16 at least)", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct stress *stress = state->input;
	char *end = arg;

	switch (key) {
	case 's':
		stress->seconds = strtod(arg, &end);
		if (!(stress->seconds > 0) || stress->seconds > 1e6)
			argp_error(state, "seconds: a number above 0");
		break;
	case 'r':
		stress->seed = strtoull(arg, &end, 0);
		break;
	case 't':
		stress->n_threads = (unsigned)strtoul(arg, &end, 0);
		if (stress->n_threads == 0 || stress->n_threads > THREADS_MAX)
			argp_error(state, "threads: 1 to %u", THREADS_MAX);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	if (*arg == '\0' || *end != '\0')
		argp_error(state, "not a number: %s", arg);
	return 0;
}

uint64_t stress_random(uint64_t *state)
{
	return random_next(state);
}

uint64_t stress_seed(const struct stress *stress, uint64_t number)
{
	return random_seed(stress->seed, number);
}

double stress_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void stress_violation(const char *format, ...)
{
	va_list args;
	char text[400];

	if (atomic_fetch_add(&n_violations, 1) >= PRINTED_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "VIOLATION: %s\n", text);
}

void stress_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void *stress_alloc(size_t size)
{
	void *ptr = calloc(1, size > 0 ? size : 1);

	if (ptr == NULL)
		stress_die("no memory for the test itself");
	return ptr;
}

static void on_alarm(int number)
{
	static const char text[] = "WATCHDOG: the run hangs\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)written;
	/* With STRESS_ABORT set there is a core, or a debugger, to look at. */
	if (getenv("STRESS_ABORT") != NULL)
		abort();
	_exit(3);
}

static void *run_thread(void *arg)
{
	struct stress_thread *self = arg;

	pthread_barrier_wait(&self->stress->start);
	self->stress->program->thread(self);
	return NULL;
}

static void start_threads(struct stress *stress)
{
	stress->threads = stress_alloc(stress->n_threads * sizeof(*stress->threads));
	pthread_barrier_init(&stress->start, NULL, stress->n_threads + 1);
	for (unsigned i = 0; i < stress->n_threads; i++) {
		struct stress_thread *thread = &stress->threads[i];

		*thread = (struct stress_thread){
			.stress = stress,
			.index = i,
			.random = stress_seed(stress, i),
		};
		if (pthread_create(&thread->thread, NULL, run_thread, thread) != 0)
			stress_die("cannot start thread %u", i);
	}
}

static void wait_for_the_end(const struct stress *stress)
{
	struct timespec left = {
		.tv_sec = (time_t)stress->seconds,
		.tv_nsec = (long)((stress->seconds - (double)(time_t)stress->seconds) * 1e9),
	};

	while (nanosleep(&left, &left) < 0 && errno == EINTR) {
	}
}

static int report(const struct stress *stress, double seconds)
{
	uint64_t n = atomic_load(&n_violations);
	uint64_t n_ops = 0;

	for (unsigned i = 0; i < stress->n_threads; i++)
		n_ops += stress->threads[i].n_ops;
	printf("%llu %s in %.2f s, %llu violations\n", (unsigned long long)n_ops,
	       stress->program->ops, seconds, (unsigned long long)n);
	return n == 0 && n_ops > 0 ? 0 : 1;
}

int stress_main(int argc, char **argv, const struct stress_program *program)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct stress stress = {
		.seconds = SECONDS_DEFAULT,
		.seed = SEED_DEFAULT,
		.n_threads = n_cpus > 0 ? 4 * (unsigned)n_cpus : 0,
		.program = program,
	};
	struct argp argp = { .options = options, .parser = parse, .doc = program->doc };
	double began;

	if (stress.n_threads < THREADS_DEFAULT_MIN)
		stress.n_threads = THREADS_DEFAULT_MIN;
	argp_parse(&argp, argc, argv, 0, NULL, &stress);
	if (stress.n_threads < program->threads_min)
		stress.n_threads = program->threads_min;
	printf("%s --seconds %g --seed %llu --threads %u\n", program_invocation_short_name,
	       stress.seconds, (unsigned long long)stress.seed, stress.n_threads);
	fflush(stdout);
	signal(SIGALRM, on_alarm);
	alarm((unsigned)(stress.seconds * 10 + WATCHDOG_SECONDS));

	if (program->setup != NULL)
		program->setup(&stress);
	start_threads(&stress);
	pthread_barrier_wait(&stress.start);
	began = stress_now();
	if (program->control != NULL)
		program->control(&stress);
	else
		wait_for_the_end(&stress);
	atomic_store(&stress.stop, true);
	for (unsigned i = 0; i < stress.n_threads; i++)
		pthread_join(stress.threads[i].thread, NULL);
	program->check(&stress);
	argc = report(&stress, stress_now() - began);
	pthread_barrier_destroy(&stress.start);
	free(stress.threads);
	return argc;
}
