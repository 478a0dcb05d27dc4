/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-inline.c — publishers that deliver themselves, and pass on what they deliver
 *
 * Threads publish to the first of a row of topics, whose subscriptions are delivered to inline.
 * Each callback publishes what it is given to the next topic, deeper than inline delivery goes, and
 * now and then waits for the callback there. Everything comes once, in order, and never overlaps.
 */

#include <stdlib.h>

#include "stress_bus.h"

#define N_STAGES 12u
#define N_SUBS 2u
#define OUTSTANDING_MAX 5000u

struct stage {
	uint32_t index;
	uint32_t sub; /* one of N_SUBS; the first passes on */
	uint64_t *next;
	uint64_t n_data, n_finals, random;
	_Atomic int inside;
	struct stasis_subscription *handle;
};

static struct {
	struct stasis_executor *executor;
	struct stasis_topic *topics[N_STAGES];
	struct stage stages[N_STAGES][N_SUBS];
	uint64_t *n_published; /* per publisher */
	_Atomic uint64_t n_waited;
} row;

static void pass_on(struct stage *stage, struct stasis_message *message)
{
	uint32_t next = stage->index + 1;
	uint64_t dice = stress_random(&stage->random) % 16;
	int result = 0;

	if (next == N_STAGES || stage->sub != 0)
		return;
	if (dice < 2) {
		result = stasis_publish_sync(row.stages[next][dice].handle, message);
		atomic_fetch_add_explicit(&row.n_waited, result == 0, memory_order_relaxed);
	}
	if (dice >= 2)
		result = stasis_publish(row.topics[next], message);
	stress_check(result == 0, "stage %u: %d", next, result);
}

static void handle(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
	struct stage *stage = data;

	/* Relaxed: it must order nothing. */
	if (atomic_exchange_explicit(&stage->inside, 1, memory_order_relaxed) != 0)
		stress_violation("two callbacks of one subscription at once");
	stress_check(stage->n_finals == 0, "a message after the final message");
	stage->n_finals += stasis_subscription_final_message(sub, message) == 1;
	if (stasis_message_type(message) == stress_type()) {
		const struct stress_datum *datum = stasis_message_data(message);
		uint64_t *next = &stage->next[datum->publisher];

		stress_check(datum->seq == *next, "stage %u, publisher %u: %llu, expected %llu",
			     stage->index, datum->publisher, (unsigned long long)datum->seq,
			     (unsigned long long)*next);
		*next = datum->seq + 1;
		stage->n_data++;
		pass_on(stage, message);
		if (stage->index == N_STAGES - 1 && stage->sub == 0)
			atomic_fetch_add_explicit(&stress_delivered, 1, memory_order_relaxed);
	}
	atomic_store_explicit(&stage->inside, 0, memory_order_relaxed);
}

static void inline_thread(struct stress_thread *self)
{
	uint64_t seq = 0;

	while (!stress_stopping(self->stress)) {
		struct stasis_message *message = stress_message(self->index, 0, seq++);
		int result;

		/* Before: it may have gone all the way when the publish returns. */
		atomic_fetch_add_explicit(&stress_expected, 1, memory_order_relaxed);
		result = stress_below(self, 32) == 0 ?
				 stasis_publish_sync(row.stages[0][0].handle, message) :
				 stasis_publish(row.topics[0], message);
		stress_check(result == 0, "publish: %d", result);
		stasis_object_unref(message);
		stress_throttle(self->stress, OUTSTANDING_MAX);
		self->n_ops++;
	}
	row.n_published[self->index] = seq;
}

static void inline_setup(struct stress *stress)
{
	row.n_published = stress_alloc(stress->n_threads * sizeof(uint64_t));
	row.executor = stasis_executor_create(&(struct stasis_executor_options){
		.threads = 2, .wait = STASIS_WAIT_INLINE });
	for (uint32_t i = 0; i < N_STAGES; i++) {
		row.topics[i] = stasis_topic_create("row");
		for (uint32_t j = 0; j < N_SUBS; j++) {
			struct stage *stage = &row.stages[i][j];

			stage->index = i;
			stage->sub = j;
			stage->random = stress_seed(stress, 1000 + i * N_SUBS + j);
			stage->next = stress_alloc(stress->n_threads * sizeof(uint64_t));
			stage->handle = stasis_subscribe_with(
				row.topics[i], handle, stage,
				&(struct stasis_subscribe_options){ .executor = row.executor,
								    .batch = 1 + 7 * j });
			if (stage->handle == NULL)
				stress_die("cannot subscribe");
		}
	}
}

static void check_stage(const struct stress *stress, struct stage *stage)
{
	stasis_unsubscribe_and_join(stage->handle);
	stress_check(stage->n_finals == 1, "%llu final messages",
		     (unsigned long long)stage->n_finals);
	for (uint32_t p = 0; p < stress->n_threads; p++)
		stress_check(stage->next[p] == row.n_published[p],
			     "stage %u, publisher %u: %llu published, %llu seen", stage->index, p,
			     (unsigned long long)row.n_published[p],
			     (unsigned long long)stage->next[p]);
	free(stage->next);
}

static void inline_check(struct stress *stress)
{
	/* In the order of the row: what a stage has is passed on before its final message. */
	for (uint32_t i = 0; i < N_STAGES; i++) {
		for (uint32_t j = 0; j < N_SUBS; j++)
			check_stage(stress, &row.stages[i][j]);
	}
	stress_check(atomic_load(&row.n_waited) > 0, "nobody waited");
	stasis_executor_shutdown(row.executor);
	for (uint32_t i = 0; i < N_STAGES; i++)
		stasis_object_unref(row.topics[i]);
	free(row.n_published);
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Publishes to a row of subscriptions that are delivered to inline.",
		.ops = "messages published",
		.threads_min = 4,
		.setup = inline_setup,
		.thread = inline_thread,
		.check = inline_check,
	};

	return stress_main(argc, argv, &program);
}
