/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-stopped.c — a publisher is stopped in the middle of stasis_publish(), again and again
 *
 * A publisher is stopped by a signal handler that waits: at a random point by a signal from
 * outside, and, where the processor can single-step (x86-64, without a sanitizer), after 1, 2, 3,
 * ... instructions of the way from the creation of a message to the end of its publish. It stays
 * there until every other publisher has published more, and every subscription but one has been
 * delivered more: the one may wait to be queued by the thread that has claimed it. Whoever
 * does not get on in time would be waiting for a thread that does not run, which nothing in the
 * library may do. In the end nothing is lost and every publisher's order has held.
 *
 * The allocator is not the library's: a thread inside it is not stopped, nor one that is not
 * publishing, and another is tried.
 */

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "stress_bus.h"

#define N_TOPICS 2u
#define N_SUBS 3u /* per topic */
#define N_ALL_SUBS (N_TOPICS * N_SUBS)
#define OTHERS_MORE 20u /* messages that everybody must get on by */
#define PATIENCE_SECONDS 30.0
#define STOP_MS_MAX 500u
#define BURST 300u

/* A sanitizer's own code must not be stopped: everybody else goes through it as well. */
#if defined(__x86_64__) && !STI_TSAN && !STI_ASAN
#define CAN_STEP 1
#else
#define CAN_STEP 0
#endif

enum publisher_state {
	OUTSIDE,
	PUBLISHING
};

struct publisher {
	uint64_t seqs[N_TOPICS];
	_Atomic uint64_t progress; /* relaxed: messages published */
	_Atomic bool busy;	   /* relaxed: publishing, most likely */
	_Atomic uint64_t step_to;  /* relaxed: stop after so many instructions; 0: do not */
	int resume;		   /* eventfd */
};

/* Read and written by the signal handler, too. */
static __thread volatile sig_atomic_t state;
static __thread volatile sig_atomic_t in_allocator;
static __thread int resume_fd;
static __thread volatile uint64_t steps_left;

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topics[N_TOPICS];
	struct stasis_subscription *subs[N_ALL_SUBS];
	struct stress_receiver *receivers[N_ALL_SUBS];
	struct publisher *publishers;
	/* 0: no answer yet; 1: stopped; 2: not now */
	_Atomic int answer;
	uint64_t n_stops, n_steps, n_tries, n_holes;
	double longest;
} run;

static void *guarded_alloc(size_t align, size_t size)
{
	void *ptr;

	in_allocator++;
	ptr = sti_alloc_system.alloc(align, size);
	in_allocator--;
	return ptr;
}

static void guarded_free(void *ptr)
{
	in_allocator++;
	sti_alloc_system.free(ptr);
	in_allocator--;
}

static const struct sti_alloc_ops guarded_ops = { .alloc = guarded_alloc, .free = guarded_free };

static void wait_for_resume(void)
{
	struct pollfd poll_resume = { .fd = resume_fd, .events = POLLIN };
	int saved = errno;
	uint64_t token;

	atomic_store(&run.answer, 1);
	while (poll(&poll_resume, 1, -1) < 0) {
	}
	if (read(resume_fd, &token, sizeof(token)) < 0)
		abort();
	errno = saved;
}

static void on_stop(int number)
{
	if (state != PUBLISHING || in_allocator || steps_left > 0)
		atomic_store(&run.answer, 2);
	else
		wait_for_resume();
}

#if CAN_STEP
#define TRAP_FLAG 0x100

static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;

	if (--steps_left > 0)
		return;
	if (in_allocator) {
		steps_left = 1;
		return;
	}
	interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	wait_for_resume();
}

/* From here on there is a SIGTRAP after every instruction. */
static void step_begin(uint64_t n)
{
	steps_left = n;
	/* Below the red zone. */
	__asm__ __volatile__("leaq -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\t"
			     "popfq\n\tleaq 128(%%rsp), %%rsp" ::
				     : "memory", "cc");
}

static void step_end(void)
{
	__asm__ __volatile__("leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\t"
			     "popfq\n\tleaq 128(%%rsp), %%rsp" ::
				     : "memory", "cc");
	if (steps_left > 0) {
		steps_left = 0;
		atomic_store(&run.answer, 2);
	}
}
#else
static void step_begin(uint64_t n)
{
}

static void step_end(void)
{
}
#endif

/* --- publishers --- */

static void publish_one(struct stress_thread *self, struct publisher *publisher, bool may_step)
{
	uint32_t topic = (uint32_t)stress_below(self, N_TOPICS);
	uint64_t *seq = &publisher->seqs[topic];
	struct stasis_message *messages[8];
	uint64_t n = stress_below(self, 8) ? 1 : 8;
	uint64_t step_to = 0;
	int result;

	if (may_step && atomic_load_explicit(&publisher->step_to, memory_order_relaxed) > 0)
		step_to = atomic_exchange(&publisher->step_to, 0);
	state = PUBLISHING;
	if (step_to > 0)
		step_begin(step_to);
	for (uint64_t i = 0; i < n; i++)
		messages[i] = stress_message(self->index, topic, *seq + i);
	if (n == 1)
		result = stasis_publish_take(run.topics[topic], messages[0]);
	else
		result = stasis_publish_batch(run.topics[topic], messages, n);
	if (step_to > 0)
		step_end();
	state = OUTSIDE;
	stress_check(result == 0, "a message was not taken");
	*seq += n;
	self->n_ops += n;
	atomic_fetch_add_explicit(&publisher->progress, n, memory_order_relaxed);
}

static void stopped_thread(struct stress_thread *self)
{
	struct publisher *publisher = &run.publishers[self->index];

	resume_fd = publisher->resume;
	while (!stress_stopping(self->stress)) {
		atomic_store_explicit(&publisher->busy, true, memory_order_relaxed);
		/* The first messages after a sleep read the clock, which takes hundreds of
		 * instructions: seldom stepped through. */
		for (unsigned i = 0; i < BURST; i++)
			publish_one(self, publisher, i >= 16 || stress_below(self, 1000) == 0);
		atomic_store_explicit(&publisher->busy, false, memory_order_relaxed);
		/* Not to synchronize: workers need some CPU, too. A signal may cut it short. */
		usleep(2000 + (useconds_t)stress_below(self, 4000));
	}
}

/* --- the one who stops them --- */

struct snapshot {
	uint64_t publishers[1000];
	uint64_t subs[N_ALL_SUBS];
};

static void take_snapshot(const struct stress *stress, struct snapshot *snapshot)
{
	for (unsigned i = 0; i < stress->n_threads; i++)
		snapshot->publishers[i] = atomic_load_explicit(&run.publishers[i].progress,
							       memory_order_relaxed);
	for (unsigned i = 0; i < N_ALL_SUBS; i++)
		snapshot->subs[i] = atomic_load_explicit(&run.receivers[i]->progress,
							 memory_order_relaxed);
}

/* How many publishers, the victim apart, and subscriptions have not got on. */
static void count_stuck(const struct stress *stress, const struct snapshot *before, unsigned victim,
			unsigned *publishersp, unsigned *subsp)
{
	static struct snapshot now;

	take_snapshot(stress, &now);
	*publishersp = *subsp = 0;
	for (unsigned i = 0; i < stress->n_threads; i++)
		*publishersp += i != victim &&
				now.publishers[i] - before->publishers[i] < OTHERS_MORE;
	for (unsigned i = 0; i < N_ALL_SUBS; i++)
		*subsp += now.subs[i] - before->subs[i] < OTHERS_MORE;
}

static void watch_others(const struct stress *stress, unsigned victim, double at_least)
{
	static struct snapshot before;
	double began = stress_now(), elapsed;
	unsigned publishers, subs;

	take_snapshot(stress, &before);
	do {
		usleep(1000);
		count_stuck(stress, &before, victim, &publishers, &subs);
		elapsed = stress_now() - began;
		if (publishers == 0 && subs <= 1 && elapsed >= at_least)
			break;
	} while (elapsed < PATIENCE_SECONDS);
	stress_check(publishers == 0, "%u publishers wait for one that is stopped", publishers);
	stress_check(subs <= 1, "%u subscriptions wait for a publisher that is stopped", subs);
	run.n_holes += subs;
	run.n_stops++;
	if (elapsed > run.longest)
		run.longest = elapsed;
}

static bool await_answer(void)
{
	run.n_tries++;
	while (atomic_load(&run.answer) == 0)
		sched_yield();
	return atomic_load(&run.answer) == 1;
}

/* Signals a publisher. Returns whether it has stopped; it may have been at the wrong place. */
static bool stop_anywhere(const struct stress *stress, unsigned victim)
{
	atomic_store(&run.answer, 0);
	if (pthread_kill(stress->threads[victim].thread, SIGUSR1) != 0)
		stress_die("cannot signal a thread");
	return await_answer();
}

/* Has it stop after n instructions. False when its publish had fewer. */
static bool stop_after(unsigned victim, uint64_t n)
{
	atomic_store(&run.answer, 0);
	atomic_store(&run.publishers[victim].step_to, n);
	return await_answer();
}

static unsigned choose_victim(const struct stress *stress, uint64_t *random)
{
	unsigned victim = 0;

	/* One that is publishing, if there is one. */
	for (int i = 0; i < 1000; i++) {
		victim = (unsigned)(stress_random(random) % stress->n_threads);
		if (atomic_load_explicit(&run.publishers[victim].busy, memory_order_relaxed))
			break;
	}
	return victim;
}

static void stop_one(const struct stress *stress, uint64_t *random, uint64_t *steps)
{
	unsigned victim = choose_victim(stress, random);
	double at_least = 0;
	uint64_t one = 1;

	if (CAN_STEP && stress_random(random) % 4 > 0) {
		*steps += 1 + stress_random(random) % 3;
		if (!stop_after(victim, *steps)) {
			*steps = 0;
			return;
		}
		run.n_steps++;
	} else if (!stop_anywhere(stress, victim)) {
		return;
	}
	/* Mostly just long enough; sometimes long. */
	if (stress_random(random) % 16 == 0)
		at_least = (double)(stress_random(random) % STOP_MS_MAX) / 1000;
	watch_others(stress, victim, at_least);
	if (write(run.publishers[victim].resume, &one, sizeof(one)) < 0)
		stress_die("cannot resume a thread");
}

static void stopped_control(struct stress *stress)
{
	uint64_t random = stress_seed(stress, 12345);
	uint64_t steps = stress_random(&random) % 256;
	double end = stress_now() + stress->seconds;

	/* Threads that have not come to their loop yet have no eventfd to wait on. */
	for (unsigned i = 0; i < stress->n_threads; i++) {
		while (atomic_load(&run.publishers[i].progress) == 0)
			usleep(1000);
	}
	while (stress_now() < end)
		stop_one(stress, &random, &steps);
}

static void stopped_setup(struct stress *stress)
{
	struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	sti_alloc_set_ops(&guarded_ops);
	sigaction(SIGUSR1, &action, NULL);
#if CAN_STEP
	sigaction(SIGTRAP, &(struct sigaction){ .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO },
		  NULL);
#endif
	run.publishers = stress_alloc(stress->n_threads * sizeof(*run.publishers));
	for (unsigned i = 0; i < stress->n_threads; i++) {
		run.publishers[i].resume = eventfd(0, EFD_CLOEXEC);
		if (run.publishers[i].resume < 0)
			stress_die("cannot make an eventfd");
	}
	run.executor = stasis_executor_create(&(struct stasis_executor_options){ .threads = 2 });
	for (uint32_t i = 0; i < N_ALL_SUBS; i++) {
		uint32_t topic = i / N_SUBS;

		if (i % N_SUBS == 0)
			run.topics[topic] = stasis_topic_create("stress");
		run.receivers[i] = stress_receiver_new(topic, stress->n_threads);
		run.subs[i] = stasis_subscribe_with(
			run.topics[topic], stress_receive, run.receivers[i],
			&(struct stasis_subscribe_options){ .executor = run.executor });
		if (run.subs[i] == NULL)
			stress_die("cannot subscribe");
	}
}

static void stopped_check(struct stress *stress)
{
	for (uint32_t i = 0; i < N_ALL_SUBS; i++) {
		stasis_unsubscribe_and_join(run.subs[i]);
		stress_receiver_check_ended(run.receivers[i]);
		for (unsigned p = 0; p < stress->n_threads; p++)
			stress_check(run.receivers[i]->runs[p].next ==
					     run.publishers[p].seqs[i / N_SUBS],
				     "subscription %u, publisher %u: %llu published, %llu seen", i,
				     p, (unsigned long long)run.publishers[p].seqs[i / N_SUBS],
				     (unsigned long long)run.receivers[i]->runs[p].next);
		free(run.receivers[i]);
	}
	stasis_executor_shutdown(run.executor);
	for (uint32_t t = 0; t < N_TOPICS; t++)
		stasis_object_unref(run.topics[t]);
	for (unsigned i = 0; i < stress->n_threads; i++)
		close(run.publishers[i].resume);
	free(run.publishers);
	printf("stopped %llu times of %llu tries, %llu by steps; %llu subscriptions waited; the "
	       "longest "
	       "stop took %.3f s\n",
	       (unsigned long long)run.n_stops, (unsigned long long)run.n_tries,
	       (unsigned long long)run.n_steps, (unsigned long long)run.n_holes, run.longest);
	stress_check(run.n_stops > 0, "nobody was stopped");
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Stops publishers in the middle of a publish; nobody else may wait for "
		       "them.",
		.ops = "messages published",
		.setup = stopped_setup,
		.thread = stopped_thread,
		.control = stopped_control,
		.check = stopped_check,
	};

	return stress_main(argc, argv, &program);
}
