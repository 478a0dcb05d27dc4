/* SPDX-License-Identifier: BSD-2-Clause */
/* test_out_of_memory.c — every allocation fails once, in turn: no leak, no crash, and the final
 * message all the same */

#include <stdlib.h>

#include "bus_fixture.h"
#include "faulty.h"
#include "sync/rcu.h"

/* More than the first ring holds, so that queues grow. */
#define N_MESSAGES 100u

static int n_created, n_released;

static void release(void *data)
{
	__atomic_fetch_add(&n_released, 1, __ATOMIC_RELAXED);
}

/* What a caller may be told when there is no memory. Everything else is a bug. */
static void expect_memory_error(const void *handle)
{
	if (handle == NULL)
		cr_assert(errno == ENOMEM || errno == EAGAIN, "%s", strerror(errno));
}

static struct stasis_message *make_message(struct stasis_message_type *type, unsigned i)
{
	static struct datum nought;
	struct stasis_message *message = NULL;
	void *object;

	errno = 0;
	switch (i % 4) {
	case 0:
		message = stasis_message_create_foreign(type, &nought, release);
		n_created += message != NULL;
		break;
	case 1:
		object = stasis_object_alloc(sizeof(struct datum), release);
		n_created += object != NULL;
		if (object != NULL)
			message = stasis_message_create(type, object);
		stasis_object_unref(object);
		break;
	case 2:
		message = stasis_message_create_inline(type, &nought, sizeof(nought));
		break;
	case 3:
		message = stasis_message_create_inline(type, (char[3000]){ 0 }, 3000);
		break;
	}
	if (message == NULL)
		cr_assert_eq(errno, ENOMEM, "%s", strerror(errno));
	return message;
}

struct scenario {
	struct stasis_topic *topic;
	struct stasis_message_type *type;
	struct stasis_executor *executor;
	struct stasis_subscription *subs[2];
	struct probe probes[2];
	struct gate holds[2];
	size_t n_published; /* taken by all, or counted as dropped */
	size_t n_dropped;
};

static void publish_singly(struct scenario *it)
{
	for (unsigned i = 0; i < N_MESSAGES; i++) {
		struct stasis_message *message = make_message(it->type, i);
		int result;

		if (message == NULL)
			continue;
		result = stasis_publish_take(it->topic, message);
		cr_assert_geq(result, 0);
		it->n_dropped += (size_t)result;
		it->n_published++;
	}
}

static void publish_together(struct scenario *it)
{
	struct stasis_message *messages[N_MESSAGES];
	size_t n = 0;
	int result;

	for (unsigned i = 0; i < N_MESSAGES; i++) {
		messages[n] = make_message(it->type, i);
		n += messages[n] != NULL;
	}
	result = stasis_publish_batch(it->topic, messages, n);
	cr_assert_geq(result, 0);
	it->n_dropped += (size_t)result;
	it->n_published += n;
}

/* Data has no order here: some of it was never made. */
static size_t check_subscription(struct scenario *it, int i)
{
	struct stasis_stats stats = { 0 };
	struct probe *probe = &it->probes[i];
	size_t dropped;

	cr_assert_eq(stasis_stats_read(it->subs[i], &stats), 0);
	dropped = it->n_published - probe->n_data;
	cr_assert_leq(probe->n_data, it->n_published);
	cr_assert_geq(stats.dropped, dropped);
	cr_assert_eq(stats.delivered, probe->n_calls);
	cr_assert_eq(probe->n_finals, 1, "%zu final messages", probe->n_finals);
	cr_assert_eq(probe->n_after_final, 0);
	cr_assert_eq(probe->log[0].kind, PROBE_SUBSCRIBE);
	return dropped;
}

static void use_subscriptions(struct scenario *it)
{
	size_t dropped = 0;

	publish_singly(it);
	publish_together(it);
	/* The first ends while its callback is held up in the middle of it all. */
	for (int i = 0; i < 2; i++) {
		if (it->subs[i] != NULL)
			stasis_unsubscribe(stasis_object_ref(it->subs[i]));
		gate_open(&it->holds[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (it->subs[i] == NULL)
			continue;
		cr_assert_eq(stasis_subscription_join(it->subs[i]), 0);
		dropped += check_subscription(it, i);
		stasis_object_unref(it->subs[i]);
	}
	cr_assert_eq(dropped, it->n_dropped, "%zu and %zu", dropped, it->n_dropped);
}

static void run_scenario(void)
{
	static struct scenario fresh;
	struct scenario it = fresh;

	errno = 0;
	it.type = stasis_message_type_create("memory");
	expect_memory_error(it.type);
	it.topic = stasis_topic_create("memory");
	expect_memory_error(it.topic);
	it.executor = executor_with(2);
	expect_memory_error(it.executor);
	if (it.type != NULL && it.topic != NULL && it.executor != NULL) {
		for (int i = 0; i < 2; i++) {
			it.holds[i] = (struct gate)GATE_INIT;
			it.probes[i].hold = &it.holds[i];
			errno = 0;
			it.subs[i] = subscribe_on(it.topic, &it.probes[i], it.executor);
			expect_memory_error(it.subs[i]);
		}
		use_subscriptions(&it);
	}
	stasis_executor_shutdown(it.executor);
	stasis_object_unref(it.topic);
	stasis_object_unref(it.type);
}

/* Blocks that a type leaves for ever. */
static int64_t immortal_blocks(void)
{
	int64_t before = faulty_outstanding();

	stasis_object_unref(stasis_message_type_create("measure"));
	return faulty_outstanding() - before;
}

/* Everything that is kept once and for all has been made after this. */
static int64_t warm_up(void)
{
	faulty_install();
	for (int i = 0; i < 3; i++)
		run_scenario();
	sti_rcu_barrier();
	return immortal_blocks();
}

/* Runs the scenario with its n-th allocation failing. False when it had fewer. */
static bool run_round(uint64_t n, bool forever, int64_t immortal)
{
	int64_t before, after;
	bool failed;

	sti_rcu_barrier();
	before = faulty_outstanding();
	n_created = n_released = 0;
	faulty_arm(n, forever);
	run_scenario();
	failed = faulty_disarm();
	sti_rcu_barrier();
	after = faulty_outstanding();
	cr_assert_leq(after, before + immortal, "allocation %lu failed: %ld blocks left over",
		      (unsigned long)n, (long)(after - before));
	cr_assert_eq(n_released, n_created, "allocation %lu failed: %d made, %d released",
		     (unsigned long)n, n_created, n_released);
	return failed;
}

static void run_rounds(bool forever)
{
	int64_t immortal = warm_up();
	uint64_t n = 0;

	cr_assert_leq(immortal, 3);
	while (run_round(n, forever, immortal)) {
		n++;
		cr_assert_lt(n, 10000);
	}
	cr_assert_gt(n, 5, "the library allocates, and through the seam");
}

Test(out_of_memory, one_allocation_fails)
{
	run_rounds(false);
}

Test(out_of_memory, one_allocation_and_all_after_it_fail)
{
	run_rounds(true);
}

Test(out_of_memory, unsubscribe_needs_none)
{
	struct bus bus;
	struct probe probes[2] = { 0 };
	struct gate hold = GATE_INIT;
	struct stasis_subscription *subs[2];

	faulty_install();
	bus = bus_open(1);
	probes[0].hold = &hold;
	for (int i = 0; i < 2; i++)
		subs[i] = bus_subscribe(&bus, &probes[i]);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 5), 0);
	gate_await(&hold, 1);
	faulty_arm(0, true);
	/* The other may miss the change; these two may not miss their end. */
	stasis_unsubscribe(stasis_object_ref(subs[0]));
	stasis_unsubscribe(stasis_object_ref(subs[1]));
	gate_open(&hold);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(stasis_subscription_join(subs[i]), 0);
	faulty_disarm();
	for (int i = 0; i < 2; i++) {
		check_ended(&probes[i], 5);
		stasis_object_unref(subs[i]);
	}
	cr_assert_eq(stasis_topic_subscribers(bus.topic), 0);
	bus_close(&bus);
}

Test(out_of_memory, publish_counts_what_was_not_taken)
{
	struct bus bus;
	struct probe probe = { 0 };
	struct gate hold = GATE_INIT;
	struct stasis_subscription *sub;
	struct stasis_message *message;
	struct stasis_stats stats = { 0 };
	uint64_t n_taken = 0, n_refused = 0;

	faulty_install();
	bus = bus_open(1);
	probe.hold = &hold;
	sub = bus_subscribe(&bus, &probe);
	cr_assert_eq(publish_data(bus.topic, 0, 0, 1), 0);
	gate_await(&hold, 1);
	message = datum_message(1, 0);
	faulty_arm(0, true);
	for (int i = 0; i < 1000; i++) {
		int result = stasis_publish(bus.topic, message);

		cr_assert(result == 0 || result == 1, "%d", result);
		n_taken += result == 0;
		n_refused += result == 1;
	}
	cr_assert(faulty_disarm());
	cr_assert_gt(n_refused, 0);
	/* There is memory again: it goes on. */
	cr_assert_eq(stasis_publish(bus.topic, message), 0);
	gate_open(&hold);
	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	cr_assert_eq(stasis_stats_read(sub, &stats), 0);
	cr_assert_eq(stats.dropped, n_refused);
	cr_assert_eq(probe.n_data, n_taken + 2);
	cr_assert_eq(probe.n_finals, 1);
	cr_assert_eq(stasis_object_refs(message), 1);
	stasis_object_unref(message);
	stasis_object_unref(sub);
	bus_close(&bus);
}
