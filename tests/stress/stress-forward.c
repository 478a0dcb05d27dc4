/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-forward.c — forwards and filters change while others publish
 *
 * What stays: many sources lead to one topic, that to a chain, and the end of the chain by two ways
 * to a last topic. Whatever is published to a source or to the topic behind it must reach every
 * subscription of those once for each path, in order; or just once, if it is distinct.
 *
 *   source ... source -> HUB -> chain ... chain -> LEFT  -> LAST
 *                                         chain -> RIGHT -> LAST
 *
 * What changes: forwards between any two of them and some more topics, often such as would close a
 * cycle; subscriptions on forwards of their own, which know from the publishers' counters what they
 * must have seen and what not, as in stress-churn.c; the filter of a subscription that accepts the
 * data all along, and now and then also what else is published.
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "stress_bus.h"

#define PUBLISHERS_MAX 32u
#define OUTSTANDING_MAX 5000u
#define N_SOURCES 100u
#define BATCH 8u
/* Forwards beyond those that stay, at once: each may double the number of paths. */
#define N_EXTRA 8u

/* The topics behind the sources. */
enum {
	HUB,
	CHAIN,
	CHAIN_END = CHAIN + 15,
	LEFT,
	RIGHT,
	LAST,
	LOOSE, /* these lead nowhere by themselves */
	N_NODES = LOOSE + 6,
};

/* Something else than data: counted until it is freed. */
struct noise {
	uint64_t seq;
	uint32_t publisher;
};

struct listener {
	struct stress_receiver *receiver; /* of data */
	struct stasis_topic *topic;
	bool paths;  /* gets its messages once for each path; the receiver only counts */
	bool choosy; /* does not get all noise */
	uint64_t noise_next[PUBLISHERS_MAX];
};

struct counter {
	_Alignas(64) _Atomic uint64_t begun;
	_Atomic uint64_t completed;
	uint64_t noise; /* the publisher's own */
};

/* A publisher's counters, at four moments. */
struct extra {
	struct stasis_forward *forward; /* NULL: free */
	uint32_t from, to;
};

enum { AT_HUB, AT_LAST, CHOOSY, PATHS, N_STAYING };

static struct {
	struct stasis_executor *executors[2];
	struct stasis_topic *sources[N_SOURCES];
	struct stasis_topic *nodes[N_NODES];
	struct stasis_subscription *staying[N_STAYING];
	struct listener *listeners[N_STAYING];
	struct extra extra[N_EXTRA];
	struct counter counters[PUBLISHERS_MAX];
	struct stasis_message_type *noise_type;
	struct stress_balance noise;
	uint32_t n_publishers, n_changers;
	_Atomic uint64_t n_published;
	_Atomic uint64_t n_made, n_refused; /* extra forwards */
} graph;

static uint64_t look(_Atomic uint64_t *counter)
{
	return atomic_fetch_add_explicit(counter, 0, memory_order_acq_rel);
}

/* --- receiving --- */

static void receive_noise(struct listener *listener, const struct noise *noise)
{
	uint64_t *next = &listener->noise_next[noise->publisher];

	if (listener->paths)
		stress_check(noise->seq <= *next && noise->seq + BATCH >= *next,
			     "publisher %u: noise %llu, expected %llu", noise->publisher,
			     (unsigned long long)noise->seq, (unsigned long long)*next);
	else
		stress_check(listener->choosy ? noise->seq >= *next : noise->seq == *next,
			     "publisher %u: noise %llu, expected %llu", noise->publisher,
			     (unsigned long long)noise->seq, (unsigned long long)*next);
	if (noise->seq >= *next)
		*next = noise->seq + 1;
}

/* Data that comes once for each path; by several paths a batch comes several times as a whole. */
static void receive_repeatedly(struct stress_receiver *receiver, const struct stress_datum *datum)
{
	struct stress_run *run = &receiver->runs[datum->publisher];

	run->any = true;
	stress_check(datum->seq <= run->next && datum->seq + BATCH >= run->next,
		     "publisher %u: message %llu, expected %llu", datum->publisher,
		     (unsigned long long)datum->seq, (unsigned long long)run->next);
	if (datum->seq != run->next)
		return;
	run->next++;
	receiver->n_data++;
	/* Relaxed: see stress_bus.h. */
	atomic_store_explicit(&receiver->progress, receiver->n_data, memory_order_relaxed);
}

static void receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct listener *listener = data;

	stress_check(topic == listener->topic, "given another topic than that subscribed to");
	if (stasis_message_type(message) == graph.noise_type)
		receive_noise(listener, stasis_message_data(message));
	else if (listener->paths && stasis_message_type(message) == stress_type())
		receive_repeatedly(listener->receiver, stasis_message_data(message));
	else if (listener->paths)
		listener->receiver->n_finals += stasis_subscription_final_message(sub, message);
	else
		stress_receive(listener->receiver, sub, topic, message);
}

static struct listener *listener_new(struct stasis_topic *topic)
{
	struct listener *listener = stress_alloc(sizeof(*listener));

	listener->receiver = stress_receiver_new(0, graph.n_publishers);
	listener->topic = topic;
	return listener;
}

static void listener_free(struct listener *listener)
{
	free(listener->receiver);
	free(listener);
}

static struct stasis_subscription *subscribe(struct listener *listener, unsigned executor,
					     struct stasis_subscribe_options options)
{
	struct stasis_subscription *sub;

	options.executor = graph.executors[executor];
	options.distinct = !listener->paths;
	sub = stasis_subscribe_with(listener->topic, receive, listener, &options);
	if (sub == NULL)
		stress_die("cannot subscribe");
	return sub;
}

/* --- publishing --- */

static void release_noise(void *data)
{
	free(data);
	atomic_fetch_add_explicit(&graph.noise.freed, 1, memory_order_relaxed);
}

static struct stasis_message *make_noise(struct stress_thread *self)
{
	struct noise *noise = stress_alloc(sizeof(*noise));
	struct stasis_message *message;

	noise->publisher = self->index;
	noise->seq = graph.counters[self->index].noise++;
	message = stasis_message_create_foreign(graph.noise_type, noise, release_noise);
	if (message == NULL)
		stress_die("no memory for a message");
	atomic_fetch_add_explicit(&graph.noise.made, 1, memory_order_relaxed);
	return message;
}

static int publish_batch(struct stress_thread *self, struct stasis_topic *topic, uint64_t *seq,
			 uint64_t n)
{
	struct stasis_message *batch[2 * BATCH];
	size_t n_batch = 0;

	for (uint64_t i = 0; i < n; i++) {
		batch[n_batch++] = stress_message(self->index, 0, (*seq)++);
		if (stress_below(self, 4) == 0)
			batch[n_batch++] = make_noise(self);
	}
	return stasis_publish_batch(topic, batch, n_batch);
}

static int publish_kept(struct stasis_topic *topic, struct stasis_message *message)
{
	int result = stasis_publish(topic, message);

	stasis_object_unref(message);
	return result;
}

static void throttle(struct stress *stress)
{
	for (unsigned i = 0; i < N_STAYING; i++) {
		struct stress_receiver *receiver = graph.listeners[i]->receiver;

		/* Relaxed: figures. */
		while (atomic_load_explicit(&graph.n_published, memory_order_relaxed) >
			       atomic_load_explicit(&receiver->progress, memory_order_relaxed) +
				       OUTSTANDING_MAX &&
		       !stress_stopping(stress))
			sched_yield();
	}
}

static void publish_some(struct stress_thread *self, struct stasis_topic *topic)
{
	struct counter *counter = &graph.counters[self->index];
	unsigned way = (unsigned)stress_below(self, 4);
	uint64_t n = way == 0 ? 1 + stress_below(self, BATCH) : 1;
	uint64_t seq = atomic_fetch_add_explicit(&counter->begun, n, memory_order_acq_rel);
	int result = 0;

	switch (way) {
	case 0:
		result = publish_batch(self, topic, &seq, n);
		break;
	case 1:
		result = publish_kept(topic, stress_message(self->index, 0, seq));
		break;
	case 2:
		result = stasis_publish_take(topic, make_noise(self));
		stress_check(result == 0, "noise was not taken by %d", result);
		result = stasis_publish_take(topic, stress_message(self->index, 0, seq));
		break;
	default:
		result = stasis_publish_take(topic, stress_message(self->index, 0, seq));
		break;
	}
	atomic_fetch_add_explicit(&counter->completed, n, memory_order_acq_rel);
	stress_check(result == 0, "a publish was not taken by %d", result);
	atomic_fetch_add_explicit(&graph.n_published, n, memory_order_relaxed);
	self->n_ops += n;
}

static void publish_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress)) {
		uint64_t at = stress_below(self, N_SOURCES + 10);

		publish_some(self, at < N_SOURCES ? graph.sources[at] : graph.nodes[HUB]);
		throttle(self->stress);
	}
}

/* --- forwards between any two --- */

static void extra_make(struct stress_thread *self, struct extra *extra)
{
	/* Loose ones are few, so that cycles are nearly closed all the time. */
	uint32_t first = stress_below(self, 2) ? LOOSE : HUB;

	extra->from = first + (uint32_t)stress_below(self, N_NODES - first);
	extra->to = first + (uint32_t)stress_below(self, N_NODES - first);
	errno = 0;
	extra->forward = stasis_forward_all(graph.nodes[extra->from], graph.nodes[extra->to]);
	if (extra->forward == NULL) {
		stress_check(errno == ELOOP, "a forward was refused with %d", errno);
		atomic_fetch_add_explicit(&graph.n_refused, 1, memory_order_relaxed);
		return;
	}
	stress_check(extra->from != extra->to, "a forward to itself was made");
	atomic_fetch_add_explicit(&graph.n_made, 1, memory_order_relaxed);
}

static void extra_cancel(struct stress_thread *self, struct extra *extra)
{
	if (stress_below(self, 8) == 0) {
		stasis_forward_cancel(stasis_object_ref(extra->forward));
		errno = 0;
		stasis_forward_cancel(extra->forward);
		stress_check(errno == EALREADY, "a second cancel said %d", errno);
	} else {
		stasis_forward_cancel(extra->forward);
	}
	extra->forward = NULL;
}

static void change_thread(struct stress_thread *self)
{
	/* Each has some of them to itself. */
	uint32_t first = self->index - graph.n_publishers;

	if (first >= N_EXTRA)
		return;
	while (!stress_stopping(self->stress)) {
		uint32_t n = (N_EXTRA - first - 1) / graph.n_changers + 1;
		struct extra *extra = &graph.extra[first + graph.n_changers *
							   (uint32_t)stress_below(self, n)];

		if (extra->forward != NULL)
			extra_cancel(self, extra);
		else
			extra_make(self, extra);
		if (stress_below(self, 16) == 0)
			sched_yield();
		self->n_ops++;
	}
}

/* --- subscriptions on forwards of their own --- */

static struct stasis_forward *forward_made(struct stasis_topic *from, struct stasis_topic *to)
{
	struct stasis_forward *forward = stasis_forward_all(from, to);

	if (forward == NULL)
		stress_die("cannot make a forward: %d", errno);
	return forward;
}

/* A subscription two forwards away from a topic that everything reaches, until the one, the other
 * or the subscription itself ends. */
struct branch {
	struct stasis_topic *topics[2];
	struct stasis_forward *forwards[2];
	struct stasis_subscription *sub;
	struct listener *listener;
	struct stress_marks marks[PUBLISHERS_MAX];
};

static void branch_open(struct branch *branch, struct stress_thread *self)
{
	struct stress_marks *marks = branch->marks;

	for (int i = 0; i < 2; i++) {
		branch->topics[i] = stasis_topic_create("branch");
		if (branch->topics[i] == NULL)
			stress_die("no memory for a topic");
	}
	branch->listener = listener_new(branch->topics[1]);
	branch->listener->choosy = true;
	branch->sub = subscribe(branch->listener, (unsigned)stress_below(self, 2),
				(struct stasis_subscribe_options){ 0 });
	branch->forwards[1] = forward_made(branch->topics[0], branch->topics[1]);
	for (uint32_t p = 0; p < graph.n_publishers; p++)
		marks[p].completed_before = look(&graph.counters[p].completed);
	branch->forwards[0] = forward_made(graph.nodes[stress_below(self, LOOSE)],
					   branch->topics[0]);
	for (uint32_t p = 0; p < graph.n_publishers; p++)
		marks[p].begun_at = look(&graph.counters[p].begun);
}

static void branch_close(struct branch *branch, struct stress_thread *self)
{
	struct stress_marks *marks = branch->marks;
	unsigned way = (unsigned)stress_below(self, 3);

	for (uint32_t p = 0; p < graph.n_publishers; p++)
		marks[p].completed_at = look(&graph.counters[p].completed);
	if (way == 2)
		stasis_unsubscribe(stasis_object_ref(branch->sub));
	else
		branch->forwards[way] = stasis_forward_cancel(branch->forwards[way]);
	for (uint32_t p = 0; p < graph.n_publishers; p++)
		marks[p].begun_after = look(&graph.counters[p].begun);
	stasis_unsubscribe_and_join(branch->sub);
	stress_receiver_check_ended(branch->listener->receiver);
	for (uint32_t p = 0; p < graph.n_publishers; p++)
		stress_run_check(&branch->listener->receiver->runs[p], &marks[p], p);
	/* The second may as well end with its source; the first must be cancelled. */
	if (branch->forwards[0] != NULL)
		stasis_forward_cancel(branch->forwards[0]);
	stasis_object_unref(branch->forwards[1]);
	for (int i = 0; i < 2; i++)
		stasis_object_unref(branch->topics[i]);
	listener_free(branch->listener);
}

static void branch_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress)) {
		struct branch branch = { 0 };

		branch_open(&branch, self);
		for (uint64_t spins = stress_below(self, 20); spins > 0; spins--)
			sched_yield();
		branch_close(&branch, self);
		self->n_ops++;
	}
}

/* --- filters, and questions --- */

static void filter_once(struct stress_thread *self)
{
	struct stasis_subscription *sub = graph.staying[CHOOSY];
	struct stasis_topic *source = graph.sources[stress_below(self, N_SOURCES)];
	struct stasis_stats stats = { 0 };
	size_t n;
	int result = 0;

	switch (stress_below(self, 6)) {
	case 0:
		result = stasis_subscription_accept_message_type(sub, graph.noise_type);
		break;
	case 1:
		result = stasis_subscription_decline_message_type(sub, graph.noise_type);
		break;
	case 2:
		result = stasis_subscription_set_filter(sub, STASIS_SUBSCRIPTION_FILTER_NONE);
		break;
	case 3:
		result = stasis_subscription_set_filter(sub, STASIS_SUBSCRIPTION_FILTER_SELECTIVE);
		break;
	case 4:
		result = stasis_topic_wants(source, stress_type()) - 1;
		break;
	case 5:
		n = stasis_topic_subscribers(source);
		stress_check(n >= N_STAYING, "%zu subscriptions are reached", n);
		result = stasis_stats_read(source, &stats);
		stress_check(stats.forwards == 1, "%llu forwards from a source",
			     (unsigned long long)stats.forwards);
		break;
	}
	stress_check(result == 0, "a filter or a question failed: %d", result);
}

static void filter_thread(struct stress_thread *self)
{
	while (!stress_stopping(self->stress)) {
		filter_once(self);
		if (stress_below(self, 8) == 0)
			sched_yield();
		self->n_ops++;
	}
}

static void forward_thread(struct stress_thread *self)
{
	if (self->index < graph.n_publishers)
		publish_thread(self);
	else if (self->index < graph.n_publishers + graph.n_changers)
		change_thread(self);
	else if (self->index % 2)
		branch_thread(self);
	else
		filter_thread(self);
}

/* --- before and after --- */

static void setup_forwards(void)
{
	for (uint32_t i = 0; i < N_SOURCES; i++)
		stasis_object_unref(forward_made(graph.sources[i], graph.nodes[HUB]));
	for (uint32_t i = HUB; i < CHAIN_END; i++)
		stasis_object_unref(forward_made(graph.nodes[i], graph.nodes[i + 1]));
	for (uint32_t i = LEFT; i <= RIGHT; i++) {
		stasis_object_unref(forward_made(graph.nodes[CHAIN_END], graph.nodes[i]));
		stasis_object_unref(forward_made(graph.nodes[i], graph.nodes[LAST]));
	}
}

static void setup_listeners(void)
{
	static const uint32_t at[N_STAYING] = { HUB, LAST, LAST, LAST };

	for (unsigned i = 0; i < N_STAYING; i++) {
		struct stasis_message_type *types[2] = { stress_type(),
							 stasis_subscription_change_type() };
		struct stasis_subscribe_options options = { .types = types };

		graph.listeners[i] = listener_new(graph.nodes[at[i]]);
		graph.listeners[i]->paths = i == PATHS;
		graph.listeners[i]->choosy = i == CHOOSY;
		options.n_types = i == CHOOSY ? 2 : 0;
		graph.staying[i] = subscribe(graph.listeners[i], i % 2, options);
	}
}

static void forward_setup(struct stress *stress)
{
	graph.n_publishers = stress->n_threads / 4;
	if (graph.n_publishers > PUBLISHERS_MAX)
		graph.n_publishers = PUBLISHERS_MAX;
	graph.n_changers = stress->n_threads / 4;
	graph.noise_type = stasis_message_type_create("noise");
	for (int i = 0; i < 2; i++)
		graph.executors[i] = stasis_executor_create(
			&(struct stasis_executor_options){ .threads = 2 });
	for (uint32_t i = 0; i < N_SOURCES; i++)
		graph.sources[i] = stasis_topic_create("source");
	for (uint32_t i = 0; i < N_NODES; i++)
		graph.nodes[i] = stasis_topic_create("node");
	setup_forwards();
	setup_listeners();
}

/* Looks at every forward that there is, along every path, for one that leads back. */
static bool leads_back(uint32_t node, uint32_t *states)
{
	bool back = false;

	if (states[node] != 0)
		return states[node] == 1;
	states[node] = 1;
	for (uint32_t i = 0; i < N_EXTRA; i++) {
		if (graph.extra[i].forward != NULL && graph.extra[i].from == node)
			back |= leads_back(graph.extra[i].to, states);
	}
	if (node < CHAIN_END)
		back |= leads_back(node + 1, states);
	for (uint32_t i = LEFT; node == CHAIN_END && i <= RIGHT; i++)
		back |= leads_back(i, states);
	if (node == LEFT || node == RIGHT)
		back |= leads_back(LAST, states);
	states[node] = 2;
	return back;
}

static void check_staying(struct stress *stress)
{
	for (unsigned i = 0; i < N_STAYING; i++) {
		struct listener *listener = graph.listeners[i];

		stasis_unsubscribe_and_join(graph.staying[i]);
		stress_receiver_check_ended(listener->receiver);
		for (uint32_t p = 0; p < graph.n_publishers; p++) {
			stress_check(listener->receiver->runs[p].next ==
					     look(&graph.counters[p].begun),
				     "subscription %u, publisher %u: messages lost", i, p);
			stress_check(listener->choosy || listener->noise_next[p] ==
								 graph.counters[p].noise,
				     "subscription %u, publisher %u: noise lost", i, p);
		}
		listener_free(listener);
	}
}

static void forward_check(struct stress *stress)
{
	uint32_t states[N_NODES] = { 0 };

	for (uint32_t i = 0; i < N_NODES; i++)
		stress_check(!leads_back(i, states), "a cycle goes through node %u", i);
	for (uint32_t i = 0; i < N_SOURCES; i++)
		publish_some(&stress->threads[0], graph.sources[i]);
	check_staying(stress);
	for (uint32_t i = 0; i < N_EXTRA; i++)
		stasis_forward_cancel(graph.extra[i].forward);
	for (uint32_t i = 0; i < N_SOURCES; i++) {
		stress_await_refs(graph.sources[i], 1);
		stasis_object_unref(graph.sources[i]);
	}
	/* Each is led to by those before it only. */
	for (uint32_t i = 0; i < N_NODES; i++) {
		stress_await_refs(graph.nodes[i], 1);
		stasis_object_unref(graph.nodes[i]);
	}
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(graph.executors[i]);
	stress_balance_check(&graph.noise, "noise");
	printf("%llu forwards made, %llu refused\n",
	       (unsigned long long)atomic_load(&graph.n_made),
	       (unsigned long long)atomic_load(&graph.n_refused));
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Makes and cancels forwards, and changes filters, while others publish.",
		.ops = "messages published and changes made",
		.threads_min = 8,
		.setup = forward_setup,
		.thread = forward_thread,
		.check = forward_check,
	};

	return stress_main(argc, argv, &program);
}
