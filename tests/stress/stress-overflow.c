/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-overflow.c — many publishers, slow consumers, small queues: every policy keeps its books
 *
 * All threads publish to one topic with a subscription of every policy and several capacities. Of
 * what was published, each subscription has handled or dropped exactly all; GROW and BLOCK have
 * dropped nothing; what publishers were told adds up to what was refused. Each publisher's messages
 * come in order. No queue is ever longer than its capacity, and the calls that tell of congestion
 * alternate and do not overlap. One thread subscribes and unsubscribes meanwhile.
 */

#include <sched.h>
#include <stdlib.h>

#include "bus/subscription.h"
#include "stress_bus.h"

#define N_POLICIES 5u
#define N_CAPACITIES 4u
#define N_SUBS (N_POLICIES * N_CAPACITIES)
#define BATCH_MAX 24u

static const size_t capacities[N_CAPACITIES] = { 1, 2, 16, 256 };

struct consumer {
	struct stasis_subscription *sub;
	enum stasis_overflow overflow;
	size_t capacity;
	uint64_t *next; /* per publisher */
	uint64_t n_data, n_changes, n_finals;
	uint64_t random;
	_Atomic int inside;
	/* congestion: its calls only */
	_Atomic int telling;
	bool congested;
	uint64_t n_told;
};

static struct {
	struct stasis_executor *executors[2];
	struct stasis_topic *topic;
	struct consumer consumers[N_SUBS];
	uint32_t n_publishers;
	_Atomic uint64_t n_published, n_refused, n_changes;
} bus;

static void consume(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct consumer *consumer = data;

	/* Relaxed: it must order nothing. */
	if (atomic_exchange_explicit(&consumer->inside, 1, memory_order_relaxed) != 0)
		stress_violation("two callbacks of one subscription at once");
	stress_check(consumer->n_finals == 0, "a message after the final message");
	if (stasis_message_type(message) == stress_type()) {
		const struct stress_datum *datum = stasis_message_data(message);
		uint64_t *next = &consumer->next[datum->publisher];
		bool lossless = consumer->overflow == STASIS_OVERFLOW_GROW ||
				consumer->overflow == STASIS_OVERFLOW_BLOCK;

		stress_check(lossless ? datum->seq == *next : datum->seq >= *next,
			     "publisher %u: message %llu, expected %llu", datum->publisher,
			     (unsigned long long)datum->seq, (unsigned long long)*next);
		*next = datum->seq + 1;
		consumer->n_data++;
	} else {
		consumer->n_changes++;
	}
	consumer->n_finals += stasis_subscription_final_message(sub, message) == 1;
	for (uint64_t spins = stress_random(&consumer->random) % 64; spins > 60; spins--)
		sched_yield();
	atomic_store_explicit(&consumer->inside, 0, memory_order_relaxed);
}

static void tell(void *data, struct stasis_subscription *sub, bool congested)
{
	struct consumer *consumer = data;

	if (atomic_exchange_explicit(&consumer->telling, 1, memory_order_relaxed) != 0)
		stress_violation("two calls about congestion at once");
	stress_check(consumer->congested != congested, "told twice that it is %s",
		     congested ? "congested" : "not congested");
	consumer->congested = congested;
	consumer->n_told++;
	atomic_store_explicit(&consumer->telling, 0, memory_order_relaxed);
}

static size_t depth_of(const struct consumer *consumer)
{
	uint64_t depth;

	sti_rcu_read_lock();
	depth = sti_mpsc_depth(&consumer->sub->mailbox.head);
	sti_rcu_read_unlock();
	return depth;
}

static void look(struct stress_thread *self)
{
	const struct consumer *consumer = &bus.consumers[stress_below(self, N_SUBS)];
	size_t depth = depth_of(consumer);

	/* BLOCK takes changes of subscriptions beyond its capacity. */
	if (consumer->overflow >= STASIS_OVERFLOW_DROP_NEWEST)
		stress_check(depth <= consumer->capacity, "%zu queued of %zu", depth,
			     consumer->capacity);
}

static void churn(struct stress_thread *self)
{
	struct consumer passing = { .random = self->random, .overflow = STASIS_OVERFLOW_REJECT };
	struct stasis_subscribe_options options = {
		.executor = bus.executors[stress_below(self, 2)],
		.capacity = 1 + stress_below(self, 8),
		.overflow = (enum stasis_overflow)stress_below(self, N_POLICIES),
	};
	struct stasis_subscription *sub;

	passing.next = stress_alloc(bus.n_publishers * sizeof(*passing.next));
	sub = stasis_subscribe_with(bus.topic, consume, &passing, &options);
	if (sub == NULL)
		stress_die("cannot subscribe");
	for (uint64_t spins = stress_below(self, 20); spins > 0; spins--)
		sched_yield();
	stasis_unsubscribe_and_join(sub);
	stress_check(passing.n_finals == 1, "%llu final messages",
		     (unsigned long long)passing.n_finals);
	free(passing.next);
	atomic_fetch_add(&bus.n_changes, 2);
	self->n_ops++;
}

static size_t publish_some(struct stress_thread *self, uint64_t seq)
{
	struct stasis_message *messages[BATCH_MAX];
	size_t n = 1 + stress_below(self, stress_below(self, 4) == 0 ? BATCH_MAX : 1);
	int result;

	for (size_t i = 0; i < n; i++)
		messages[i] = stress_message(self->index, 0, seq + i);
	result = n > 1 ? stasis_publish_batch(bus.topic, messages, n) :
			 stasis_publish_take(bus.topic, messages[0]);
	stress_check(result >= 0, "publish: %d", result);
	atomic_fetch_add_explicit(&bus.n_refused, (uint64_t)result, memory_order_relaxed);
	atomic_fetch_add_explicit(&bus.n_published, n, memory_order_relaxed);
	return n;
}

static void overflow_thread(struct stress_thread *self)
{
	uint64_t seq = 0;

	while (!stress_stopping(self->stress)) {
		if (self->index == 0) {
			churn(self);
			continue;
		}
		seq += publish_some(self, seq);
		look(self);
		self->n_ops++;
		/* GROW is bounded by nobody else. */
		while (depth_of(&bus.consumers[0]) > 10000 && !stress_stopping(self->stress))
			sched_yield();
	}
}

static void overflow_setup(struct stress *stress)
{
	bus.n_publishers = stress->n_threads;
	bus.topic = stasis_topic_create("overflow");
	bus.executors[0] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2 });
	bus.executors[1] = stasis_executor_create(&(struct stasis_executor_options){
		.threads = 1, .wait = STASIS_WAIT_INLINE });
	for (uint32_t i = 0; i < N_SUBS; i++) {
		struct consumer *consumer = &bus.consumers[i];
		size_t capacity = capacities[i / N_POLICIES];

		*consumer = (struct consumer){
			.overflow = (enum stasis_overflow)(i % N_POLICIES),
			.capacity = capacity,
			.next = stress_alloc(bus.n_publishers * sizeof(uint64_t)),
			.random = stress_seed(stress, 1000 + i),
		};
		consumer->sub = stasis_subscribe_with(
			bus.topic, consume, consumer,
			&(struct stasis_subscribe_options){
				.executor = bus.executors[(i / N_POLICIES) % 2],
				.capacity = capacity,
				.overflow = consumer->overflow,
				.low_water = capacity / 4,
				.high_water = capacity - capacity / 4,
				.on_congestion = tell,
			});
		if (consumer->sub == NULL)
			stress_die("cannot subscribe");
	}
}

static uint64_t check_consumer(const struct consumer *consumer, uint32_t index)
{
	struct stasis_stats stats = { 0 };
	/* Each saw itself and those after it come, those before it go, and itself. */
	uint64_t n_changes = atomic_load(&bus.n_changes) + (N_SUBS - index) + index + 1;
	uint64_t n_published = atomic_load(&bus.n_published);

	stasis_stats_read(consumer->sub, &stats);
	stress_check(consumer->n_data + consumer->n_changes + stats.dropped ==
			     n_published + n_changes,
		     "subscription %u: %llu and %llu handled, %llu dropped of %llu and %llu", index,
		     (unsigned long long)consumer->n_data, (unsigned long long)consumer->n_changes,
		     (unsigned long long)stats.dropped, (unsigned long long)n_published,
		     (unsigned long long)n_changes);
	stress_check(stats.delivered == consumer->n_data + consumer->n_changes, "delivered");
	stress_check(consumer->n_finals == 1, "%llu final messages",
		     (unsigned long long)consumer->n_finals);
	stress_check(!consumer->congested, "subscription %u: congested at the end", index);
	if (consumer->overflow == STASIS_OVERFLOW_GROW ||
	    consumer->overflow == STASIS_OVERFLOW_BLOCK)
		stress_check(stats.dropped == 0, "subscription %u: dropped", index);
	return consumer->overflow == STASIS_OVERFLOW_DROP_OLDEST ? 0 : stats.dropped;
}

static void overflow_check(struct stress *stress)
{
	uint64_t dropped = 0, told = 0;

	for (uint32_t i = 0; i < N_SUBS; i++)
		stasis_unsubscribe_and_join(stasis_object_ref(bus.consumers[i].sub));
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(bus.executors[i]);
	for (uint32_t i = 0; i < N_SUBS; i++) {
		dropped += check_consumer(&bus.consumers[i], i);
		told += bus.consumers[i].n_told;
	}
	/* Changes are refused too, and nobody is told; those who came and went refused some. */
	stress_check(atomic_load(&bus.n_refused) > 0 && dropped > 0, "nothing was ever refused");
	stress_check(told > 0, "nobody was ever congested");
	for (uint32_t i = 0; i < N_SUBS; i++) {
		stasis_object_unref(bus.consumers[i].sub);
		free(bus.consumers[i].next);
	}
	stasis_object_unref(bus.topic);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Publishes to small queues of every overflow policy.",
		.ops = "publishes, and subscriptions made",
		.threads_min = 8,
		.setup = overflow_setup,
		.thread = overflow_thread,
		.check = overflow_check,
	};

	return stress_main(argc, argv, &program);
}
