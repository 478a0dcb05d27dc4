/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-hole.c — a publisher is stopped exactly between reserving its slot and filling it
 *
 * It is stepped through stasis_publish_take() instruction by instruction, until its subscription's
 * queue has a position that is reserved and not filled, and stays there for a second (half of the
 * time, if that is less). Meanwhile the other publishers publish to the same subscription, and to
 * another one. Where a processor cannot be stepped, or a sanitizer would be stepped through, the
 * two halves of the push are called from here.
 *
 * While it is stopped, what was published well before it goes on must have been delivered: that
 * holds on any machine. That no message waits longer than 5 ms holds on one that is not too busy,
 * which the other subscription, on the same workers and without a hole, tells: a round in which its
 * messages wait longer says nothing. In the end nothing is lost, and every publisher's order holds.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/compiler.h"
#include "bus/subscription.h"
#include "exec/executor.h"
#include "stress_bus.h"
#include "sync/membarrier.h"

#define STOP_NS UINT64_C(1000000000)
#define WAIT_NS_MAX UINT64_C(5000000)
/* Rounds in which the machine was quiet enough, before it is said that they wait. */
#define VALID_MIN 5u
#define LATE_NS UINT64_C(250000000)
#define PACE_US 2000u
#define N_SUBS 2u /* the first has the hole */

#if defined(__x86_64__) && !STI_TSAN && !STI_ASAN
#define CAN_STEP 1
#else
#define CAN_STEP 0
#endif

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topics[N_SUBS];
	struct stasis_subscription *subs[N_SUBS];
	struct stress_receiver *receivers[N_SUBS];
	/* by publisher */
	uint64_t (*seqs)[N_SUBS];
	_Atomic uint64_t longest[N_SUBS]; /* since the round began */
	_Atomic uint64_t begun;		  /* round the victim is to begin */
	_Atomic uint64_t held;		  /* round in which it is at the hole */
	_Atomic uint64_t done;		  /* round it has ended */
	_Atomic bool go_on;		  /* read by the signal handler, too */
	_Atomic bool others;		  /* may publish */
	uint64_t n_rounds, n_valid, n_good;
} run;

static void *find_hole(void)
{
	struct sti_ring *ring = atomic_load(&run.subs[0]->mailbox.tail.ring);
	uint64_t pos = sti_ring_pos(atomic_load(&ring->tail));

	if (pos == 0 || sti_ring_is_filled(ring->order, pos - 1,
					   atomic_load(&ring->slots[(pos - 1) & ring->mask])))
		return NULL;
	return ring;
}

/* Also called by the signal handler. */
static void stay(void)
{
	int saved = errno;

	atomic_store(&run.held, atomic_load(&run.begun));
	while (!atomic_load(&run.go_on))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	errno = saved;
}

#if CAN_STEP
#define TRAP_FLAG 0x100

static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *interrupted = context;

	if (find_hole() == NULL)
		return;
	interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	stay();
}

static void push_and_stop(struct stasis_message *message)
{
	/* From here on there is a SIGTRAP after every instruction. Below the red zone. */
	__asm__ __volatile__("leaq -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\t"
			     "popfq\n\tleaq 128(%%rsp), %%rsp" ::
				     : "memory", "cc");
	stress_check(stasis_publish_take(run.topics[0], message) == 0, "a message was not taken");
	__asm__ __volatile__("leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\t"
			     "popfq\n\tleaq 128(%%rsp), %%rsp" ::
				     : "memory", "cc");
}
#else
static void push_and_stop(struct stasis_message *message)
{
	struct sti_mailbox *mailbox = &run.subs[0]->mailbox;
	struct sti_ring *ring;
	uint64_t pos;

	sti_rcu_read_lock();
	ring = atomic_load(&mailbox->tail.ring);
	if (!sti_ring_reserve(ring, &pos)) {
		sti_rcu_read_unlock();
		stress_check(stasis_publish_take(run.topics[0], message) == 0, "not taken");
		return;
	}
	stay();
	if (sti_ring_put(&mailbox->tail, ring, pos, message) & STI_PUSH_WAKE)
		sti_executor_schedule(mailbox);
	sti_rcu_read_unlock();
}
#endif

static uint64_t age_ns(const struct stasis_message *message)
{
	const struct timeval *made = stasis_message_timestamp(message);
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)(now.tv_sec - made->tv_sec) * 1000000000 + now.tv_nsec -
	     (int64_t)made->tv_usec * 1000;
	return ns > 0 ? (uint64_t)ns : 0;
}

/* Callbacks of a subscription do not overlap. */
static void note_age(struct stress_receiver *receiver, struct stasis_subscription *sub,
		     struct stasis_message *message, bool final)
{
	uint64_t age = age_ns(message);
	const struct stress_datum *datum;

	if (final || stasis_message_type(message) != stress_type())
		return;
	datum = stasis_message_data(message);
	/* The one who is stopped is late. */
	if (datum->publisher != 0 && age > atomic_load(&run.longest[receiver->topic]))
		atomic_store(&run.longest[receiver->topic], age);
}

static void victim(struct stress_thread *self)
{
	/* A thread's first publish blocks signals for a moment, and must not be stepped through. */
	stress_check(stasis_publish_take(run.topics[0], stress_message(0, 0, run.seqs[0][0]++)) ==
			     0,
		     "a message was not taken");
	for (uint64_t round = 1; !stress_stopping(self->stress); usleep(1000)) {
		if (atomic_load(&run.begun) < round)
			continue;
		/* A push into a ring that is full or closed has no hole there. */
		do {
			push_and_stop(stress_message(0, 0, run.seqs[0][0]++));
			self->n_ops++;
		} while (atomic_load(&run.held) < round);
		atomic_store(&run.done, round++);
	}
}

static void hole_thread(struct stress_thread *self)
{
	if (self->index == 0) {
		victim(self);
		return;
	}
	while (!stress_stopping(self->stress)) {
		for (uint32_t t = 0; t < N_SUBS && atomic_load(&run.others); t++) {
			uint64_t seq = run.seqs[self->index][t]++;

			stress_check(stasis_publish_take(run.topics[t],
							 stress_message(self->index, t, seq)) == 0,
				     "a message was not taken");
			self->n_ops++;
		}
		/* Not to synchronize: a pace. */
		usleep(PACE_US / 2 + (useconds_t)stress_below(self, PACE_US));
	}
}

static void sleep_ns(uint64_t ns)
{
	nanosleep(&(struct timespec){ .tv_sec = (time_t)(ns / 1000000000),
				      .tv_nsec = (long)(ns % 1000000000) },
		  NULL);
}

static void await_round(_Atomic uint64_t *word, uint64_t round)
{
	while (atomic_load(word) < round)
		usleep(1000);
}

/* Stops the victim at a hole for so long. */
static void one_round(uint64_t stop_ns)
{
	uint64_t round = ++run.n_rounds;
	uint64_t late_ns = stop_ns / 2 < LATE_NS ? stop_ns / 2 : LATE_NS;
	uint64_t before, after, wait[N_SUBS];

	/* Alone, so that the hole it finds is its own. */
	atomic_store(&run.others, false);
	stasis_executor_drain(run.executor);
	usleep(2 * PACE_US);
	stasis_executor_drain(run.executor);
	atomic_store(&run.go_on, false);
	atomic_store(&run.begun, round);
	await_round(&run.held, round);
	stress_check(!CAN_STEP || find_hole() != NULL, "it has not stopped at a hole");
	for (unsigned i = 0; i < N_SUBS; i++)
		atomic_store(&run.longest[i], 0);
	atomic_store(&run.others, true);
	sleep_ns(stop_ns - late_ns);
	before = atomic_load_explicit(&run.receivers[0]->progress, memory_order_relaxed);
	sleep_ns(late_ns);
	after = atomic_load_explicit(&run.receivers[0]->progress, memory_order_relaxed);
	stress_check(after > before, "a subscription waits for a publisher that is stopped");
	for (unsigned i = 0; i < N_SUBS; i++)
		wait[i] = atomic_load(&run.longest[i]);
	atomic_store(&run.go_on, true);
	await_round(&run.done, round);
	if (after > before && wait[0] <= WAIT_NS_MAX)
		run.n_good++;
	if (wait[1] <= WAIT_NS_MAX)
		run.n_valid++;
	printf("round %llu: the longest wait of %llu messages behind the hole was %.3f ms, without "
	       "one %.3f ms\n",
	       (unsigned long long)round, (unsigned long long)after, (double)wait[0] / 1e6,
	       (double)wait[1] / 1e6);
}

static void hole_control(struct stress *stress)
{
	double end = stress_now() + stress->seconds;
	uint64_t stop_ns = (uint64_t)(stress->seconds * 0.5e9);

	/* One good round will do, but the machine may be busy. */
	do
		one_round(stop_ns < STOP_NS ? stop_ns : STOP_NS);
	while (stress_now() < end ||
	       (run.n_good == 0 && run.n_rounds < 20 && run.n_valid < VALID_MIN));
}

static void hole_setup(struct stress *stress)
{
	if (!sti_membarrier_is_usable()) {
		printf("no membarrier: nothing is taken over here\n");
		exit(77);
	}
#if CAN_STEP
	sigaction(SIGTRAP, &(struct sigaction){ .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO },
		  NULL);
#endif
	run.seqs = stress_alloc(stress->n_threads * sizeof(*run.seqs));
	run.executor = stasis_executor_create(&(struct stasis_executor_options){ .threads = 2 });
	for (uint32_t i = 0; i < N_SUBS; i++) {
		run.topics[i] = stasis_topic_create("hole");
		run.receivers[i] = stress_receiver_new(i, stress->n_threads);
		run.receivers[i]->hook = note_age;
		run.subs[i] = stasis_subscribe_with(run.topics[i], stress_receive, run.receivers[i],
						    &(struct stasis_subscribe_options){
							    .executor = run.executor });
		if (run.subs[i] == NULL)
			stress_die("cannot subscribe");
	}
}

static void hole_check(struct stress *stress)
{
	struct stasis_stats stats = { .size = sizeof(stats) };

	stasis_executor_drain(run.executor);
	stasis_stats_read(run.subs[0], &stats);
	printf("%llu places taken over in %llu rounds; in %llu no message waited long\n",
	       (unsigned long long)stats.taken_over, (unsigned long long)run.n_rounds,
	       (unsigned long long)run.n_good);
	stress_check(stats.taken_over >= run.n_rounds, "%llu places taken over",
		     (unsigned long long)stats.taken_over);
	stress_check(stats.published == stats.delivered, "%llu published, %llu delivered",
		     (unsigned long long)stats.published, (unsigned long long)stats.delivered);
	if (run.n_valid < VALID_MIN)
		printf("the machine is too busy to tell whether messages wait for 5 ms\n");
	stress_check(run.n_good > 0 || run.n_valid < VALID_MIN,
		     "messages wait for a publisher that is stopped");
	for (uint32_t i = 0; i < N_SUBS; i++) {
		stasis_unsubscribe_and_join(run.subs[i]);
		stress_receiver_check_ended(run.receivers[i]);
		for (unsigned p = 0; p < stress->n_threads; p++)
			stress_check(run.receivers[i]->runs[p].next == run.seqs[p][i],
				     "publisher %u: %llu published, %llu seen", p,
				     (unsigned long long)run.seqs[p][i],
				     (unsigned long long)run.receivers[i]->runs[p].next);
		free(run.receivers[i]);
	}
	stasis_executor_shutdown(run.executor);
	for (uint32_t i = 0; i < N_SUBS; i++)
		stasis_object_unref(run.topics[i]);
	free(run.seqs);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Stops a publisher between reserving a slot and filling it; nobody may wait "
		       "for it.",
		.ops = "messages published",
		.threads_min = 2,
		.setup = hole_setup,
		.thread = hole_thread,
		.control = hole_control,
		.check = hole_check,
	};

	return stress_main(argc, argv, &program);
}
