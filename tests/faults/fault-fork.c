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
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stasis/stasis.h>

#include "faults.h"
#include "probe.h"

#define N_PUBLISHERS 8u
#define N_FORKS 30u

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
	int status;

	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
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
			alarm(50);
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
		{ "descriptor", test_descriptor, NULL },
		{ "before", test_before, NULL },
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
