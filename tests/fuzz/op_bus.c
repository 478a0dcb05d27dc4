/* SPDX-License-Identifier: BSD-2-Clause */
/* op_bus.c — topics, subscriptions, forwards, executors */

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "grace.h"
#include "world.h"

static unsigned from(unsigned n)
{
	return input_below(world.input, n);
}

const char *w_string(void)
{
	unsigned choice = input_byte(world.input);

	/* The long ones cost much, so they are seldom. */
	if (choice >= 256 - W_STRINGS_LONG)
		return w_strings_long[choice - (256 - W_STRINGS_LONG)];
	return w_strings[choice % W_STRINGS];
}

/* --- topics --- */

static void op_topic_create(void)
{
	struct w_topic *topic = w_free_topic();
	const char *name = w_string();
	bool valid = name != NULL && name[0] != '\0';
	struct stasis_topic *lib;

	if (topic == NULL)
		return;
	errno = 0;
	w_arm();
	lib = stasis_topic_create(name);
	if (w_disarm() && lib == NULL) {
		W_EQUAL(errno, ENOMEM);
		return;
	}
	W_EQUAL(lib != NULL, valid);
	W_EQUAL(errno, valid ? 0 : EINVAL);
	if (lib == NULL)
		return;
	W_TRUE(strcmp(stasis_topic_name(lib), name) == 0);
	*topic = (struct w_topic){
		.m = { .used = true, .name = name }, .lib = lib, .held = true
	};
}

/* Its subscriptions and the forwards to it keep it alive. */
static void op_topic_drop(void)
{
	struct w_topic *topic = w_pick_topic();

	if (topic == NULL || topic == &world.topics[0] || topic == &world.topics[1])
		return;
	topic->held = false;
	W_TRUE(stasis_object_unref(topic->lib) == NULL);
}

static void op_wants(void)
{
	struct w_topic *topic = w_pick_topic();
	unsigned type = from(M_TYPES);

	if (topic == NULL)
		return;
	W_EQUAL(stasis_topic_wants(topic->lib, w_types[type]), m_wants(&topic->m, type));
	W_EQUAL(stasis_topic_subscribers(topic->lib), m_reach(&topic->m));
}

/* --- subscribing --- */

static size_t round_up(size_t n)
{
	size_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

static void options_waters(struct stasis_subscribe_options *options, struct w_sub *sub)
{
	unsigned high = from(8);
	size_t most = sub->m.capacity != 0 ? sub->m.capacity : SIZE_MAX;

	if (high == 0 || high > most)
		return;
	options->high_water = sub->m.high = high;
	options->low_water = sub->m.low = from(high);
	options->on_congestion = w_congestion;
}

static void options_types(struct stasis_subscribe_options *options, struct w_sub *sub)
{
	static struct stasis_message_type *types[M_TYPES];
	unsigned mask = input_byte(world.input) & input_byte(world.input);

	options->types = types;
	for (unsigned i = 0; i < M_TYPES; i++) {
		/* The last two share a bit with others. */
		if (!(mask & 1u << i % 8))
			continue;
		types[options->n_types++] = w_types[i];
		sub->m.accepts[i] = true;
	}
	sub->m.selective = options->n_types > 0;
}

bool w_options(struct stasis_subscribe_options *options, struct w_sub *sub, bool router)
{
	static const size_t capacities[] = { 0, 1, 2, 3, 4, 8, 13, 100 };
	unsigned flags = input_byte(world.input);
	struct w_executor *executor = w_pick_executor();

	memset(options, 0, sizeof(*options));
	memset(sub, 0, sizeof(*sub));
	if (executor == NULL || (flags & 1))
		executor = world.by_default;
	else
		options->executor = executor->lib;
	if (executor == NULL)
		return false;
	options->size = flags & 2 ? sizeof(*options) : 0;
	options->overflow = flags >> 2 & 7;
	if (options->overflow > STASIS_OVERFLOW_REJECT)
		options->overflow = STASIS_OVERFLOW_GROW;
	options->capacity = capacities[from(8)];
	options->batch = from(4);
	options->distinct = flags & 0x20;
	options->name = flags & 0x40 ? w_string() : NULL;
	if (router && options->overflow != STASIS_OVERFLOW_BLOCK)
		options->overflow = STASIS_OVERFLOW_GROW;
	sub->m.executor = &executor->m;
	sub->m.policy = (enum m_policy)options->overflow;
	if (options->overflow != STASIS_OVERFLOW_GROW && options->capacity != 0)
		sub->m.capacity = round_up(options->capacity);
	sub->m.batch = options->batch != 0 ? options->batch : 256;
	sub->m.distinct = options->distinct;
	if (!router) {
		options_waters(options, sub);
		if (flags & 0x80)
			options_types(options, sub);
	}
	sub->action = from(W_ACTIONS);
	sub->at = from(8) + 1;
	sub->target = w_pick_topic();
	sub->other = &world.subs[from(M_SUBS)];
	return true;
}

void w_subscribed(struct w_sub *sub, struct stasis_subscription *lib)
{
	struct m_message *room = m_message_new(0);
	const char *uniqueid = stasis_subscription_uniqueid(lib);

	W_TRUE(strlen(uniqueid) < sizeof(room->text));
	strcpy(room->text, uniqueid);
	sub->m.uniqueid = room->text;
	sub->m.used = true;
	sub->lib = lib;
	sub->held = true;
	stasis_object_ref(lib);
	m_subscribe(&sub->m);
}

static void op_subscribe(void)
{
	struct stasis_subscribe_options options;
	struct w_topic *topic = w_pick_topic();
	struct w_sub *sub = w_free_sub();
	struct stasis_subscription *lib;

	if (sub == NULL || topic == NULL || !w_options(&options, sub, false))
		return;
	sub->m.topic = &topic->m;
	errno = 0;
	w_arm();
	lib = stasis_subscribe_with(topic->lib, w_callback, sub, &options);
	if (w_disarm() && lib == NULL && errno == ENOMEM)
		return;
	W_EQUAL(errno, sub->m.executor->closed ? ESHUTDOWN : 0);
	if (sub->m.executor->closed) {
		W_TRUE(lib == NULL);
		return;
	}
	W_TRUE(lib != NULL);
	w_subscribed(sub, lib);
}

/* --- unsubscribing --- */

void w_unsubscribe(struct w_sub *sub, bool join)
{
	bool already = sub->m.ended;
	struct stasis_subscription *lib = sub->lib;
	int expected = already ? EALREADY : 0;

	if (sub->m.router && sub->router != NULL) {
		struct stasis_message_router *router = sub->router;

		sub->router = NULL;
		m_unsubscribe(&sub->m);
		errno = 0;
		W_TRUE(stasis_message_router_unsubscribe(router) == NULL);
		W_EQUAL(errno, 0);
		return;
	}
	if (sub->handed)
		stasis_object_ref(lib);
	sub->handed = true;
	if (!already)
		m_unsubscribe(&sub->m);
	if (join && world.inside > 0 && !sub->m.done)
		expected = EDEADLK;
	errno = 0;
	if (join)
		W_TRUE(stasis_unsubscribe_and_join(lib) == NULL);
	else
		W_TRUE(stasis_unsubscribe(lib) == NULL);
	W_EQUAL(errno, expected);
	if (join && expected != EDEADLK)
		W_TRUE(sub->m.done);
}

static void op_unsubscribe(void)
{
	struct w_sub *sub = w_pick_sub();

	if (sub == NULL)
		return;
	/* It cannot fail; what the others are told may be lost. */
	w_arm();
	w_unsubscribe(sub, false);
	w_disarm();
}

static void op_unsubscribe_and_join(void)
{
	struct w_sub *sub = w_pick_sub();

	if (sub != NULL)
		w_unsubscribe(sub, true);
}

static void op_join(void)
{
	struct w_sub *sub = w_pick_sub();

	if (sub == NULL || !sub->m.ended)
		return;
	W_EQUAL(stasis_subscription_join(sub->lib), 0);
	W_TRUE(sub->m.done);
}

/* The handle for statistics, or the caller's without an unsubscribe. */
static void op_sub_drop(void)
{
	struct w_sub *sub = w_pick_sub();

	if (sub == NULL)
		return;
	if (from(2) == 0 && !sub->handed) {
		sub->handed = true;
		stasis_object_unref(sub->lib);
		return;
	}
	sub->held = false;
	stasis_object_unref(sub->lib);
}

/* Makes room for others. */
static void op_sub_forget(void)
{
	struct w_sub *sub = &world.subs[from(M_SUBS)];

	if (sub->m.used && sub->m.done && sub->handed && !sub->held && !sub->m.router)
		m_sub_free(&sub->m);
}

/* --- filters --- */

static void op_accept(void)
{
	struct w_sub *sub = w_pick_sub();
	unsigned type = from(M_TYPES);
	bool accept = from(2);
	int result;

	if (sub == NULL)
		return;
	w_arm();
	result = accept ? stasis_subscription_accept_message_type(sub->lib, w_types[type]) :
			  stasis_subscription_decline_message_type(sub->lib, w_types[type]);
	if (w_disarm() && result == -ENOMEM)
		return;
	W_EQUAL(result, 0);
	sub->m.accepts[type] = accept;
}

static void op_filter(void)
{
	struct w_sub *sub = w_pick_sub();
	bool selective = from(2);
	int result;

	if (sub == NULL)
		return;
	w_arm();
	result = stasis_subscription_set_filter(
		sub->lib, selective ? STASIS_SUBSCRIPTION_FILTER_SELECTIVE :
				      STASIS_SUBSCRIPTION_FILTER_NONE);
	if (w_disarm() && result == -ENOMEM)
		return;
	W_EQUAL(result, 0);
	sub->m.selective = selective;
}

/* --- forwards --- */

static void op_forward(void)
{
	struct w_forward *forward = &world.forwards[from(M_FORWARDS)];
	struct w_topic *source = w_pick_topic();
	struct w_topic *to = w_pick_topic();
	bool circle;

	/* No more at once than make it slow. */
	if (forward->lib != NULL || source == NULL || source->m.n_forwards > 4)
		return;
	circle = m_leads_to(&to->m, &source->m);
	errno = 0;
	w_arm();
	forward->lib = stasis_forward_all(source->lib, to->lib);
	if (w_disarm() && forward->lib == NULL && errno == ENOMEM)
		return;
	W_EQUAL(forward->lib == NULL, circle);
	W_EQUAL(errno, circle ? ELOOP : 0);
	if (forward->lib != NULL)
		m_forward(&forward->m, &source->m, &to->m, NULL);
}

static void op_forward_cancel(void)
{
	struct w_forward *forward = &world.forwards[from(M_FORWARDS)];
	struct stasis_forward *lib = forward->lib;
	bool ended = forward->m.from == NULL;

	if (lib == NULL)
		return;
	if (from(2) == 0)
		stasis_object_ref(lib);
	else
		forward->lib = NULL;
	errno = 0;
	w_arm();
	W_TRUE(stasis_forward_cancel(lib) == NULL);
	w_disarm();
	/* A source that nobody holds may be gone, and its forwards with it. */
	if (ended || w_topic_of(forward->m.from)->held)
		W_EQUAL(errno, ended ? EALREADY : 0);
	m_forward_end(&forward->m);
}

/* --- executors --- */

static size_t n_queued(const struct w_executor *executor)
{
	size_t n = 0;

	for (unsigned i = 0; i < M_SUBS; i++) {
		const struct m_sub *m = &world.subs[i].m;

		if (m->used && m->executor == &executor->m && !m->router)
			n += m->n - m->n_lost;
	}
	return n;
}

static bool readable(const struct w_executor *executor)
{
	struct pollfd poller = { .fd = stasis_executor_fd(executor->lib), .events = POLLIN };

	return poll(&poller, 1, 0) == 1;
}

/* What a router has had is not known unless it has a route. All its messages are gone. */
static void routers_emptied(const struct w_executor *executor)
{
	for (unsigned i = 0; i < M_SUBS; i++) {
		struct m_sub *m = &world.subs[i].m;

		if (!m->used || !m->router || m->executor != &executor->m)
			continue;
		for (size_t j = 0; j < m->n; j++) {
			const struct m_item *item = &m->items[m->first + j];

			W_TRUE(item->maybe || m_route_of(m, item->message) == NULL);
		}
		m->n = 0;
		m->done |= m->ended;
	}
}

void w_run(struct w_executor *executor, size_t max)
{
	uint64_t before = world.n_calls;
	int n;

	if (n_queued(executor) > 0)
		W_TRUE(readable(executor));
	n = stasis_executor_run(executor->lib, max);
	if (executor->m.routed)
		W_TRUE((uint64_t)n >= world.n_calls - before);
	else
		W_EQUAL(n, world.n_calls - before);
	W_TRUE((size_t)n <= max);
	if ((size_t)n < max) {
		W_EQUAL(n_queued(executor), 0);
		routers_emptied(executor);
		W_TRUE(!readable(executor));
	}
}

void w_run_all(struct w_executor *executor)
{
	w_run(executor, SIZE_MAX);
	/* What is still there for the model is what has been lost. */
	for (unsigned i = 0; i < M_SUBS; i++) {
		struct m_sub *m = &world.subs[i].m;

		if (!m->used || m->executor != &executor->m)
			continue;
		W_EQUAL(m->n, m->n_lost);
		for (size_t j = 0; j < m->n; j++)
			W_TRUE(m->items[m->first + j].maybe);
		m->n = 0;
		m->n_lost = 0;
	}
}

static void op_run(void)
{
	struct w_executor *executor = w_pick_executor();
	unsigned max = input_byte(world.input);

	if (executor != NULL)
		w_run(executor, max < 200 ? max : SIZE_MAX);
}

static void op_drain(void)
{
	struct w_executor *executor = w_pick_executor();
	int result;

	if (executor == NULL)
		return;
	w_arm();
	result = stasis_executor_drain(executor->lib);
	if (w_disarm() && result == -ENOMEM)
		return;
	W_EQUAL(result, 0);
	/* What callbacks publish meanwhile need not be delivered. */
	w_run(executor, SIZE_MAX);
}

static void op_executor_create(void)
{
	struct w_executor *executor = &world.executors[from(M_EXECUTORS)];
	struct stasis_executor_options options = { .wait = STASIS_WAIT_MANUAL,
						   .name = w_string() };

	if (executor->m.used)
		return;
	errno = 0;
	w_arm();
	executor->lib = stasis_executor_create(&options);
	if (w_disarm() && executor->lib == NULL) {
		W_EQUAL(errno, ENOMEM);
		return;
	}
	W_TRUE(executor->lib != NULL);
	executor->m.used = true;
	W_EQUAL(stasis_executor_run(executor->lib, 1), 0);
}

void w_shutdown(struct w_executor *executor)
{
	executor->m.closed = true;
	/* One is for the statistics. */
	stasis_object_ref(executor->lib);
	W_TRUE(stasis_executor_shutdown(executor->lib) == NULL);
	W_EQUAL(n_queued(executor), 0);
	routers_emptied(executor);
	if (world.by_default == executor)
		world.by_default = NULL;
}

static void op_shutdown(void)
{
	struct w_executor *executor = w_pick_executor();

	/* Again changes nothing. Seldom: nothing happens on it afterwards. */
	if (executor != NULL && from(8) == 7)
		w_shutdown(executor);
}

static void op_set_default(void)
{
	struct w_executor *executor = w_pick_executor();

	if (executor == NULL)
		return;
	W_EQUAL(stasis_executor_set_default(executor->lib), executor->m.closed ? -ESHUTDOWN : 0);
	if (!executor->m.closed)
		world.by_default = executor;
}

static void op_grace(void)
{
	fuzz_grace();
}

const w_operation op_bus[] = {
	op_topic_create, op_topic_drop, op_wants, op_subscribe, op_subscribe, op_unsubscribe,
	op_unsubscribe_and_join, op_join, op_sub_drop, op_sub_forget, op_accept, op_filter,
	op_forward, op_forward, op_forward_cancel, op_run, op_run, op_run, op_drain,
	op_executor_create, op_shutdown, op_set_default, op_grace,
};
const size_t n_op_bus = sizeof(op_bus) / sizeof(op_bus[0]);
