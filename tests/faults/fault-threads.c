/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-threads.c — threads that end in the middle of things, and late callers
 *
 * The library keeps a record per thread, and so does liburcu; both are dropped by destructors of
 * thread-specific data. Destructors of the application may run before, between and after these, and
 * may use the library.
 */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <threads.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "base/thread.h"
#include "faults.h"
#include "gate.h"
#include "probe.h"
#include "sync/rcu.h"

static struct stasis_executor *executor;
static struct stasis_topic *topic;
static struct stasis_subscription *sub;
static struct probe probe;

static void bus_begin(void)
{
	executor = executor_with(2);
	topic = stasis_topic_create("threads");
	sub = subscribe_on(topic, &probe, executor);
	CHECK(sub != NULL);
}

/* Nothing is lost, nothing is held: it all ends. */
static void bus_end(size_t n_data)
{
	stasis_unsubscribe_and_join(sub);
	CHECK(probe.n_data == n_data);
	CHECK(probe.n_out_of_order == 0);
	CHECK(probe.n_finals == 1);
	CHECK(probe.n_after_final == 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	/* What was freed through RCU is. */
	sti_rcu_barrier();
	sti_rcu_barrier();
}

/* --- threads that end between two publishes --- */

#define N_SHORT 3000u
#define N_EACH 5u

static _Atomic uint64_t next_seq;

/* As publisher 0, whose data are in order because one thread comes after the other. */
static void publish_some(void)
{
	for (unsigned i = 0; i < N_EACH; i++) {
		uint64_t seq = atomic_fetch_add(&next_seq, 1);

		CHECK(publish_data(topic, 0, seq, 1) == 0);
	}
}

static void *exiting_thread(void *arg)
{
	publish_some();
	pthread_exit(NULL);
}

static int c11_thread(void *arg)
{
	publish_some();
	thrd_exit(0);
}

static void test_short_lived(void)
{
	pthread_t thread;
	thrd_t c11;

	bus_begin();
	for (unsigned i = 0; i < N_SHORT; i++) {
		CHECK(pthread_create(&thread, NULL, exiting_thread, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		CHECK(thrd_create(&c11, c11_thread, NULL) == thrd_success);
		CHECK(thrd_join(c11, NULL) == thrd_success);
	}
	bus_end((size_t)2 * N_SHORT * N_EACH);
}

/* --- destructors that use the library --- */

#define N_LATE (STI_THREAD_MAX + 200u)

static pthread_key_t keys[3];
static unsigned first_round; /* in which destructors use the library; they are called so often: */
static _Atomic uint64_t n_late;

/* What a destructor may want to do. */
static void use_library(void)
{
	struct stasis_subscribe_options options = { .executor = executor };
	struct stasis_subscription *own;
	static struct probe ignored;

	publish_some();
	own = stasis_subscribe_with(topic, probe_callback, &ignored, &options);
	CHECK(own != NULL);
	publish_some();
	CHECK(stasis_unsubscribe_and_join(own) == NULL);
	atomic_fetch_add(&n_late, 1);
}

/* value: the round that it is. */
static void key_destroy(pthread_key_t key, void *value)
{
	uintptr_t round = (uintptr_t)value;

	if (round >= first_round)
		use_library();
	if (round < PTHREAD_DESTRUCTOR_ITERATIONS)
		CHECK(pthread_setspecific(key, (void *)(round + 1)) == 0);
}

static void destroy_first(void *value)
{
	key_destroy(keys[0], value);
}

static void destroy_last(void *value)
{
	key_destroy(keys[1], value);
}

static void *late_thread(void *arg)
{
	CHECK(pthread_setspecific(keys[0], (void *)1) == 0);
	if (arg != NULL)
		use_library();
	CHECK(pthread_setspecific(keys[1], (void *)1) == 0);
	return NULL;
}

static void *number_thread(void *arg)
{
	const struct sti_thread *self = sti_thread_self();

	*(unsigned *)arg = self != NULL ? self->number : STI_THREAD_MAX;
	return NULL;
}

/* The number that a new thread is given: the least that is free. */
static unsigned next_number(void)
{
	unsigned number;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, number_thread, &number) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	return number;
}

/* used: the thread has used the library before. Keys are created, and destroyed, in order: one
 * before the library's own and one after. */
static void late_callers(bool used, unsigned from_round)
{
	unsigned before;
	pthread_t thread;

	first_round = from_round;
	CHECK(pthread_key_create(&keys[0], destroy_first) == 0);
	bus_begin();
	before = next_number();
	CHECK(pthread_key_create(&keys[1], destroy_last) == 0);
	for (unsigned i = 0; i < N_LATE; i++) {
		CHECK(pthread_create(&thread, NULL, late_thread, used ? &i : NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	CHECK(atomic_load(&n_late) > N_LATE);
	/* None of them has kept its number, so none its record. */
	CHECK(next_number() <= before + 2);
	bus_end((size_t)atomic_load(&next_seq));
}

static void test_late_destructors(void)
{
	late_callers(true, 1);
}

static void test_last_round(void)
{
	late_callers(true, PTHREAD_DESTRUCTOR_ITERATIONS);
}

static void test_only_in_destructors(void)
{
	late_callers(false, 1);
}

/* --- the main thread goes first --- */

static void *outliving_thread(void *arg)
{
	pthread_join(*(pthread_t *)arg, NULL);
	for (unsigned i = 0; i < 1000; i++)
		publish_some();
	bus_end((size_t)1001 * N_EACH);
	exit(0);
}

static void test_main_exits(void)
{
	static pthread_t self;
	pthread_t thread;

	self = pthread_self();
	bus_begin();
	publish_some();
	CHECK(pthread_create(&thread, NULL, outliving_thread, &self) == 0);
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "short-lived", test_short_lived, NULL },
		{ "late-destructors", test_late_destructors, NULL },
		{ "last-round", test_last_round, NULL },
		{ "only-in-destructors", test_only_in_destructors, NULL },
		{ "main-exits", test_main_exits, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
