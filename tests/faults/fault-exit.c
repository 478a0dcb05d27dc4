/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-exit.c — the end of the process while everything runs
 *
 * exit() needs no preparation: workers and publishers go on until the process is gone, and nothing
 * of the library is taken down before. Each case is repeated, in processes of its own.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "faults.h"
#include "probe.h"

#define N_REPEAT 40u
#define N_PUBLISHERS 4u
#define STATUS 42 /* not what a sanitizer or a failed check exits with */

static struct stasis_topic *topic;
static struct stasis_executor *executor;
static struct stasis_subscription *subs[8];
static struct probe probes[8];
static _Atomic uint64_t n_published;

static void *publishing_thread(void *arg)
{
	for (uint64_t seq = 0;; seq++) {
		struct stasis_message *message = datum_message(0, seq);

		if (message != NULL)
			stasis_publish_take(topic, message);
		atomic_fetch_add(&n_published, 1);
	}
	return NULL;
}

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *t,
		   struct stasis_message *message)
{
}

static void *churning_thread(void *arg)
{
	struct stasis_subscribe_options options = { .executor = executor };

	for (;;)
		stasis_unsubscribe(stasis_subscribe_with(topic, ignore, NULL, &options));
	return NULL;
}

static void exit_in_callback(struct probe *probe, struct stasis_subscription *sub,
			     struct stasis_topic *t, struct stasis_message *message)
{
	if (atomic_load(&n_published) > 2000)
		exit(STATUS);
}

/* Detached, so that nobody waits for them. */
static void start(void *(*routine)(void *arg))
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, routine, NULL) == 0);
	CHECK(pthread_detach(thread) == 0);
}

static void busy_begin(enum stasis_wait wait, probe_hook hook)
{
	/* With a capacity, so that unsubscribing need not wait for long queues. */
	struct stasis_subscribe_options options = { .capacity = 256,
						    .overflow = STASIS_OVERFLOW_DROP_OLDEST };

	executor = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2, .wait = wait });
	topic = stasis_topic_create("busy");
	options.executor = executor;
	for (unsigned i = 0; i < 8; i++) {
		probes[i].on_data = i == 0 ? hook : NULL;
		subs[i] = stasis_subscribe_with(topic, probe_callback, &probes[i], &options);
		CHECK(subs[i] != NULL);
	}
	for (unsigned i = 0; i < N_PUBLISHERS; i++)
		start(publishing_thread);
	start(churning_thread);
}

static void await_busy(void)
{
	while (atomic_load(&n_published) < 2000)
		usleep(100);
}

/* Runs it in processes of its own, which have to exit by themselves. */
static void repeat(void (*run)(void))
{
	for (unsigned i = 0; i < N_REPEAT; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			alarm(50);
			run();
			pause();
		}
		CHECK(pid > 0);
		CHECK(waitpid(pid, &status, 0) == pid);
		if (WIFSIGNALED(status))
			fprintf(stderr, "signal %d\n", WTERMSIG(status));
		CHECK(WIFEXITED(status));
		CHECK(WEXITSTATUS(status) == STATUS);
	}
}

static void return_from_main(void)
{
	busy_begin(STASIS_WAIT_SPIN_PARK, NULL);
	await_busy();
	exit(STATUS);
}

static void exit_from_worker(void)
{
	busy_begin(STASIS_WAIT_PARK, exit_in_callback);
}

static void exit_from_publisher(void)
{
	busy_begin(STASIS_WAIT_INLINE, exit_in_callback);
}

/* Everything that a tidy program would do, while others are still at it. */
static void tidy_up(void)
{
	struct stasis_executor *late_executor;
	struct stasis_topic *late_topic;

	for (unsigned i = 0; i < 8; i++)
		stasis_unsubscribe_and_join(subs[i]);
	for (unsigned i = 0; i < 8; i++)
		CHECK(probes[i].n_finals == 1);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	/* A new beginning, as late as this. */
	late_executor = executor_with(1);
	late_topic = stasis_topic_create("late");
	subs[0] = subscribe_on(late_topic, &probes[0], late_executor);
	CHECK(publish_data(late_topic, 1, 0, 10) == 0);
	stasis_unsubscribe_and_join(subs[0]);
	CHECK(probes[0].n_finals == 2);
	stasis_executor_shutdown(late_executor);
	stasis_object_unref(late_topic);
}

static void exit_handler(void)
{
	atexit(tidy_up);
	busy_begin(STASIS_WAIT_PARK, NULL);
	await_busy();
	/* The topic that publishers use is dropped by the handler: keep it for them. */
	stasis_object_ref(topic);
	stasis_object_ref(executor);
	exit(STATUS);
}

static void test_main(void)
{
	repeat(return_from_main);
}

static void test_worker(void)
{
	repeat(exit_from_worker);
}

static void test_publisher(void)
{
	repeat(exit_from_publisher);
}

static void test_handler(void)
{
	repeat(exit_handler);
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "main", test_main, NULL },
		{ "worker", test_worker, NULL },
		{ "publisher", test_publisher, NULL },
		{ "handler", test_handler, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
