/* SPDX-License-Identifier: BSD-2-Clause */
/* test_turns.c — which publishes take turns at a subscription ("Turns" in ring/protocol.h), and
 * where nobody waits for his */

#include "base/thread.h"
#include "bus/subscription.h"
#include "bus/walk.h"
#include "bus_fixture.h"
#include "exec/executor.h"

/* A mark that the thread of a test does not make. */
#define OTHER ((uint16_t)STI_THREAD_MAX)

struct turns {
	struct stasis_executor *executor; /* nobody runs it but the test */
	struct stasis_topic *topic;
	struct stasis_subscription *sub;
	/* for callbacks */
	unsigned n_publishes;
	unsigned n_waits;
};

static void ignore(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		   struct stasis_message *message)
{
}

static struct stasis_subscription *subscribe(struct turns *turns, stasis_subscription_cb callback)
{
	struct stasis_subscription *sub = stasis_subscribe_with(
		turns->topic, callback, turns,
		&(struct stasis_subscribe_options){ .executor = turns->executor });

	cr_assert_not_null(sub);
	return sub;
}

static void open_turns(struct turns *turns, stasis_subscription_cb callback)
{
	memset(turns, 0, sizeof(*turns));
	turns->executor = stasis_executor_create(
		&(struct stasis_executor_options){ .wait = STASIS_WAIT_MANUAL });
	turns->topic = stasis_topic_create("turns");
	cr_assert_not_null(turns->executor);
	turns->sub = subscribe(turns, callback);
}

static void close_turns(struct turns *turns)
{
	stasis_unsubscribe(turns->sub);
	stasis_executor_run(turns->executor, SIZE_MAX);
	stasis_object_unref(turns->topic);
	stasis_executor_shutdown(turns->executor);
}

static struct sti_ring *ring_of(const struct stasis_subscription *sub)
{
	return atomic_load(&sub->mailbox.tail.ring);
}

static void publish(struct turns *turns)
{
	cr_assert_eq(stasis_publish_take(turns->topic, datum_message(0, 0)), 0);
}

/* Somebody else has had the turn: does this thread wait for its own, in vain as it is? */
static bool publish_waits(struct turns *turns)
{
	struct sti_thread *self = sti_thread_self();

	self->turn = ring_of(turns->sub);
	self->turn_pos = sti_ring_pos(atomic_load(&ring_of(turns->sub)->tail));
	self->turn_skips = 0;
	atomic_store(&ring_of(turns->sub)->turn, OTHER);
	publish(turns);
	return self->turn_skips > 0;
}

/* So many that the queue's last ring is long, and has room. */
static void make_long(struct turns *turns)
{
	while (!sti_ring_is_long(ring_of(turns->sub)))
		publish(turns);
}

static uint16_t own_mark(void)
{
	return (uint16_t)(sti_thread_self()->number + 1);
}

static uint16_t mark_of(const struct stasis_subscription *sub)
{
	return atomic_load(&ring_of(sub)->turn);
}

Test(turns, are_taken_by_who_publishes_to_one_subscription)
{
	struct stasis_message *messages[2];
	struct turns turns;

	open_turns(&turns, ignore);
	publish(&turns);
	cr_assert_eq(mark_of(turns.sub), own_mark());
	atomic_store(&ring_of(turns.sub)->turn, OTHER);
	for (unsigned i = 0; i < 2; i++)
		messages[i] = datum_message(0, i);
	cr_assert_eq(stasis_publish_batch(turns.topic, messages, 2), 0);
	cr_assert_eq(mark_of(turns.sub), own_mark());
	close_turns(&turns);
}

Test(turns, are_taken_along_a_forward)
{
	struct stasis_topic *source = stasis_topic_create("source");
	struct stasis_forward *forward;
	struct turns turns;

	open_turns(&turns, ignore);
	forward = stasis_forward_all(source, turns.topic);
	cr_assert_not_null(forward);
	atomic_store(&ring_of(turns.sub)->turn, OTHER);
	cr_assert_eq(stasis_publish_take(source, datum_message(0, 0)), 0);
	cr_assert_eq(mark_of(turns.sub), own_mark());
	stasis_forward_cancel(forward);
	stasis_object_unref(source);
	close_turns(&turns);
}

Test(turns, are_not_taken_by_who_publishes_to_several)
{
	struct stasis_subscription *second;
	struct turns turns;

	open_turns(&turns, ignore);
	second = subscribe(&turns, ignore);
	atomic_store(&ring_of(turns.sub)->turn, OTHER);
	atomic_store(&ring_of(second)->turn, OTHER);
	publish(&turns);
	cr_assert_eq(mark_of(turns.sub), OTHER);
	cr_assert_eq(mark_of(second), OTHER);
	stasis_unsubscribe(second);
	close_turns(&turns);
}

Test(turns, are_waited_for_where_the_queue_is_long)
{
	struct turns turns;

	open_turns(&turns, ignore);
	cr_assert(!publish_waits(&turns));
	make_long(&turns);
	cr_assert(publish_waits(&turns));
	close_turns(&turns);
}

static void publish_in_callback(void *data, struct stasis_subscription *sub,
				struct stasis_topic *topic, struct stasis_message *message)
{
	struct turns *turns = data;

	turns->n_publishes++;
	turns->n_waits += publish_waits(turns);
}

/* Those who wait for the callback would wait longer. */
Test(turns, are_not_waited_for_inside_callbacks)
{
	struct bus bus = bus_open(1);
	struct stasis_subscription *sub;
	struct turns turns;

	open_turns(&turns, ignore);
	make_long(&turns);
	/* On a thread of the pool, which runs no loop. */
	sub = stasis_subscribe_with(
		bus.topic, publish_in_callback, &turns,
		&(struct stasis_subscribe_options){ .executor = bus.executor });
	cr_assert_not_null(sub);
	cr_assert_eq(stasis_publish_take(bus.topic, datum_message(0, 0)), 0);
	bus_drain(&bus);
	cr_assert_geq(turns.n_publishes, 1);
	cr_assert_eq(turns.n_waits, 0);
	cr_assert(publish_waits(&turns), "outside");
	stasis_unsubscribe_and_join(sub);
	bus_close(&bus);
	close_turns(&turns);
}

/* Nobody else would take what is queued for the loop meanwhile. */
Test(turns, are_not_waited_for_by_a_loops_thread)
{
	struct turns turns, loop;

	open_turns(&turns, ignore);
	open_turns(&loop, ignore);
	make_long(&turns);
	cr_assert(publish_waits(&turns));
	stasis_executor_run(loop.executor, SIZE_MAX);
	cr_assert(!publish_waits(&turns));
	close_turns(&loop);
	close_turns(&turns);
}

/* Delivered in two portions, the second of which is one subscription. */
Test(turns, are_not_taken_by_who_publishes_to_many_selective_ones)
{
	struct stasis_subscription *subs[STI_WALK_SEGMENTS + 1];
	struct stasis_message_type *types[] = { datum_type() };
	struct turns turns;

	open_turns(&turns, ignore);
	stasis_unsubscribe(stasis_object_ref(turns.sub));
	for (unsigned i = 0; i <= STI_WALK_SEGMENTS; i++) {
		subs[i] = stasis_subscribe_with(
			turns.topic, ignore, &turns,
			&(struct stasis_subscribe_options){ .executor = turns.executor,
							    .types = types,
							    .n_types = 1 });
		cr_assert_not_null(subs[i]);
		atomic_store(&ring_of(subs[i])->turn, OTHER);
	}
	publish(&turns);
	for (unsigned i = 0; i <= STI_WALK_SEGMENTS; i++) {
		cr_assert_eq(mark_of(subs[i]), OTHER, "%u", i);
		stasis_unsubscribe(subs[i]);
	}
	close_turns(&turns);
}
