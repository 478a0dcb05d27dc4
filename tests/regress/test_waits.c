/* SPDX-License-Identifier: BSD-2-Clause */
/* test_waits.c — waits that ended too early, too late or never, found and mended */

#include "base/clock.h"
#include "exec/executor.h"
#include "regress_fixture.h"

/* How long to look on while something must not happen. */
#define LOOK_NS UINT64_C(20000000)

/* --- what was evicted counted for the drain in place of a callback that still ran --- */

struct draining {
	struct stasis_executor *executor;
	_Atomic int called_back; /* the callback that is held has returned, nearly */
	_Atomic int returned;
	int early;
};

static void *drain_and_look(void *arg)
{
	struct draining *draining = arg;

	must(stasis_executor_drain(draining->executor) == 0);
	draining->early = !atomic_load(&draining->called_back);
	atomic_store(&draining->returned, 1);
	return NULL;
}

static void note_return(struct probe *probe, struct stasis_subscription *sub,
			struct stasis_topic *topic, struct stasis_message *message)
{
	struct draining *draining = probe->user;

	atomic_store(&draining->called_back, 1);
}

static void *publish_first(void *arg)
{
	must(publish_data(arg, 0, 0, 1) == 0);
	return NULL;
}

static void *sync_first(void *arg)
{
	must(sync_datum(arg, 0, 0, NULL) == 0);
	return NULL;
}

/* The first message is delivered by a thread of the test's, and is held in its callback. */
static void check_drain(enum stasis_wait wait, bool sync)
{
	struct draining draining = { .executor = executor_that(wait, 1) };
	struct stasis_topic *topic = topic_new();
	struct stasis_message_type *types[] = { datum_type() };
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold, .on_data = note_return, .user = &draining };
	pthread_t publisher, drainer;
	struct stasis_subscription *sub;
	uint64_t begin;

	/* Without "Subscribe" it is idle from the start. */
	sub = subscribe_probe(topic, &probe,
			      &(struct stasis_subscribe_options){
				      .executor = draining.executor,
				      .types = types,
				      .n_types = 1,
				      .capacity = 1,
				      .overflow = STASIS_OVERFLOW_DROP_OLDEST });
	start(&publisher, sync ? sync_first : publish_first, sync ? (void *)sub : topic);
	gate_await(&hold, 1);
	cr_assert(pthread_equal(probe.last_thread, publisher));
	cr_assert_eq(publish_data(topic, 0, 1, 3), 0);
	start(&drainer, drain_and_look, &draining);
	while (atomic_load(&draining.executor->drainers) == 0)
		sched_yield();
	begin = sti_clock_monotonic_ns();
	/* Each evicts the one before. */
	do {
		cr_assert_eq(publish_data(topic, 1, 0, 1), 0);
		sched_yield();
	} while (!atomic_load(&draining.returned) && sti_clock_monotonic_ns() - begin < LOOK_NS);
	gate_open(&hold);
	pthread_join(drainer, NULL);
	pthread_join(publisher, NULL);
	cr_assert_eq(draining.early, 0, "the drain did not wait for the callback");
	stasis_unsubscribe_and_join(sub);
	stasis_executor_shutdown(draining.executor);
	stasis_object_unref(topic);
}

Test(waits, drain_waits_for_a_publisher_that_delivers_while_others_evict)
{
	check_drain(STASIS_WAIT_INLINE, false);
}

Test(waits, drain_waits_for_a_synchronous_publisher_while_others_evict)
{
	check_drain(STASIS_WAIT_PARK, true);
}

/* --- who drains a manual executor did not pass for one who may run it --- */

static void *run_manual(void *arg)
{
	must(stasis_executor_run(arg, SIZE_MAX) >= 0);
	return NULL;
}

static void join_another(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	struct stasis_subscription *other = probe->user;

	if (datum_seq(message) == 0) {
		stasis_unsubscribe_and_join(other);
	} else {
		stasis_unsubscribe(stasis_object_ref(other));
		must(stasis_subscription_join(other) == 0);
		stasis_object_unref(other);
	}
}

Test(waits, a_callback_run_by_a_drain_may_join, .timeout = 60)
{
	struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_topic *topic = topic_new(), *quiet = topic_new();
	struct probe probe = { .on_data = join_another };
	struct stasis_subscription *sub = subscribe_on(topic, &probe, loop);
	pthread_t runner;

	for (uint64_t seq = 0; seq < 2; seq++) {
		struct probe other = { 0 };

		probe.user = subscribe_on(quiet, &other, loop);
		/* The loop's thread is another. */
		start(&runner, run_manual, loop);
		pthread_join(runner, NULL);
		cr_assert_eq(publish_data(topic, 0, seq, 1), 0);
		drain(loop);
		cr_assert_eq(probe.n_data, seq + 1);
		cr_assert_eq(other.n_finals, 1);
	}
	stasis_unsubscribe(sub);
	stasis_executor_shutdown(loop);
	stasis_object_unref(topic);
	stasis_object_unref(quiet);
}

/* --- a thread was known by an address, which the next one got --- */

struct newcomer {
	struct stasis_topic *topic;
	_Atomic int returned;
};

static void *publish_five(void *arg)
{
	struct newcomer *newcomer = arg;

	must(publish_data(newcomer->topic, 0, 0, 5) == 0);
	atomic_store(&newcomer->returned, 1);
	return NULL;
}

Test(waits, a_new_thread_is_not_the_dead_one_that_ran_the_executor)
{
	for (int round = 0; round < 10; round++) {
		struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
		struct newcomer newcomer = { .topic = topic_new() };
		struct probe probe = { 0 };
		struct stasis_subscription *sub;
		pthread_t thread;

		sub = subscribe_probe(newcomer.topic, &probe,
				      &(struct stasis_subscribe_options){
					      .executor = loop,
					      .capacity = 4,
					      .overflow = STASIS_OVERFLOW_BLOCK });
		start(&thread, run_manual, loop);
		pthread_join(thread, NULL);
		start(&thread, publish_five, &newcomer);
		while (stats_of(sub).blocked == 0 && !atomic_load(&newcomer.returned))
			sched_yield();
		cr_assert_eq(stats_of(sub).blocked, 1, "it did not wait");
		cr_assert_eq(stats_of(sub).grown, 0);
		while (!atomic_load(&newcomer.returned))
			drain(loop);
		pthread_join(thread, NULL);
		drain(loop);
		cr_assert_eq(probe.n_data, 5);
		cr_assert_eq(probe.n_out_of_order, 0);
		stasis_unsubscribe(sub);
		stasis_executor_shutdown(loop);
		stasis_object_unref(newcomer.topic);
	}
}

/* --- the deadline was for the one subscription, not for room in another's queue --- */

Test(waits, a_timed_publish_does_not_wait_for_ever_for_room_elsewhere, .timeout = 60)
{
	struct stasis_executor *executor = executor_that(STASIS_WAIT_PARK, 2);
	struct stasis_topic *topic = topic_new();
	struct gate hold = GATE_INIT;
	struct probe full = { .hold = &hold }, probe = { 0 };
	struct stasis_subscription *blocking, *sub;
	int result;

	blocking = subscribe_probe(
		topic, &full,
		&(struct stasis_subscribe_options){
			.executor = executor, .capacity = 1, .overflow = STASIS_OVERFLOW_BLOCK });
	sub = subscribe_on(topic, &probe, executor);
	drain(executor);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	gate_await(&hold, 1);
	cr_assert_eq(publish_data(topic, 0, 1, 1), 0);
	result = sync_datum(sub, 0, 2, &(struct timespec){ .tv_nsec = (long)LOOK_NS });
	/* Late, if the workers were: sub has it all the same. */
	cr_assert(result == 1 || result == -ETIMEDOUT, "%d", result);
	cr_assert_eq(stats_of(blocking).blocked, 1);
	cr_assert_eq(stats_of(blocking).dropped, 1);
	gate_open(&hold);
	stasis_unsubscribe_and_join(blocking);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(full.n_data, 2);
	cr_assert_eq(probe.n_data, 3);
	cr_assert_eq(probe.n_out_of_order, 0);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

/* --- who waited in a callback ran others inside it, which then seemed to wait for it --- */

struct step {
	struct probe probe;
	struct stasis_topic *topic;
	struct stasis_subscription *sub, *next;
	int result;
};

/* Data of publisher 0 only: what comes from another step goes no further. */
static void sync_to_next(struct probe *probe, struct stasis_subscription *sub,
			 struct stasis_topic *topic, struct stasis_message *message)
{
	const struct datum *datum = stasis_message_data(message);
	struct step *step = probe->user;

	if (datum->publisher == 0 && step->next != NULL)
		step->result = sync_datum(step->next, 1, 0, NULL);
}

/* order: in which they are queued. */
static void check_acyclic(const int order[3])
{
	struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
	static struct step steps[3];

	memset(steps, 0, sizeof(steps));
	/* 2 -> 1 -> 0 */
	for (int i = 0; i < 3; i++) {
		steps[i].topic = topic_new();
		steps[i].probe.on_data = sync_to_next;
		steps[i].probe.user = &steps[i];
		steps[i].next = i > 0 ? steps[i - 1].sub : NULL;
		steps[i].sub = subscribe_on(steps[i].topic, &steps[i].probe, loop);
		steps[i].result = 12345;
	}
	cr_assert_geq(stasis_executor_run(loop, SIZE_MAX), 3);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(publish_data(steps[order[i]].topic, 0, 0, 1), 0);
	/* Who waits runs whom he waits for. */
	cr_assert_geq(stasis_executor_run(loop, SIZE_MAX), 1);
	cr_assert_eq(steps[1].result, 0, "%d", steps[1].result);
	cr_assert_eq(steps[2].result, 0, "%d", steps[2].result);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(steps[i].probe.n_data, i < 2 ? 2 : 1);
		stasis_unsubscribe(steps[i].sub);
	}
	stasis_executor_shutdown(loop);
	for (int i = 0; i < 3; i++)
		stasis_object_unref(steps[i].topic);
}

Test(waits, what_waits_in_no_circle_is_not_refused, .timeout = 60)
{
	check_acyclic((const int[]){ 2, 1, 0 });
	check_acyclic((const int[]){ 1, 2, 0 });
	check_acyclic((const int[]){ 0, 1, 2 });
}

#define N_ASKING (2 * STASIS_SYNC_DEPTH_MAX)

static _Atomic unsigned n_asking;

struct asking {
	struct stasis_subscription *target;
	int result;
};

static void ask(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		struct stasis_message *message)
{
	struct asking *asking = data;

	if (stasis_message_type(message) != datum_type())
		return;
	atomic_fetch_add(&n_asking, 1);
	asking->result = sync_datum(asking->target, 1, 0, NULL);
}

Test(waits, many_may_wait_for_one, .timeout = 60)
{
	static struct asking askings[N_ASKING];
	static struct stasis_subscription *subs[N_ASKING];
	struct stasis_message_type *types[] = { datum_type() };
	struct stasis_executor *executor = executor_that(STASIS_WAIT_PARK, 2);
	struct stasis_topic *topic = topic_new(), *slow = topic_new();
	struct gate hold = GATE_INIT;
	struct probe probe = { .hold = &hold };
	struct stasis_subscription *target = subscribe_on(slow, &probe, executor);
	uint64_t begin;

	for (size_t i = 0; i < N_ASKING; i++) {
		askings[i] = (struct asking){ target, 12345 };
		subs[i] = stasis_subscribe_with(
			topic, ask, &askings[i],
			&(struct stasis_subscribe_options){
				.executor = executor, .types = types, .n_types = 1 });
		cr_assert_not_null(subs[i]);
	}
	atomic_store(&n_asking, 0);
	cr_assert_eq(publish_data(slow, 0, 0, 1), 0);
	gate_await(&hold, 1);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	while (atomic_load(&n_asking) == 0)
		sched_yield();
	/* For callbacks inside each other, if there were any. */
	begin = sti_clock_monotonic_ns();
	while (atomic_load(&n_asking) <= STASIS_SYNC_DEPTH_MAX &&
	       sti_clock_monotonic_ns() - begin < LOOK_NS)
		sched_yield();
	gate_open(&hold);
	drain(executor);
	for (size_t i = 0; i < N_ASKING; i++)
		stasis_unsubscribe_and_join(subs[i]);
	for (size_t i = 0; i < N_ASKING; i++)
		cr_assert_eq(askings[i].result, 0, "%zu: %d", i, askings[i].result);
	stasis_unsubscribe_and_join(target);
	cr_assert_eq(probe.n_data, N_ASKING + 1);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
	stasis_object_unref(slow);
}

/* --- the subscriber kept its new queue to itself while "Subscribe" made it wait for that --- */

static _Atomic int armed;

static void publish_much(void *data, struct stasis_subscription *sub, bool congested)
{
	struct probe *probe = data;

	if (congested && atomic_exchange(&armed, 0))
		must(publish_data(probe->user, 0, 0, 20) == 0);
}

Test(waits, subscribing_may_wait_for_room_in_the_new_queue, .timeout = 60)
{
	struct stasis_executor *loop = executor_that(STASIS_WAIT_MANUAL, 0);
	struct stasis_executor *executor = executor_that(STASIS_WAIT_PARK, 1);
	struct stasis_topic *topic = topic_new();
	struct probe watched = { .user = topic }, probe = { 0 };
	struct stasis_subscription *watching, *sub;

	atomic_store(&armed, 0);
	watching = subscribe_probe(
		topic, &watched,
		&(struct stasis_subscribe_options){
			.executor = loop, .high_water = 1, .on_congestion = publish_much });
	drain(loop);
	cr_assert_eq(stats_of(watching).congested, 0);
	atomic_store(&armed, 1);
	sub = subscribe_probe(
		topic, &probe,
		&(struct stasis_subscribe_options){
			.executor = executor, .capacity = 2, .overflow = STASIS_OVERFLOW_BLOCK });
	cr_assert_eq(atomic_load(&armed), 0);
	stasis_unsubscribe_and_join(sub);
	cr_assert_eq(probe.n_data, 20);
	cr_assert_eq(probe.n_out_of_order, 0);
	cr_assert_eq(probe.log[0].kind, PROBE_SUBSCRIBE);
	stasis_unsubscribe(watching);
	stasis_executor_shutdown(loop);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

/* --- what a publisher had claimed was known to nobody while it let go of what it had before --- */

struct chain_of_waits {
	struct stasis_executor *closing;
	struct stasis_topic *next;
	struct stasis_subscription *last;
	pthread_t closer;
	int result;
};

static void *shut_down(void *arg)
{
	return stasis_executor_shutdown(arg);
}

/* What its publish claims it finds, but lets go first of what the publish that is being delivered
 * has claimed. */
static void shut_down_and_publish(struct probe *probe, struct stasis_subscription *sub,
				  struct stasis_topic *topic, struct stasis_message *message)
{
	struct chain_of_waits *waits = probe->user;
	const struct datum *datum = stasis_message_data(message);

	if (datum->publisher != 0)
		return;
	must(pthread_create(&waits->closer, NULL, shut_down, waits->closing) == 0);
	/* Until it refuses. */
	while (publish_data(topic, 1, 0, 1) == 0)
		;
	must(publish_data(waits->next, 0, 0, 1) == 0);
}

static void publish_and_wait(struct probe *probe, struct stasis_subscription *sub,
			     struct stasis_topic *topic, struct stasis_message *message)
{
	struct chain_of_waits *waits = probe->user;
	const struct datum *datum = stasis_message_data(message);
	struct stasis_message *mine;

	if (datum->publisher != 0)
		return;
	mine = datum_message(1, 0);
	waits->result = stasis_publish_sync(waits->last, mine);
	stasis_object_unref(mine);
}

Test(waits, an_inline_publisher_waits_for_nothing_that_it_has_claimed, .timeout = 60)
{
	struct stasis_executor *closing = executor_that(STASIS_WAIT_INLINE, 1);
	struct stasis_executor *executor = executor_that(STASIS_WAIT_INLINE, 1);
	struct stasis_topic *topic = topic_new();
	struct chain_of_waits waits = { .closing = closing, .next = topic_new(), .result = 12345 };
	struct probe first = { .on_data = shut_down_and_publish, .user = &waits };
	struct probe second = { .on_data = publish_and_wait, .user = &waits }, last = { 0 };
	struct stasis_subscribe_options options = { .executor = executor };
	struct stasis_subscription *subs[2];

	subs[0] = subscribe_probe(topic, &first, &options);
	waits.last = subscribe_probe(waits.next, &last, &options);
	options.executor = closing;
	subs[1] = subscribe_probe(topic, &second, &options);
	drain(executor);
	drain(closing);
	cr_assert_eq(publish_data(topic, 0, 0, 1), 0);
	pthread_join(waits.closer, NULL);
	cr_assert_eq(waits.result, 0);
	cr_assert_eq(last.n_data, 2);
	stasis_unsubscribe_and_join(waits.last);
	for (int i = 0; i < 2; i++)
		stasis_unsubscribe_and_join(subs[i]);
	stasis_executor_shutdown(executor);
	stasis_object_unref(waits.next);
	stasis_object_unref(topic);
}
