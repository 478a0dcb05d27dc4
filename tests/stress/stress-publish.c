/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-publish.c — many publishers, several topics, several subscriptions each, two executors
 *
 * Publishers use every way to publish. Everything is subscribed before the first message and ended
 * after the last, so every subscription must get every message of its topic, in each publisher's
 * order.
 */

#include <stdlib.h>

#include "stress_bus.h"

#define N_TOPICS 4u
#define N_SUBS 4u /* per topic */
#define BATCH_MAX 64u
#define OUTSTANDING_MAX 200000u

static struct {
	struct stasis_executor *executors[2];
	struct stasis_topic *topics[N_TOPICS];
	struct stasis_subscription *subs[N_TOPICS][N_SUBS];
	struct stress_receiver *receivers[N_TOPICS][N_SUBS];
	uint64_t (*n_published)[N_TOPICS]; /* per publisher; its own until it is joined */
	struct stress_balance foreign;
} bus;

static void release(void *data)
{
	atomic_fetch_add_explicit(&bus.foreign.freed, 1, memory_order_relaxed);
	free(data);
}

static struct stasis_message *foreign_message(uint32_t publisher, uint32_t topic, uint64_t seq)
{
	struct stress_datum *datum = stress_alloc(sizeof(*datum));
	struct stasis_message *message;

	*datum = (struct stress_datum){ .seq = seq, .publisher = publisher, .topic = topic };
	message = stasis_message_create_foreign(stress_type(), datum, release);
	if (message == NULL)
		stress_die("no memory for a message");
	atomic_fetch_add_explicit(&bus.foreign.made, 1, memory_order_relaxed);
	return message;
}

static void publish_batch(struct stress_thread *self, uint32_t topic, uint64_t *seq)
{
	struct stasis_message *messages[BATCH_MAX];
	size_t n = 1 + stress_below(self, BATCH_MAX);

	for (size_t i = 0; i < n; i++)
		messages[i] = stress_message(self->index, topic, (*seq)++);
	stress_check(stasis_publish_batch(bus.topics[topic], messages, n) == 0,
		     "a batch was not taken");
}

static void publish_one(struct stress_thread *self, uint32_t topic, uint64_t *seq)
{
	struct stasis_message *message;

	switch (stress_below(self, 4)) {
	case 0:
		message = stress_message(self->index, topic, (*seq)++);
		stress_check(stasis_publish(bus.topics[topic], message) == 0, "not taken");
		stasis_object_unref(message);
		break;
	case 1:
		message = foreign_message(self->index, topic, (*seq)++);
		stress_check(stasis_publish_take(bus.topics[topic], message) == 0, "not taken");
		break;
	case 2:
		publish_batch(self, topic, seq);
		break;
	default:
		message = stress_message(self->index, topic, (*seq)++);
		stress_check(stasis_publish_take(bus.topics[topic], message) == 0, "not taken");
		break;
	}
}

static void publish_thread(struct stress_thread *self)
{
	uint64_t *seqs = bus.n_published[self->index];

	while (!stress_stopping(self->stress)) {
		uint32_t topic = (uint32_t)stress_below(self, N_TOPICS);
		uint64_t before = seqs[topic];

		publish_one(self, topic, &seqs[topic]);
		self->n_ops += seqs[topic] - before;
		atomic_fetch_add_explicit(&stress_expected, (seqs[topic] - before) * N_SUBS,
					  memory_order_relaxed);
		stress_throttle(self->stress, OUTSTANDING_MAX);
	}
}

static void publish_setup(struct stress *stress)
{
	static const unsigned batches[N_SUBS] = { 0, 1, 7, 1000 };
	static const size_t capacities[N_SUBS] = { 0, 0, 4096, 100 };

	bus.n_published = stress_alloc(stress->n_threads * sizeof(bus.n_published[0]));
	bus.executors[0] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2, .wait = STASIS_WAIT_PARK });
	bus.executors[1] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 4 });
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		bus.topics[t] = stasis_topic_create("stress");
		for (uint32_t s = 0; s < N_SUBS; s++) {
			struct stasis_subscribe_options options = {
				.executor = bus.executors[(t + s) % 2],
				.batch = batches[s],
				.capacity = capacities[s],
			};

			bus.receivers[t][s] = stress_receiver_new(t, stress->n_threads);
			bus.subs[t][s] = stasis_subscribe_with(bus.topics[t], stress_receive,
							       bus.receivers[t][s], &options);
			if (bus.subs[t][s] == NULL)
				stress_die("cannot subscribe");
		}
	}
}

static void check_receiver(const struct stress *stress, uint32_t topic,
			   struct stress_receiver *receiver)
{
	for (uint32_t p = 0; p < stress->n_threads; p++) {
		uint64_t n = bus.n_published[p][topic];

		stress_check(receiver->runs[p].next == n && receiver->runs[p].first == 0,
			     "topic %u, publisher %u: %llu published, %llu to %llu seen", topic, p,
			     (unsigned long long)n, (unsigned long long)receiver->runs[p].first,
			     (unsigned long long)receiver->runs[p].next);
	}
	stress_receiver_check_ended(receiver);
}

static void publish_check(struct stress *stress)
{
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		for (uint32_t s = 0; s < N_SUBS; s++) {
			stasis_unsubscribe_and_join(bus.subs[t][s]);
			check_receiver(stress, t, bus.receivers[t][s]);
		}
	}
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(bus.executors[i]);
	for (uint32_t t = 0; t < N_TOPICS; t++) {
		stasis_object_unref(bus.topics[t]);
		for (uint32_t s = 0; s < N_SUBS; s++)
			free(bus.receivers[t][s]);
	}
	stress_balance_check(&bus.foreign, "foreign data");
	free(bus.n_published);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Publishes from many threads to several topics with several subscriptions.",
		.ops = "messages published",
		.setup = publish_setup,
		.thread = publish_thread,
		.check = publish_check,
	};

	return stress_main(argc, argv, &program);
}
