/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-manual.c — event loops that run executors, and publishers that wake them
 *
 * Each loop sleeps in epoll_wait() without a timeout, on the descriptor of an executor of its own;
 * the first two also on that of one they share. A wake-up that is lost hangs the loop, and with it
 * the publishers, who wait for what they have published: the watchdog ends that.
 *
 * Subscriptions are on every executor, with several batches; some callbacks publish to a topic of
 * another executor, and loops now and then make few callbacks or none. Nothing may be lost, nothing
 * overtaken, no callback overlap another.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "stress_bus.h"

#define LOOPS 4u
#define EXECUTORS (LOOPS + 1) /* the last one is shared */
#define SHARED LOOPS
#define SUBS 3u /* of each executor */
#define PUBLISHERS_MAX 64u
#define OUTSTANDING_MAX 2000u

struct ring_on {
	uint32_t publisher; /* its number there */
	uint32_t topic;
	uint64_t seq;
};

static struct {
	struct stasis_executor *executors[EXECUTORS];
	struct stasis_topic *topics[EXECUTORS];
	struct stasis_subscription *subs[EXECUTORS][SUBS];
	struct stress_receiver *receivers[EXECUTORS][SUBS];
	struct ring_on ring_on[EXECUTORS];
	_Atomic uint64_t published[EXECUTORS][PUBLISHERS_MAX]; /* by each */
	uint32_t n_publishers; /* threads; the callbacks of each executor come after them */
	int stop[2];	       /* readable once loops shall end */
	_Atomic uint32_t n_stopped; /* publishers */
	_Atomic uint64_t wakeups, idle_runs;
} bus;

static void publish(uint32_t topic, uint32_t publisher, uint64_t seq)
{
	int result;

	/* Relaxed: read when all threads have been joined. */
	atomic_store_explicit(&bus.published[topic][publisher], seq + 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&stress_expected, SUBS, memory_order_relaxed);
	result = stasis_publish_take(bus.topics[topic], stress_message(publisher, topic, seq));
	stress_check(result == 0, "a publish was not taken by %d", result);
}

/* Of one subscription of each executor: every eighth message of a thread goes on to the next. */
static void ring_on(struct stress_receiver *receiver, struct stasis_subscription *sub,
		    struct stasis_message *message, bool final)
{
	struct ring_on *next = receiver->user;
	const struct stress_datum *datum;

	if (stasis_message_type(message) != stress_type())
		return;
	datum = stasis_message_data(message);
	if (datum->publisher < bus.n_publishers && datum->seq % 8 == 0)
		publish(next->topic, next->publisher, next->seq++);
}

static void publish_thread(struct stress_thread *self)
{
	uint64_t next[EXECUTORS] = { 0 };

	while (!stress_stopping(self->stress)) {
		uint32_t topic = (uint32_t)stress_below(self, EXECUTORS);

		publish(topic, self->index, next[topic]++);
		self->n_ops++;
		/* Often to the last message, so that loops go to sleep. */
		if (stress_below(self, 50) == 0)
			stress_throttle(self->stress, 0);
		else
			stress_throttle(self->stress, OUTSTANDING_MAX);
	}
	/* Release: see manual_control(). */
	atomic_fetch_add_explicit(&bus.n_stopped, 1, memory_order_release);
}

static void loop_add(int epoll, int fd, uint32_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		stress_die("epoll_ctl: %s", strerror(errno));
}

static void loop_run(struct stress_thread *self, uint32_t number)
{
	static const size_t maxima[] = { SIZE_MAX, SIZE_MAX, 100, 7, 1, 0 };
	size_t max = maxima[stress_below(self, sizeof(maxima) / sizeof(maxima[0]))];
	int n = stasis_executor_run(bus.executors[number], max);

	stress_check(n >= 0 && (size_t)n <= max, "%d callbacks instead of %zu at most", n, max);
	self->n_ops += n > 0 ? (uint64_t)n : 0;
	atomic_fetch_add_explicit(&bus.wakeups, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&bus.idle_runs, n == 0, memory_order_relaxed);
}

static void loop_thread(struct stress_thread *self)
{
	uint32_t own = self->index - bus.n_publishers;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	bool stop = false;

	if (epoll < 0)
		stress_die("epoll_create1: %s", strerror(errno));
	loop_add(epoll, bus.stop[0], EXECUTORS);
	loop_add(epoll, stasis_executor_fd(bus.executors[own]), own);
	if (own < 2)
		loop_add(epoll, stasis_executor_fd(bus.executors[SHARED]), SHARED);
	while (!stop) {
		struct epoll_event events[3];
		int n = epoll_wait(epoll, events, 3, -1);

		if (n < 0 && errno != EINTR)
			stress_die("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == EXECUTORS)
				stop = true;
			else
				loop_run(self, events[i].data.u32);
		}
	}
	close(epoll);
}

static void manual_thread(struct stress_thread *self)
{
	if (self->index < bus.n_publishers)
		publish_thread(self);
	else
		loop_thread(self);
}

static void manual_setup(struct stress *stress)
{
	static const unsigned batches[SUBS] = { 0, 1, 16 };

	bus.n_publishers = stress->n_threads - LOOPS;
	if (bus.n_publishers > PUBLISHERS_MAX - 1)
		stress_die("%u threads at most", PUBLISHERS_MAX - 1 + LOOPS);
	if (pipe2(bus.stop, O_CLOEXEC) != 0)
		stress_die("pipe2: %s", strerror(errno));
	for (uint32_t e = 0; e < EXECUTORS; e++) {
		bus.executors[e] = stasis_executor_create(
			&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
		bus.topics[e] = stasis_topic_create("stress");
		if (bus.executors[e] == NULL || bus.topics[e] == NULL)
			stress_die("no executor: %s", strerror(errno));
		bus.ring_on[e] = (struct ring_on){ .publisher = bus.n_publishers,
						   .topic = (e + 1) % EXECUTORS };
	}
	for (uint32_t e = 0; e < EXECUTORS; e++) {
		for (uint32_t s = 0; s < SUBS; s++) {
			struct stress_receiver *receiver;

			receiver = stress_receiver_new(e, bus.n_publishers + 1);
			if (s == 0) {
				receiver->hook = ring_on;
				receiver->user = &bus.ring_on[e];
			}
			bus.receivers[e][s] = receiver;
			bus.subs[e][s] = stasis_subscribe_with(
				bus.topics[e], stress_receive, receiver,
				&(struct stasis_subscribe_options){ .executor = bus.executors[e],
								    .batch = batches[s] });
			if (bus.subs[e][s] == NULL)
				stress_die("cannot subscribe");
		}
	}
}

/* Once publishers have stopped, what they left is still for the loops to deliver, without help. */
static void manual_control(struct stress *stress)
{
	struct timespec time = { .tv_sec = (time_t)stress->seconds };

	time.tv_nsec = (long)((stress->seconds - (double)time.tv_sec) * 1e9);
	nanosleep(&time, NULL);
	atomic_store(&stress->stop, true);
	/* Acquire: pairs with the publishers' last addition: all of theirs is expected by now. */
	while (atomic_load_explicit(&bus.n_stopped, memory_order_acquire) < bus.n_publishers ||
	       atomic_load(&stress_delivered) != atomic_load(&stress_expected))
		sched_yield();
	if (write(bus.stop[1], "", 1) != 1)
		stress_die("write: %s", strerror(errno));
}

static void check_descriptor(uint32_t number)
{
	struct pollfd poller = { .fd = stasis_executor_fd(bus.executors[number]),
				 .events = POLLIN };

	/* A write that came late may be left. */
	stress_check(stasis_executor_run(bus.executors[number], SIZE_MAX) == 0,
		     "executor %u: something was left", number);
	stress_check(poll(&poller, 1, 0) == 0, "executor %u: readable without work", number);
}

static void check_receiver(uint32_t number, const struct stress_receiver *receiver)
{
	stress_receiver_check_ended(receiver);
	for (uint32_t p = 0; p < receiver->n_publishers; p++)
		stress_check(receiver->runs[p].first == 0 &&
				     receiver->runs[p].next ==
					     atomic_load(&bus.published[number][p]),
			     "executor %u, publisher %u: %llu of %llu came", number, p,
			     (unsigned long long)receiver->runs[p].next,
			     (unsigned long long)atomic_load(&bus.published[number][p]));
}

static void manual_check(struct stress *stress)
{
	for (uint32_t e = 0; e < EXECUTORS; e++) {
		check_descriptor(e);
		/* Some before the shutdown and some after it. */
		for (uint32_t s = 0; s < SUBS; s += 2)
			stasis_unsubscribe(bus.subs[e][s]);
		stasis_executor_shutdown(bus.executors[e]);
		for (uint32_t s = 1; s < SUBS; s += 2)
			stasis_unsubscribe(bus.subs[e][s]);
		for (uint32_t s = 0; s < SUBS; s++) {
			check_receiver(e, bus.receivers[e][s]);
			free(bus.receivers[e][s]);
		}
		stasis_object_unref(bus.topics[e]);
	}
	stress_check(atomic_load(&bus.wakeups) > 0, "no loop has woken up");
	printf("%llu runs, %llu of them in vain\n", (unsigned long long)atomic_load(&bus.wakeups),
	       (unsigned long long)atomic_load(&bus.idle_runs));
	close(bus.stop[0]);
	close(bus.stop[1]);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Event loops that sleep until an executor without threads has work.",
		.ops = "messages published and callbacks made",
		.threads_min = LOOPS + 4,
		.setup = manual_setup,
		.thread = manual_thread,
		.control = manual_control,
		.check = manual_check,
	};

	return stress_main(argc, argv, &program);
}
