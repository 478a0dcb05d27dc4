/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-signals.c — signals, ten thousand a second, during all kinds of calls
 *
 * A handler may interrupt any function of the library, and may itself call those that only look.
 * Every thread of the test has a timer of its own, so that every wait is interrupted; another one
 * interrupts whoever can be. Nothing is lost, nothing comes early, and nothing of it is handled on
 * a thread of the library's.
 */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <poll.h>

#include <stasis/stasis.h>

#include "faults.h"
#include "gate.h"
#include "probe.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define PERIOD_NS 100000
#define N_PUBLISHERS 3u
#define N_EACH 20000u
#define TIMEOUT_S 0.1

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	struct stasis_message *message;
} seen; /* by the handler */

static struct probe probe;
static _Atomic uint64_t n_signals;
static _Atomic uint64_t n_elsewhere; /* handled on threads that are not the test's */
static _Atomic uint64_t n_wrong;     /* what the handler was told */
static __thread bool is_ours;
static __thread _Atomic uint64_t n_own;

/* Calls all that a handler may call. */
static void on_signal(int number)
{
	int saved = errno;

	atomic_fetch_add(&n_signals, 1);
	atomic_fetch_add(&n_own, 1);
	if (!is_ours)
		atomic_fetch_add(&n_elsewhere, 1);
	if (seen.sub != NULL &&
	    (stasis_subscription_is_done(seen.sub) != 0 ||
	     stasis_subscription_is_subscribed(seen.sub) != 1 ||
	     stasis_subscription_final_message(seen.sub, seen.message) != 0 ||
	     stasis_subscription_uniqueid(seen.sub)[0] == '\0' ||
	     strcmp(stasis_topic_name(seen.topic), "signalled") != 0 ||
	     strcmp(stasis_message_type_name(stasis_message_type(seen.message)), "datum") != 0 ||
	     stasis_message_timestamp(seen.message)->tv_sec == 0 ||
	     ((const struct datum *)stasis_message_data(seen.message))->seq != 77 ||
	     stasis_executor_fd(seen.executor) != -EINVAL ||
	     stasis_object_ref(seen.message) != seen.message))
		atomic_fetch_add(&n_wrong, 1);
	errno = saved;
}

/* New threads begin with what the one that made them has: nothing reaches them before they are
 * ready. */
static void signals_block(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(how, &set, NULL);
}

/* From here on, the calling thread is interrupted all the time. */
static void storm_begin(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec period = { .it_interval.tv_nsec = PERIOD_NS,
				     .it_value.tv_nsec = PERIOD_NS };
	timer_t timer;

	is_ours = true;
	signals_block(SIG_UNBLOCK);
	event.sigev_notify_thread_id = gettid();
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &period, NULL) == 0);
}

/* Whoever does not block it is interrupted: no thread of the library's. */
static void storm_everywhere(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec period = { .it_interval.tv_nsec = PERIOD_NS,
				     .it_value.tv_nsec = PERIOD_NS };
	timer_t timer;

	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &period, NULL) == 0);
}

static void signals_begin(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void bus_begin(const struct stasis_subscribe_options *given)
{
	struct stasis_subscribe_options options = { 0 };

	if (given != NULL)
		options = *given;
	seen.executor = executor_with(2);
	seen.topic = stasis_topic_create("signalled");
	seen.message = datum_message(0, 77);
	options.executor = seen.executor;
	seen.sub = stasis_subscribe_with(seen.topic, probe_callback, &probe, &options);
	CHECK(seen.sub != NULL);
}

static void bus_end(size_t n_data)
{
	struct stasis_subscription *sub = seen.sub;

	CHECK(stasis_executor_drain(seen.executor) == 0);
	CHECK(probe.n_data == n_data);
	seen.sub = NULL; /* its answers change */
	stasis_unsubscribe_and_join(sub);
	CHECK(probe.n_finals == 1);
	CHECK(probe.n_out_of_order == 0);
	CHECK(probe.overlaps == 0);
	stasis_executor_shutdown(seen.executor);
	CHECK(atomic_load(&n_signals) > 0);
	CHECK(atomic_load(&n_elsewhere) == 0);
	CHECK(atomic_load(&n_wrong) == 0);
}

/* --- nothing is lost --- */

static void *publishing_thread(void *arg)
{
	uint64_t i = (uint64_t)(uintptr_t)arg;

	storm_begin();
	for (uint64_t seq = 0; seq < N_EACH; seq++) {
		if (seq % 16 != 0) {
			/* Waits for room, mostly. */
			CHECK(publish_data(seen.topic, i, seq, 1) == 0);
			continue;
		}
		struct stasis_message *message = datum_message(i, seq);

		CHECK(stasis_publish_sync(seen.sub, message) == 0);
		stasis_object_unref(message);
	}
	CHECK(atomic_load(&n_own) > 0);
	return NULL;
}

static void *churning_thread(void *arg)
{
	struct stasis_subscribe_options options = { .executor = seen.executor };

	storm_begin();
	for (unsigned i = 0; i < 500; i++) {
		struct probe *own = calloc(1, sizeof(*own));
		struct stasis_subscription *sub =
			stasis_subscribe_with(seen.topic, probe_callback, own, &options);

		CHECK(sub != NULL);
		CHECK(stasis_executor_drain(seen.executor) == 0);
		stasis_unsubscribe_and_join(sub);
		CHECK(own->n_finals == 1);
		free(own);
	}
	return NULL;
}

static void everything(int flags)
{
	struct stasis_subscribe_options options = { .capacity = 4,
						    .overflow = STASIS_OVERFLOW_BLOCK };
	pthread_t threads[N_PUBLISHERS + 1];

	is_ours = true;
	signals_begin(flags);
	/* Not blocked here: the library sees to its own threads. */
	bus_begin(&options);
	storm_everywhere();
	signals_block(SIG_BLOCK);
	for (uintptr_t i = 0; i < N_PUBLISHERS; i++)
		CHECK(pthread_create(&threads[i], NULL, publishing_thread, (void *)i) == 0);
	CHECK(pthread_create(&threads[N_PUBLISHERS], NULL, churning_thread, NULL) == 0);
	for (unsigned i = 0; i <= N_PUBLISHERS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	bus_end((size_t)N_PUBLISHERS * N_EACH);
}

static void test_everything(void)
{
	everything(0);
}

static void test_restart(void)
{
	everything(SA_RESTART);
}

/* --- an executor without threads, and its descriptor --- */

static void *feeding_thread(void *arg)
{
	storm_begin();
	for (uint64_t seq = 0; seq < N_EACH; seq++)
		CHECK(publish_data(arg, 0, seq, 1) == 0);
	return NULL;
}

static void test_manual(void)
{
	struct stasis_executor *executor;
	struct stasis_subscription *sub;
	struct stasis_topic *topic;
	pthread_t thread;

	is_ours = true;
	signals_begin(0);
	executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	topic = stasis_topic_create("loop");
	sub = subscribe_on(topic, &probe, executor);
	signals_block(SIG_BLOCK);
	CHECK(pthread_create(&thread, NULL, feeding_thread, topic) == 0);
	storm_begin();
	while (probe.n_data < N_EACH) {
		struct pollfd fd = { .fd = stasis_executor_fd(executor), .events = POLLIN };

		/* The loop's own affair: EINTR. If the descriptor lied, it would hang. */
		if (poll(&fd, 1, -1) == 1)
			CHECK(stasis_executor_run(executor, 64) >= 0);
	}
	CHECK(pthread_join(thread, NULL) == 0);
	stasis_unsubscribe_and_join(sub);
	CHECK(probe.n_out_of_order == 0);
	CHECK(probe.n_finals == 1);
	stasis_executor_shutdown(executor);
	CHECK(atomic_load(&n_elsewhere) == 0);
}

/* --- nothing comes early, or much too late --- */

static void check_timeout(int result, double start)
{
	double elapsed = faults_now() - start;

	CHECK(result == -ETIMEDOUT);
	CHECK(elapsed >= TIMEOUT_S);
	/* Were each interruption a new beginning, it would take for ever. */
	CHECK(elapsed < TIMEOUT_S + 5);
}

static void timed(int flags)
{
	static struct gate hold = GATE_INIT;
	struct timespec timeout = { .tv_nsec = (long)(TIMEOUT_S * 1e9) };
	struct stasis_subscribe_options options = { .capacity = 1,
						    .overflow = STASIS_OVERFLOW_BLOCK };
	struct stasis_message *message;
	double start;

	is_ours = true;
	signals_begin(flags);
	probe.hold = &hold;
	bus_begin(&options);
	storm_begin();
	/* In its callback; behind it; and one that finds no room. */
	for (uint64_t seq = 0; seq < 3; seq++) {
		message = datum_message(0, seq);
		start = faults_now();
		check_timeout(stasis_publish_sync_timed(seen.sub, message, &timeout), start);
		stasis_object_unref(message);
	}
	CHECK(atomic_load(&n_own) > 10);
	gate_open(&hold);
	bus_end(2);
}

static void test_timed(void)
{
	timed(0);
}

static void test_timed_restart(void)
{
	timed(SA_RESTART);
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "everything", test_everything, NULL },
		{ "restart", test_restart, NULL },
		{ "manual", test_manual, NULL },
		{ "timed", test_timed, NULL },
		{ "timed-restart", test_timed_restart, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
