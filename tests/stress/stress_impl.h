/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_STRESS_IMPL_H
#define STASIS_TESTS_STRESS_IMPL_H

/* stress_impl.h — what every stress program needs and none should write twice
 *
 * A program is a struct stress_program; stress_main() reads the options, starts the threads
 * behind a gate, stops them when the time is over, calls the program's check and reports. A
 * broken invariant is noted with stress_check() from any thread, callbacks included; the run goes
 * on, the exit status is 1. A run that hangs is ended by a watchdog, with exit status 3.
 *
 * Everything random comes from the seed, which is printed. (The scheduler's part cannot be.)
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stress {
	/* const while the threads run */
	double seconds;
	uint64_t seed;
	unsigned n_threads;
	struct stress_thread *threads;
	const struct stress_program *program;
	pthread_barrier_t start;
	/* any thread: atomic */
	_Atomic bool stop;
};

struct stress_thread {
	struct stress *stress;
	unsigned index; /* 0 to n_threads - 1 */
	uint64_t random;
	uint64_t n_ops; /* for the report: what the thread has done */
	pthread_t thread;
};

struct stress_program {
	const char *doc;
	const char *ops; /* what n_ops counts: "messages published" */
	unsigned threads_min;
	void (*setup)(struct stress *stress); /* before the threads; may be NULL */
	void (*thread)(struct stress_thread *self);
	void (*control)(struct stress *stress); /* instead of sleeping until the end; may be NULL */
	void (*check)(struct stress *stress);	/* after the threads have been joined */
};

/* The whole of main(). */
int stress_main(int argc, char **argv, const struct stress_program *program);

static inline bool stress_stopping(struct stress *stress)
{
	/* Relaxed: it orders nothing; whoever needs order joins. */
	return atomic_load_explicit(&stress->stop, memory_order_relaxed);
}

/* A pseudo-random number; the state must not be 0. */
uint64_t stress_random(uint64_t *state);

/* One of 0 to n - 1. */
static inline uint64_t stress_below(struct stress_thread *self, uint64_t n)
{
	return stress_random(&self->random) % n;
}

/* A state for stress_random(), from the seed and a number. */
uint64_t stress_seed(const struct stress *stress, uint64_t number);

double stress_now(void);

/* Notes a violation and prints it, unless there were many before. */
void stress_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something that makes the run meaningless, such as no memory for the test itself. */
_Noreturn void stress_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define stress_check(e, ...) ((e) ? (void)0 : stress_violation(__VA_ARGS__))

/* Memory of the test itself, zeroed. */
void *stress_alloc(size_t size);

#endif
