/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-fork.c — fork() from a busy process
 *
 * A child may exec or _exit; the parent goes on as if nothing had been. A child that does more is
 * told so wherever it would have to wait, and disturbs nobody.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "faults.h"
#include "gate.h"
#include "probe.h"

#define N_PUBLISHERS 8u
#define N_FORKS 30u
/* Longer than any child takes. */
#define CHILD_SECONDS 50.0

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topic, *other;
	struct stasis_subscription *sub;
	struct stasis_forward *forward;
	struct probe probe;
	pthread_t threads[N_PUBLISHERS];
	uint64_t n_published[N_PUBLISHERS];
	_Atomic bool stop;
} bus;

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

/* Publishes, comes and goes: so forks find every lock taken now and then. */
static void *busy_thread(void *arg)
{
	struct stasis_subscribe_options options = { .executor = bus.executor };
	uint64_t i = (uint64_t)(uintptr_t)arg;

	while (!atomic_load(&bus.stop)) {
		CHECK(publish_data(bus.topic, i, bus.n_published[i]++, 1) == 0);
		if (bus.n_published[i] % 64 == 0) {
			stasis_unsubscribe(
				stasis_subscribe_with(bus.topic, ignore, NULL, &options));
			/* Queues shall not grow without end. */
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
		}
	}
	return NULL;
}

static void busy_begin(void)
{
	bus.executor = executor_with(2);
	bus.topic = stasis_topic_create("forked");
	bus.other = stasis_topic_create("other");
	bus.forward = stasis_forward_all(bus.other, bus.topic);
	bus.sub = subscribe_on(bus.topic, &bus.probe, bus.executor);
	CHECK(bus.sub != NULL && bus.forward != NULL);
	for (uintptr_t i = 0; i < N_PUBLISHERS; i++)
		CHECK(pthread_create(&bus.threads[i], NULL, busy_thread, (void *)i) == 0);
}

static void busy_end(void)
{
	size_t total = 0;

	atomic_store(&bus.stop, true);
	for (unsigned i = 0; i < N_PUBLISHERS; i++) {
		pthread_join(bus.threads[i], NULL);
		total += bus.n_published[i];
	}
	stasis_unsubscribe_and_join(bus.sub);
	CHECK(bus.probe.n_data == total);
	CHECK(bus.probe.n_out_of_order == 0);
	CHECK(bus.probe.n_finals == 1);
	stasis_forward_cancel(bus.forward);
	stasis_executor_shutdown(bus.executor);
	stasis_object_unref(bus.topic);
	stasis_object_unref(bus.other);
}

static void await_child(pid_t pid)
{
	double limit = faults_now() + CHILD_SECONDS;
	int status;
	pid_t ended;

	CHECK(pid > 0);
	/* Not alarm(): signals are blocked while somebody waits for a grace period. */
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		if (faults_now() > limit)
			kill(pid, SIGKILL);
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
	CHECK(ended == pid);
	CHECK(WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
}

/* Forks again and again while all is busy. */
static void forks(void (*child)(void))
{
	busy_begin();
	for (unsigned i = 0; i < N_FORKS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			child();
			_exit(1);
		}
		await_child(pid);
	}
	busy_end();
}

static void child_exec(void)
{
	execl("/bin/true", "true", (char *)NULL);
}

static void child_quits(void)
{
	_exit(0);
}

/* Not what the documentation allows, but what many do. */
static void child_exits(void)
{
	exit(0);
}

static void test_exec(void)
{
	forks(child_exec);
}

static void test_quit(void)
{
	forks(child_quits);
}

static void test_exit(void)
{
	forks(child_exits);
}

static void test_spawn(void)
{
	static char name[] = "true";
	char *const argv[] = { name, NULL };

	busy_begin();
	for (unsigned i = 0; i < N_FORKS; i++) {
		pid_t pid;

		CHECK(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) == 0);
		await_child(pid);
		CHECK(system("true") == 0);
	}
	busy_end();
}

/* Everything that would wait, or hand something to a thread that is not there. */
static void child_does_more(void)
{
	struct stasis_subscribe_options options = { .executor = bus.executor };
	struct stasis_message *message = datum_message(0, 0);

	CHECK(stasis_subscription_join(bus.sub) == -ENOTRECOVERABLE);
	CHECK(stasis_executor_drain(bus.executor) == -ENOTRECOVERABLE);
	CHECK(stasis_publish_sync(bus.sub, message) == -ENOTRECOVERABLE);
	CHECK(stasis_executor_set_default(bus.executor) == -ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_executor_create(NULL) == NULL && errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_executor_default() == NULL && errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_subscribe(bus.topic, probe_callback, &bus.probe) == NULL);
	CHECK(errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_subscribe_with(bus.topic, probe_callback, &bus.probe, &options) == NULL);
	CHECK(errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_forward_all(bus.topic, bus.other) == NULL && errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_forward_cancel(bus.forward) == NULL && errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_unsubscribe(stasis_object_ref(bus.sub)) == NULL);
	CHECK(errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_unsubscribe_and_join(stasis_object_ref(bus.sub)) == NULL);
	CHECK(errno == ENOTRECOVERABLE);
	errno = 0;
	CHECK(stasis_executor_shutdown(stasis_object_ref(bus.executor)) == NULL);
	CHECK(errno == ENOTRECOVERABLE);
	_exit(0);
}

static void test_more(void)
{
	forks(child_does_more);
}

/* A publish does not wait for room that nobody will make, nor does it call back. */
static void child_publishes(int n_refused)
{
	size_t n_calls = bus.probe.n_calls;

	CHECK(publish_data(bus.topic, 0, bus.probe.n_data, 5) == n_refused);
	CHECK(bus.probe.n_calls == n_calls);
	_exit(0);
}

/* To a subscription with an executor of that kind, at rest. */
static void publishes(enum stasis_wait wait, const struct stasis_subscribe_options *how,
		      int n_refused)
{
	struct stasis_subscribe_options options = *how;
	pid_t pid;

	bus.executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = wait, .threads = 1 });
	bus.topic = stasis_topic_create("forked");
	options.executor = bus.executor;
	bus.sub = stasis_subscribe_with(bus.topic, probe_callback, &bus.probe, &options);
	CHECK(bus.sub != NULL);
	CHECK(publish_data(bus.topic, 0, 0, 5) == 0);
	CHECK(stasis_executor_drain(bus.executor) == 0);
	pid = fork();
	if (pid == 0)
		child_publishes(n_refused);
	await_child(pid);
	CHECK(publish_data(bus.topic, 0, 5, 5) == 0);
	stasis_unsubscribe_and_join(bus.sub);
	CHECK(bus.probe.n_data == 10 && bus.probe.n_out_of_order == 0);
	stasis_executor_shutdown(bus.executor);
	stasis_object_unref(bus.topic);
}

static void test_full(void)
{
	static const struct stasis_subscribe_options options = {
		.capacity = 1,
		.overflow = STASIS_OVERFLOW_BLOCK,
	};

	publishes(STASIS_WAIT_PARK, &options, 4);
}

static void test_inline(void)
{
	publishes(STASIS_WAIT_INLINE, &(struct stasis_subscribe_options){ .capacity = 0 }, 0);
}

static struct {
	struct stasis_topic *topic;
	struct stasis_cache *cache;
	struct stasis_caching_topic *caching;
	struct gate gate; /* snapshots wait here */
} cached = { .gate = GATE_INIT };

static const char *datum_id(struct stasis_message *message)
{
	static __thread char id[24];
	const struct datum *datum = stasis_message_data(message);

	if (stasis_message_type(message) != datum_type())
		return NULL;
	gate_pass(&cached.gate);
	snprintf(id, sizeof(id), "%u", (unsigned)datum->seq);
	return id;
}

static void cached_begin(void)
{
	cached.topic = stasis_topic_create("cached");
	cached.cache = stasis_cache_create(datum_id);
	cached.caching = stasis_caching_topic_create(cached.topic, cached.cache);
	CHECK(cached.caching != NULL);
}

static void cached_end(void)
{
	stasis_caching_unsubscribe_and_join(cached.caching);
	stasis_object_unref(cached.cache);
	stasis_object_unref(cached.topic);
}

static void *publish_snapshot(void *arg)
{
	CHECK(publish_data(cached.topic, 0, 0, 1) == 0);
	return NULL;
}

/* Another thread is in the middle of a publish, for ever as the child sees it. */
static void test_uncache(void)
{
	pthread_t publisher;
	pid_t pid;

	cached_begin();
	CHECK(pthread_create(&publisher, NULL, publish_snapshot, NULL) == 0);
	gate_await(&cached.gate, 1);
	pid = fork();
	if (pid == 0) {
		errno = 0;
		CHECK(stasis_caching_unsubscribe_and_join(cached.caching) == NULL);
		CHECK(errno == ENOTRECOVERABLE);
		errno = 0;
		CHECK(stasis_caching_unsubscribe(cached.caching) == NULL);
		CHECK(errno == ENOTRECOVERABLE);
		_exit(0);
	}
	await_child(pid);
	gate_open(&cached.gate);
	pthread_join(publisher, NULL);
	cached_end();
}

static void *join_with_state(void *arg)
{
	while (!atomic_load(&bus.stop)) {
		struct stasis_subscription *sub =
			stasis_caching_subscribe_with_state(cached.caching, ignore, NULL, NULL);

		CHECK(sub != NULL);
		stasis_unsubscribe_and_join(sub);
	}
	return NULL;
}

/* Other threads are in the middle of it, one before the other. */
static void test_state(void)
{
	pthread_t joiners[4];

	cached_begin();
	gate_open(&cached.gate);
	CHECK(publish_data(cached.topic, 0, 0, 1000) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(pthread_create(&joiners[i], NULL, join_with_state, NULL) == 0);
	for (unsigned i = 0; i < N_FORKS; i++) {
		pid_t pid;

		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		pid = fork();
		if (pid == 0) {
			errno = 0;
			CHECK(stasis_caching_subscribe_with_state(cached.caching, ignore, NULL,
								  NULL) == NULL);
			CHECK(errno == ENOTRECOVERABLE);
			_exit(0);
		}
		await_child(pid);
	}
	atomic_store(&bus.stop, true);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(joiners[i], NULL);
	cached_end();
}

static bool is_readable(int fd)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1;
}

/* The descriptor of a manual executor is one for both: a child that publishes does not touch it. */
static void test_descriptor(void)
{
	pid_t pid;
	int fd;

	bus.executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	fd = stasis_executor_fd(bus.executor);
	bus.topic = stasis_topic_create("forked");
	bus.sub = subscribe_on(bus.topic, &bus.probe, bus.executor);
	CHECK(stasis_executor_run(bus.executor, 100) == 1);
	CHECK(!is_readable(fd));
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		publish_data(bus.topic, 0, 0, 3);
		CHECK(stasis_executor_run(bus.executor, 100) == -ENOTRECOVERABLE);
		_exit(0);
	}
	await_child(pid);
	CHECK(!is_readable(fd));
	CHECK(publish_data(bus.topic, 0, 0, 3) == 0);
	CHECK(is_readable(fd));
	CHECK(stasis_executor_run(bus.executor, 100) == 3);
	stasis_unsubscribe_and_join(bus.sub);
	CHECK(bus.probe.n_finals == 1);
	stasis_executor_shutdown(bus.executor);
	stasis_object_unref(bus.topic);
}

/* A process that has made neither executor nor cache may fork and use the library in the child. */
static void test_before(void)
{
	struct stasis_topic *topic = stasis_topic_create("before");
	pid_t pid;

	CHECK(publish_data(topic, 0, 0, 3) == 0);
	pid = fork();
	if (pid == 0) {
		busy_begin();
		busy_end();
		CHECK(publish_data(topic, 0, 0, 3) == 0);
		_exit(0);
	}
	await_child(pid);
	busy_begin();
	busy_end();
	stasis_object_unref(topic);
}

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "exec", test_exec, NULL },
		{ "quit", test_quit, NULL },
		{ "exit", test_exit, NULL },
		{ "spawn", test_spawn, NULL },
		{ "more", test_more, NULL },
		{ "full", test_full, NULL },
		{ "inline", test_inline, NULL },
		{ "uncache", test_uncache, NULL },
		{ "state", test_state, NULL },
		{ "descriptor", test_descriptor, NULL },
		{ "before", test_before, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
