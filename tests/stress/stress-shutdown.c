/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-shutdown.c — executors are made, used, drained, shut down and replaced all the time
 *
 * Four places hold executors; one of them stands for the default executor. Managers replace them
 * and shut the old ones down, others subscribe to whatever is there, publishers publish. After a
 * shutdown has returned, nothing of that executor may be delivered but final messages, and those
 * within the unsubscribe that causes them.
 */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "stress_bus.h"

#define N_TOPICS 2u
#define N_PLACES 4u /* the last: the default executor */
#define DEFAULT_PLACE (N_PLACES - 1)
#define N_MANAGERS N_PLACES

/* An executor and what the test knows of it; freed when nobody refers to it. */
struct owner {
	struct stasis_executor *executor;
	_Atomic bool down; /* relaxed: shutdown has returned */
	_Atomic unsigned refs;
};

static struct {
	struct stasis_topic *topics[N_TOPICS];
	pthread_mutex_t lock;
	struct owner *places[N_PLACES]; /* under lock */
	uint32_t n_publishers;
	_Atomic uint64_t n_refused; /* sum of what publish returned */
	_Atomic uint64_t n_dropped; /* sum of what subscriptions counted */
	_Atomic uint64_t n_shutdowns;
	struct stress_balance objects;
	struct stress_balance finals;
} bus = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* The subscription that this thread is ending: its final message may be delivered here. */
static __thread struct stress_receiver *ending;

static void owner_unref(struct owner *owner)
{
	if (atomic_fetch_sub(&owner->refs, 1) == 1)
		free(owner);
}

static struct owner *owner_new(struct stasis_executor *executor)
{
	struct owner *owner = stress_alloc(sizeof(*owner));

	owner->executor = executor;
	atomic_init(&owner->refs, 1);
	return owner;
}

static struct stasis_executor *executor_new(struct stress_thread *self)
{
	struct stasis_executor_options options = {
		.threads = 1 + (unsigned)stress_below(self, 3),
		.wait = (enum stasis_wait)stress_below(self, 2),
	};
	struct stasis_executor *executor = stasis_executor_create(&options);

	if (executor == NULL)
		stress_die("cannot make an executor: %s", strerror(errno));
	return executor;
}

static void note_deleted(void *object)
{
	atomic_fetch_add_explicit(&bus.objects.freed, 1, memory_order_relaxed);
}

static struct stasis_message *object_message(uint32_t publisher, uint32_t topic, uint64_t seq)
{
	struct stress_datum *datum = stasis_object_alloc(sizeof(*datum), note_deleted);
	struct stasis_message *message;

	*datum = (struct stress_datum){ .seq = seq, .publisher = publisher, .topic = topic };
	message = stasis_message_create(stress_type(), datum);
	stasis_object_unref(datum);
	atomic_fetch_add_explicit(&bus.objects.made, 1, memory_order_relaxed);
	return message;
}

static void publish_thread(struct stress_thread *self)
{
	uint64_t seqs[N_TOPICS] = { 0 };

	while (!stress_stopping(self->stress)) {
		uint32_t topic = (uint32_t)stress_below(self, N_TOPICS);
		int result = stasis_publish_take(bus.topics[topic],
						 object_message(self->index, topic, seqs[topic]++));

		stress_check(result >= 0, "publish returned %d", result);
		atomic_fetch_add_explicit(&bus.n_refused, (uint64_t)result, memory_order_relaxed);
		self->n_ops++;
		/* Nobody knows how many will be delivered: a pause now and then must do. */
		if (self->n_ops % 64 == 0)
			sched_yield();
	}
}

static void watch(struct stress_receiver *receiver, struct stasis_subscription *sub,
		  struct stasis_message *message, bool final)
{
	struct owner *owner = receiver->user;

	if (!atomic_load_explicit(&owner->down, memory_order_relaxed))
		return;
	stress_check(final, "a message after the shutdown of its executor");
	stress_check(ending == receiver, "a final message outside the unsubscribe, after shutdown");
}

static void end(struct stress_receiver *receiver, struct stasis_subscription *sub)
{
	struct owner *owner = receiver->user;
	struct stasis_stats stats = { 0 };
	bool down = atomic_load_explicit(&owner->down, memory_order_relaxed);

	ending = receiver;
	stasis_unsubscribe(stasis_object_ref(sub));
	stress_check(!down || stasis_subscription_is_done(sub),
		     "not done although the executor was shut down");
	stress_check(stasis_subscription_join(sub) == 0, "cannot join");
	ending = NULL;
	stress_receiver_check_ended(receiver);
	stasis_stats_read(sub, &stats);
	stress_check(stats.delivered == receiver->n_calls, "%llu callbacks, %llu counted",
		     (unsigned long long)receiver->n_calls, (unsigned long long)stats.delivered);
	stress_check(stats.published == stats.delivered && stats.depth == 0,
		     "%llu taken, %llu delivered", (unsigned long long)stats.published,
		     (unsigned long long)stats.delivered);
	atomic_fetch_add_explicit(&bus.n_dropped, stats.dropped, memory_order_relaxed);
	atomic_store_explicit(&receiver->closed, true, memory_order_relaxed);
	atomic_fetch_add_explicit(&bus.finals.freed, receiver->n_finals, memory_order_relaxed);
	stasis_object_unref(sub);
	owner_unref(owner);
	free(receiver);
}

static struct owner *borrow(uint32_t place)
{
	struct owner *owner;

	pthread_mutex_lock(&bus.lock);
	owner = bus.places[place];
	atomic_fetch_add(&owner->refs, 1);
	/* Its own reference: the manager may consume the other at any time. */
	stasis_object_ref(owner->executor);
	pthread_mutex_unlock(&bus.lock);
	return owner;
}

static void subscribe_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress)) {
		uint32_t topic = (uint32_t)stress_below(self, N_TOPICS);
		struct owner *owner = borrow((uint32_t)stress_below(self, N_PLACES));
		struct stress_receiver *receiver = stress_receiver_new(topic, bus.n_publishers);
		struct stasis_subscribe_options options = { .executor = owner->executor };
		struct stasis_subscription *sub;

		receiver->user = owner;
		receiver->hook = watch;
		errno = 0;
		sub = stasis_subscribe_with(bus.topics[topic], stress_receive, receiver, &options);
		stress_check(sub != NULL || errno == ESHUTDOWN, "subscribe: %s", strerror(errno));
		stasis_object_unref(options.executor);
		if (sub == NULL) {
			stress_check(receiver->n_calls == 0, "called without a subscription");
			owner_unref(owner);
			free(receiver);
			continue;
		}
		atomic_fetch_add_explicit(&bus.finals.made, 1, memory_order_relaxed);
		self->n_ops++;
		for (uint64_t spins = stress_below(self, 50); spins > 0; spins--)
			sched_yield();
		end(receiver, sub);
	}
}

/* Replaces the executor of a place; returns the old one, with the place's reference. */
static struct owner *replace(struct stress_thread *self, uint32_t place)
{
	struct owner *fresh, *old;

	if (place == DEFAULT_PLACE) {
		/* Only this thread sets it, so the next default is a fresh one of the library's.
		 * The old one lives on by the reference that its owner has. */
		stress_check(stasis_executor_set_default(NULL) == 0, "set_default");
		fresh = owner_new(stasis_object_ref(stasis_executor_default()));
	} else {
		fresh = owner_new(executor_new(self));
	}
	pthread_mutex_lock(&bus.lock);
	old = bus.places[place];
	bus.places[place] = fresh;
	pthread_mutex_unlock(&bus.lock);
	return old;
}

static void put_down(struct stress_thread *self, struct owner *old)
{
	struct stasis_executor *executor = old->executor;

	if (self != NULL && stress_below(self, 2))
		stress_check(stasis_executor_drain(executor) == 0, "drain");
	if (self != NULL && stress_below(self, 8) == 0) {
		/* Dropped without a shutdown: subscriptions keep it going. */
		stasis_object_unref(executor);
	} else {
		stress_check(stasis_executor_shutdown(executor) == NULL, "shutdown");
		atomic_store_explicit(&old->down, true, memory_order_relaxed);
		atomic_fetch_add_explicit(&bus.n_shutdowns, 1, memory_order_relaxed);
	}
	owner_unref(old);
}

static void manage_thread(struct stress_thread *self, uint32_t place)
{
	while (!stress_stopping(self->stress)) {
		for (uint64_t spins = stress_below(self, 100); spins > 0; spins--)
			sched_yield();
		put_down(self, replace(self, place));
	}
}

static void shutdown_thread(struct stress_thread *self)
{
	if (self->index < bus.n_publishers)
		publish_thread(self);
	else if (self->index < bus.n_publishers + N_MANAGERS)
		manage_thread(self, self->index - bus.n_publishers);
	else
		subscribe_thread(self);
}

static void shutdown_setup(struct stress *stress)
{
	bus.n_publishers = stress->n_threads / 4;
	for (uint32_t t = 0; t < N_TOPICS; t++)
		bus.topics[t] = stasis_topic_create("stress");
	for (uint32_t i = 0; i < N_PLACES; i++) {
		struct stasis_executor *executor =
			i == DEFAULT_PLACE ? stasis_object_ref(stasis_executor_default()) :
					     stasis_executor_create(NULL);

		if (executor == NULL)
			stress_die("cannot make an executor");
		bus.places[i] = owner_new(executor);
	}
}

static void shutdown_check(struct stress *stress)
{
	uint64_t refused = atomic_load(&bus.n_refused), dropped = atomic_load(&bus.n_dropped);

	stress_check(stasis_executor_set_default(NULL) == 0, "set_default");
	for (uint32_t i = 0; i < N_PLACES; i++)
		put_down(NULL, bus.places[i]);
	stress_check(refused <= dropped, "%llu refused, %llu counted as dropped",
		     (unsigned long long)refused, (unsigned long long)dropped);
	stress_check(atomic_load(&bus.n_shutdowns) > N_PLACES, "nothing was shut down");
	stress_balance_check(&bus.objects, "objects");
	stress_balance_check(&bus.finals, "subscriptions and final messages");
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		stress_check(stasis_topic_subscribers(bus.topics[t]) == 0, "subscribers left");
		stasis_object_unref(bus.topics[t]);
	}
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Shuts executors down and replaces them while they are in use.",
		.ops = "messages published and subscriptions made",
		.threads_min = 12,
		.setup = shutdown_setup,
		.thread = shutdown_thread,
		.check = shutdown_check,
	};

	return stress_main(argc, argv, &program);
}
