/* SPDX-License-Identifier: BSD-2-Clause */
/* stress_bus.c — see stress_bus.h */

#include "stress_bus.h"

#include <sched.h>
#include <string.h>

_Atomic uint64_t stress_delivered;
_Atomic uint64_t stress_expected;

struct stress_receiver *stress_receiver_new(uint32_t topic, uint32_t n_publishers)
{
	struct stress_receiver *receiver = stress_alloc(sizeof(*receiver) +
							n_publishers * sizeof(receiver->runs[0]));

	receiver->topic = topic;
	receiver->n_publishers = n_publishers;
	return receiver;
}

static void receive_datum(struct stress_receiver *receiver, const struct stress_datum *datum)
{
	struct stress_run *run;

	if (datum->publisher >= receiver->n_publishers || datum->topic != receiver->topic) {
		stress_violation("publisher %u, topic %u: nobody publishes that here",
				 datum->publisher, datum->topic);
		return;
	}
	run = &receiver->runs[datum->publisher];
	if (!run->any) {
		run->any = true;
		run->first = datum->seq;
	} else {
		stress_check(datum->seq == run->next, "publisher %u: message %llu, expected %llu",
			     datum->publisher, (unsigned long long)datum->seq,
			     (unsigned long long)run->next);
	}
	run->next = datum->seq + 1;
	receiver->n_data++;
}

static void receive_change(struct stress_receiver *receiver, struct stasis_subscription *sub,
			   const struct stasis_subscription_change *change, bool final)
{
	bool own = strcmp(change->uniqueid, stasis_subscription_uniqueid(sub)) == 0;
	bool subscribe = strcmp(change->description, "Subscribe") == 0;

	if (receiver->n_calls == 0)
		stress_check(own && subscribe, "the first message is not its own Subscribe");
	else if (own)
		stress_check(final && !subscribe, "its own %s in the middle", change->description);
	else
		stress_check(!final, "the final message is another's");
	receiver->n_subscribes += subscribe;
	receiver->n_unsubscribes += !subscribe && !final;
}

void stress_receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct stress_receiver *receiver = data;
	bool final = stasis_subscription_final_message(sub, message);

	/* Relaxed, here and below: see stress_bus.h. */
	if (atomic_exchange_explicit(&receiver->inside, 1, memory_order_relaxed) != 0)
		stress_violation("two callbacks of one subscription at once");
	stress_check(!atomic_load_explicit(&receiver->closed, memory_order_relaxed),
		     "a message after the end");
	stress_check(receiver->n_finals == 0, "a message after the final message");
	if (stasis_message_type(message) == stasis_subscription_change_type()) {
		receive_change(receiver, sub, stasis_message_data(message), final);
	} else {
		stress_check(!final, "a final message of another type");
		stress_check(receiver->n_calls > 0, "data before its own Subscribe");
		receive_datum(receiver, stasis_message_data(message));
		atomic_fetch_add_explicit(&stress_delivered, 1, memory_order_relaxed);
		atomic_store_explicit(&receiver->progress, receiver->n_data, memory_order_relaxed);
	}
	receiver->n_calls++;
	receiver->n_finals += final;
	if (receiver->hook != NULL)
		receiver->hook(receiver, sub, message, final);
	atomic_store_explicit(&receiver->inside, 0, memory_order_relaxed);
}

void stress_receiver_check_ended(const struct stress_receiver *receiver)
{
	stress_check(receiver->n_finals == 1, "%llu final messages",
		     (unsigned long long)receiver->n_finals);
}

static pthread_once_t type_once = PTHREAD_ONCE_INIT;
static struct stasis_message_type *type_of_data;

static void make_type(void)
{
	type_of_data = stasis_message_type_create("stress");
	if (type_of_data == NULL)
		stress_die("no memory for a type");
}

struct stasis_message_type *stress_type(void)
{
	pthread_once(&type_once, make_type);
	return type_of_data;
}

struct stasis_message *stress_message(uint32_t publisher, uint32_t topic, uint64_t seq)
{
	struct stress_datum datum = { .seq = seq, .publisher = publisher, .topic = topic };
	struct stasis_message *message = stasis_message_create_inline(stress_type(), &datum,
								      sizeof(datum));

	if (message == NULL)
		stress_die("no memory for a message");
	return message;
}

void stress_balance_check(const struct stress_balance *balance, const char *what)
{
	uint64_t made = atomic_load(&balance->made), freed = atomic_load(&balance->freed);

	stress_check(made == freed, "%s: %llu made, %llu freed", what, (unsigned long long)made,
		     (unsigned long long)freed);
}

void stress_throttle(struct stress *stress, uint64_t outstanding_max)
{
	/* Relaxed: figures. Signed: the two are not read at one instant. */
	while ((int64_t)(atomic_load_explicit(&stress_expected, memory_order_relaxed) -
			 atomic_load_explicit(&stress_delivered, memory_order_relaxed)) >
		       (int64_t)outstanding_max &&
	       !stress_stopping(stress))
		sched_yield();
}

void stress_run_check(const struct stress_run *run, const struct stress_marks *marks,
		      uint32_t publisher)
{
	unsigned long long first = run->first, next = run->next;

	if (!run->any) {
		stress_check(marks->begun_at >= marks->completed_at,
			     "publisher %u: %llu to %llu are missing", publisher,
			     (unsigned long long)marks->begun_at,
			     (unsigned long long)marks->completed_at);
		return;
	}
	stress_check(first >= marks->completed_before,
		     "publisher %u: %llu was complete before the beginning", publisher, first);
	stress_check(first <= marks->begun_at || marks->begun_at >= marks->completed_at,
		     "publisher %u: %llu is missing at the beginning", publisher,
		     (unsigned long long)marks->begun_at);
	stress_check(next >= marks->completed_at, "publisher %u: %llu is missing at the end",
		     publisher, next);
	stress_check(next <= marks->begun_after, "publisher %u: %llu came after the end",
		     publisher, next - 1);
}

void stress_await_refs(const struct stasis_topic *topic, unsigned refs)
{
	double end = stress_now() + 60;

	while (stasis_object_refs(topic) > refs && stress_now() < end)
		sched_yield();
	stress_check(stasis_object_refs(topic) == refs, "%u references to a topic left",
		     stasis_object_refs(topic));
}
