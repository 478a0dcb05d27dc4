/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-churn.c — subscriptions come and go while others publish
 *
 * A quarter of the threads publish. The others subscribe, see some messages, and unsubscribe in one
 * of several ways. Publishers count messages begun and completed, so a subscription knows what it
 * must have seen and what it must not:
 *
 *   begun before its subscribe, completed after:  may be seen
 *   completed before its subscribe:               not seen
 *   begun after it returned, completed before its unsubscribe: seen
 *   begun after its unsubscribe returned:         not seen
 *
 * Both counters are advanced and read by read-modify-writes, so "before" is a happens-before.
 */

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "stress_bus.h"

#define N_TOPICS 3u
#define PUBLISHERS_MAX 32u
#define OUTSTANDING_MAX 20000u
#define GRAVES 32u

struct counter {
	_Alignas(64) _Atomic uint64_t begun;
	_Atomic uint64_t completed;
};

/* The counters of all publishers of a topic, at four moments of a subscription. */
struct churner {
	struct stress_marks marks[PUBLISHERS_MAX];
	uint64_t end_after; /* ends itself at this datum; 0: does not */
	bool join_inside;
};

/* Of a receiver that is done: it stays for a while to see whether something still comes. */
struct grave {
	struct stress_receiver *receiver;
	uint64_t n_calls;
};

static struct {
	struct stasis_executor *executors[2];
	struct stasis_topic *topics[N_TOPICS];
	struct counter counters[N_TOPICS][PUBLISHERS_MAX];
	uint32_t n_publishers;
	struct stasis_subscription *observers[N_TOPICS];
	struct stress_receiver *observed[N_TOPICS];
	_Atomic uint64_t n_subscribed[N_TOPICS];
} bus;

static uint64_t look(_Atomic uint64_t *counter)
{
	return atomic_fetch_add_explicit(counter, 0, memory_order_acq_rel);
}

static void publish_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress)) {
		uint32_t topic = (uint32_t)stress_below(self, N_TOPICS);
		struct counter *counter = &bus.counters[topic][self->index];
		uint64_t seq = atomic_fetch_add_explicit(&counter->begun, 1, memory_order_acq_rel);
		int result = stasis_publish_take(bus.topics[topic],
						 stress_message(self->index, topic, seq));

		atomic_fetch_add_explicit(&counter->completed, 1, memory_order_acq_rel);
		stress_check(result == 0, "a publish was not taken by %d", result);
		atomic_fetch_add_explicit(&stress_expected, 1, memory_order_relaxed);
		stress_throttle(self->stress, OUTSTANDING_MAX);
		self->n_ops++;
	}
}

static void mark_before_end(struct stress_receiver *receiver)
{
	struct churner *churner = receiver->user;

	for (uint32_t p = 0; p < bus.n_publishers; p++)
		churner->marks[p].completed_at = look(&bus.counters[receiver->topic][p].completed);
}

static void mark_after_end(struct stress_receiver *receiver)
{
	struct churner *churner = receiver->user;

	for (uint32_t p = 0; p < bus.n_publishers; p++)
		churner->marks[p].begun_after = look(&bus.counters[receiver->topic][p].begun);
}

static void end_inside(struct stress_receiver *receiver, struct stasis_subscription *sub,
		       struct stasis_message *message, bool final)
{
	struct churner *churner = receiver->user;

	/* Only the observers' deliveries are waited for. */
	if (stasis_message_type(message) == stress_type())
		atomic_fetch_sub_explicit(&stress_delivered, 1, memory_order_relaxed);
	if (final || receiver->n_calls != churner->end_after)
		return;
	mark_before_end(receiver);
	if (churner->join_inside)
		stasis_unsubscribe_and_join(stasis_object_ref(sub));
	else
		stasis_unsubscribe(stasis_object_ref(sub));
	mark_after_end(receiver);
}

static void bury(struct stress_thread *self, struct grave *graves, struct stress_receiver *receiver)
{
	struct grave *grave = &graves[stress_below(self, GRAVES)];

	atomic_store_explicit(&receiver->closed, true, memory_order_relaxed);
	if (grave->receiver != NULL) {
		stress_check(grave->receiver->n_calls == grave->n_calls, "a callback after join");
		free(grave->receiver->user);
		free(grave->receiver);
	}
	*grave = (struct grave){ receiver, receiver->n_calls };
}

/* Ends a subscription from outside, and waits until it is done. */
static void end_outside(struct stress_thread *self, struct stress_receiver *receiver,
			struct stasis_subscription *sub)
{
	switch (stress_below(self, 3)) {
	case 0:
		mark_before_end(receiver);
		stasis_unsubscribe_and_join(sub);
		mark_after_end(receiver);
		break;
	case 1:
		mark_before_end(receiver);
		stasis_unsubscribe(stasis_object_ref(sub));
		mark_after_end(receiver);
		stress_check(!stasis_subscription_is_subscribed(sub), "still subscribed");
		stress_check(stasis_subscription_join(sub) == 0, "cannot join");
		stasis_object_unref(sub);
		break;
	case 2:
		mark_before_end(receiver);
		stasis_unsubscribe(stasis_object_ref(sub));
		mark_after_end(receiver);
		while (!stasis_subscription_is_done(sub))
			sched_yield();
		stasis_object_unref(sub);
		break;
	}
}

static void churn_once(struct stress_thread *self, struct grave *graves)
{
	uint32_t topic = (uint32_t)stress_below(self, N_TOPICS);
	struct stress_receiver *receiver = stress_receiver_new(topic, bus.n_publishers);
	struct churner *churner = stress_alloc(sizeof(*churner));
	struct stasis_subscribe_options options = {
		.executor = bus.executors[stress_below(self, 2)],
		.batch = stress_below(self, 2) ? 0 : 3,
	};
	struct stasis_subscription *sub;

	receiver->user = churner;
	receiver->hook = end_inside;
	if (stress_below(self, 3) == 0) {
		churner->end_after = 1 + stress_below(self, 20);
		churner->join_inside = stress_below(self, 2);
	}
	for (uint32_t p = 0; p < bus.n_publishers; p++)
		churner->marks[p].completed_before = look(&bus.counters[topic][p].completed);
	sub = stasis_subscribe_with(bus.topics[topic], stress_receive, receiver, &options);
	if (sub == NULL)
		stress_die("cannot subscribe");
	atomic_fetch_add_explicit(&bus.n_subscribed[topic], 1, memory_order_relaxed);
	/* Of a subscription that ends itself, only this thread may touch these two. */
	for (uint32_t p = 0; p < bus.n_publishers; p++)
		churner->marks[p].begun_at = look(&bus.counters[topic][p].begun);
	if (churner->end_after > 0) {
		/* Nobody may publish any more: then it would wait for ever. */
		while (!stasis_subscription_is_done(sub) && !stress_stopping(self->stress))
			sched_yield();
		stasis_unsubscribe_and_join(sub);
	} else {
		for (uint64_t spins = stress_below(self, 30); spins > 0; spins--)
			sched_yield();
		end_outside(self, receiver, sub);
	}
	stress_receiver_check_ended(receiver);
	if (churner->end_after == 0 || churner->marks[0].begun_after != 0) {
		for (uint32_t p = 0; p < bus.n_publishers; p++)
			stress_run_check(&receiver->runs[p], &churner->marks[p], p);
	}
	bury(self, graves, receiver);
	self->n_ops++;
}

static void churn_thread(struct stress_thread *self)
{
	struct grave graves[GRAVES] = { 0 };

	if (self->index < bus.n_publishers) {
		publish_thread(self);
		return;
	}
	while (!stress_stopping(self->stress))
		churn_once(self, graves);
	for (uint32_t i = 0; i < GRAVES; i++) {
		if (graves[i].receiver == NULL)
			continue;
		stress_check(graves[i].receiver->n_calls == graves[i].n_calls,
			     "a callback after join");
		free(graves[i].receiver->user);
		free(graves[i].receiver);
	}
}

static void churn_setup(struct stress *stress)
{
	bus.n_publishers = stress->n_threads / 4;
	if (bus.n_publishers > PUBLISHERS_MAX)
		bus.n_publishers = PUBLISHERS_MAX;
	bus.executors[0] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2 });
	bus.executors[1] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 3, .wait = STASIS_WAIT_PARK });
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		struct stasis_subscribe_options options = { .executor = bus.executors[t % 2] };

		bus.topics[t] = stasis_topic_create("stress");
		bus.observed[t] = stress_receiver_new(t, bus.n_publishers);
		bus.observers[t] = stasis_subscribe_with(bus.topics[t], stress_receive,
							 bus.observed[t], &options);
		if (bus.observers[t] == NULL)
			stress_die("cannot subscribe");
	}
}

/* Subscriptions let go of their topic shortly after their end. */
static void await_refs(const struct stasis_topic *topic, unsigned refs)
{
	double end = stress_now() + 60;

	while (stasis_object_refs(topic) > refs && stress_now() < end)
		sched_yield();
	stress_check(stasis_object_refs(topic) == refs, "%u references to a topic left",
		     stasis_object_refs(topic));
}

static void churn_check(struct stress *stress)
{
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		struct stress_receiver *observed = bus.observed[t];
		uint64_t n = atomic_load(&bus.n_subscribed[t]);

		stress_check(stasis_topic_subscribers(bus.topics[t]) == 1,
			     "topic %u: %zu subscribers left", t,
			     stasis_topic_subscribers(bus.topics[t]));
		stasis_unsubscribe_and_join(bus.observers[t]);
		stress_receiver_check_ended(observed);
		stress_check(observed->n_subscribes == n + 1 && observed->n_unsubscribes == n,
			     "topic %u: %llu came and went, %llu and %llu seen", t,
			     (unsigned long long)n, (unsigned long long)observed->n_subscribes,
			     (unsigned long long)observed->n_unsubscribes);
		for (uint32_t p = 0; p < bus.n_publishers; p++)
			stress_check(observed->runs[p].next == look(&bus.counters[t][p].begun),
				     "topic %u, publisher %u: messages lost", t, p);
		free(observed);
	}
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(bus.executors[i]);
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		await_refs(bus.topics[t], 1);
		stasis_object_unref(bus.topics[t]);
	}
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Subscribes and unsubscribes from many threads while others publish.",
		.ops = "messages published and subscriptions made",
		.threads_min = 8,
		.setup = churn_setup,
		.thread = churn_thread,
		.check = churn_check,
	};

	return stress_main(argc, argv, &program);
}
