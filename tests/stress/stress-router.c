/* SPDX-License-Identifier: BSD-2-Clause */
/* stress-router.c — routes, defaults and whole routers come and go while messages flow
 *
 * Half of the threads publish messages of many types, and cache updates of the same types: 128
 * keys. Messages are numbered per publisher, and per publisher and key. Two routers stay:
 *
 *   the selective one has permanent routes for some keys: it must see all messages of those, each
 *     once, in order, in the route's own callback; other routes come and go beside them
 *   the open one has a default from the start: it must see every message once and in order, in one
 *     callback or another, while routes come and go and the default is replaced
 *
 * A route's data is freed by whoever has removed the route: in its own callback at once, elsewhere
 * after a drain. So a sanitizer finds a callback that comes too late. The remaining threads make
 * routers, use them and end them, and count the final messages.
 */

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "stress_bus.h"

#define N_TYPES 64u
#define N_KEYS (2 * N_TYPES) /* from N_TYPES on: cache updates of the type */
#define PUBLISHERS_MAX 16u
#define OUTSTANDING_MAX 20000u
#define NO_KEY UINT32_MAX

/* Of the selective router, and of the open one. The others come and go. */
#define SELECTIVE_PERMANENT(key) ((key) % 2 == 0)
#define OPEN_PERMANENT(key) ((key) % 8 == 0)
/* Several threads add and remove these; any other that is not permanent has one owner. */
#define CONTENDED(key) ((key) % 16 == 15)

struct payload {
	struct stasis_cache_update update; /* first: for messages that are one */
	uint32_t publisher, key;
	uint64_t seq, key_seq;
};

/* What a receiver has seen of a publisher. */
struct lane {
	uint64_t next, key_next[N_KEYS];
};

/* A router that checks what it is given. Plain fields: callbacks of one router do not overlap. */
struct receiver {
	struct stasis_message_router *router;
	bool open;	    /* from before the first message: it sees everything */
	uint64_t end_after; /* ends itself at this call; 0: does not */
	bool (*permanent)(uint32_t key);
	uint64_t n_calls, n_finals;
	_Atomic int inside; /* relaxed: must order nothing */
	struct lane lanes[PUBLISHERS_MAX];
};

/* The data of a route: one key, or NO_KEY for defaults and changes. */
struct target {
	struct receiver *receiver;
	uint32_t key;
	bool once; /* removes itself at the first message */
	_Atomic bool *gonep;
};

struct publisher {
	uint64_t seq, key_seq[N_KEYS];
};

static struct {
	struct stasis_executor *executors[2];
	struct stasis_topic *topic;
	struct stasis_message_type *types[N_TYPES];
	unsigned n_publishers, n_changers;
	struct publisher publishers[PUBLISHERS_MAX];
	struct receiver *selective, *open;
	struct target *permanent[2 * N_KEYS + 1];
	unsigned n_permanent;
	struct target contended[2][N_KEYS]; /* of both; never freed: anybody may remove the route */
	struct target *fallback;	    /* the open one's default: setup, then one thread */
	struct stress_balance targets;
} bus;

static bool selective_permanent(uint32_t key)
{
	return SELECTIVE_PERMANENT(key);
}

static bool open_permanent(uint32_t key)
{
	return OPEN_PERMANENT(key);
}

static bool never_permanent(uint32_t key)
{
	return false;
}

/* --- receiving --- */

static struct target *target_new(struct receiver *receiver, uint32_t key)
{
	struct target *target = stress_alloc(sizeof(*target));

	target->receiver = receiver;
	target->key = key;
	atomic_fetch_add_explicit(&bus.targets.made, 1, memory_order_relaxed);
	return target;
}

static void target_free(struct target *target)
{
	free(target);
	atomic_fetch_add_explicit(&bus.targets.freed, 1, memory_order_relaxed);
}

static int router_remove(struct stasis_message_router *router, uint32_t key)
{
	if (key >= N_TYPES)
		return stasis_message_router_remove_cache_update(router, bus.types[key - N_TYPES]);
	return stasis_message_router_remove(router, bus.types[key]);
}

static void check_order(struct receiver *receiver, const struct payload *payload)
{
	struct lane *lane = &receiver->lanes[payload->publisher];
	uint64_t *key_nextp = &lane->key_next[payload->key];

	if (receiver->open)
		stress_check(payload->seq == lane->next, "publisher %u: message %llu after %llu",
			     payload->publisher, (unsigned long long)payload->seq,
			     (unsigned long long)lane->next - 1);
	else
		stress_check(payload->seq >= lane->next, "publisher %u: message %llu is late",
			     payload->publisher, (unsigned long long)payload->seq);
	if (receiver->open || receiver->permanent(payload->key))
		stress_check(payload->key_seq == *key_nextp,
			     "publisher %u, key %u: message %llu, expected %llu",
			     payload->publisher, payload->key, (unsigned long long)payload->key_seq,
			     (unsigned long long)*key_nextp);
	lane->next = payload->seq + 1;
	*key_nextp = payload->key_seq + 1;
}

/* Whoever removes a route frees its data; this one may do so at once. */
static void end_once(struct target *target)
{
	struct receiver *receiver = target->receiver;
	_Atomic bool *gonep = target->gonep;
	int result = router_remove(receiver->router, target->key);

	stress_check(result == 0 || result == -ENOENT, "a route removed itself: %d", result);
	if (result != 0)
		return;
	target_free(target);
	atomic_store_explicit(gonep, true, memory_order_release);
}

static void receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct target *target = data;
	struct receiver *receiver = target->receiver;
	bool final = stasis_subscription_final_message(sub, message);

	if (atomic_exchange_explicit(&receiver->inside, 1, memory_order_relaxed) != 0)
		stress_violation("two callbacks of one router at once");
	stress_check(receiver->n_finals == 0, "a message after the final message");
	receiver->n_calls++;
	receiver->n_finals += final;
	if (stasis_message_type(message) == stasis_subscription_change_type()) {
		stress_check(target->key == NO_KEY, "a change came to the route of key %u",
			     target->key);
	} else {
		const struct payload *payload = stasis_message_data(message);

		stress_check(!final, "a final message of another type");
		if (target->key == NO_KEY)
			stress_check(!receiver->permanent(payload->key),
				     "key %u came to the default", payload->key);
		else
			stress_check(payload->key == target->key, "key %u came to that of %u",
				     payload->key, target->key);
		check_order(receiver, payload);
		if (receiver == bus.open)
			atomic_fetch_add_explicit(&stress_delivered, 1, memory_order_relaxed);
		if (target->once)
			end_once(target);
	}
	if (receiver->n_calls == receiver->end_after)
		stasis_message_router_unsubscribe(stasis_object_ref(receiver->router));
	atomic_store_explicit(&receiver->inside, 0, memory_order_relaxed);
}

static int router_add(struct receiver *receiver, uint32_t key, struct target *target)
{
	if (key >= N_TYPES)
		return stasis_message_router_add_cache_update(receiver->router,
							      bus.types[key - N_TYPES], receive,
							      target);
	return stasis_message_router_add(receiver->router, bus.types[key], receive, target);
}

/* --- publishing --- */

static void publish_thread(struct stress_thread *self)
{
	struct publisher *publisher = &bus.publishers[self->index];

	while (!stress_stopping(self->stress)) {
		uint32_t key = (uint32_t)stress_below(self, N_KEYS);
		bool update = key >= N_TYPES;
		struct stasis_message_type *type = bus.types[key % N_TYPES];
		struct payload payload = {
			.update.type = update ? type : NULL,
			.publisher = self->index,
			.key = key,
			.seq = publisher->seq++,
			.key_seq = publisher->key_seq[key]++,
		};
		struct stasis_message *message = stasis_message_create_inline(
			update ? stasis_cache_update_type() : type, &payload, sizeof(payload));

		if (message == NULL)
			stress_die("no memory for a message");
		stress_check(stasis_publish_take(bus.topic, message) == 0, "not taken by all");
		atomic_fetch_add_explicit(&stress_expected, 1, memory_order_relaxed);
		stress_throttle(self->stress, OUTSTANDING_MAX);
		self->n_ops++;
	}
}

/* --- changing the routes of the two that stay --- */

/* After this, no callback uses data whose route was removed before. */
static void drain(void)
{
	for (int i = 0; i < 2; i++)
		stress_check(stasis_executor_drain(bus.executors[i]) == 0, "cannot drain");
}

static void change_contended(struct stress_thread *self, struct receiver *receiver, uint32_t key)
{
	struct target *target = &bus.contended[receiver == bus.open][key];
	int result;

	if (stress_below(self, 2)) {
		result = router_add(receiver, key, target);
		stress_check(result == 0 || result == -EEXIST, "contended add: %d", result);
	} else {
		result = router_remove(receiver->router, key);
		stress_check(result == 0 || result == -ENOENT, "contended remove: %d", result);
	}
}

static void change_owned(struct stress_thread *self, struct receiver *receiver, uint32_t key)
{
	struct target *target = target_new(receiver, key);
	bool once = stress_below(self, 2);
	_Atomic bool gone = false;
	int result;

	target->once = once;
	target->gonep = &gone;
	result = router_add(receiver, key, target);
	stress_check(result == 0, "cannot add: %d", result);
	if (!once)
		stress_check(router_add(receiver, key, target) == -EEXIST, "added twice");
	for (uint64_t spins = stress_below(self, 30); spins > 0; spins--)
		sched_yield();
	result = router_remove(receiver->router, key);
	stress_check(result == 0 || result == -ENOENT, "cannot remove: %d", result);
	if (result == 0) {
		drain();
		target_free(target);
		return;
	}
	while (!atomic_load_explicit(&gone, memory_order_acquire))
		sched_yield();
}

static void change_default(void)
{
	struct target *old = bus.fallback;

	bus.fallback = target_new(bus.open, NO_KEY);
	stress_check(stasis_message_router_set_default(bus.open->router, receive, bus.fallback) ==
			     0,
		     "cannot set the default");
	drain();
	target_free(old);
}

static void change_thread(struct stress_thread *self, unsigned number)
{
	while (!stress_stopping(self->stress)) {
		struct receiver *receiver = stress_below(self, 2) ? bus.open : bus.selective;
		uint32_t key = (uint32_t)stress_below(self, N_KEYS);

		if (number == 0 && stress_below(self, 8) == 0)
			change_default();
		else if (receiver->permanent(key))
			continue;
		else if (CONTENDED(key))
			change_contended(self, receiver, key);
		else if (key / 2 % bus.n_changers == number)
			change_owned(self, receiver, key);
		else
			continue;
		self->n_ops++;
	}
}

/* --- routers that come and go --- */

static struct receiver *receiver_new(struct stasis_executor *executor,
				     bool (*permanent)(uint32_t key))
{
	struct stasis_subscribe_options options = { .executor = executor };
	struct receiver *receiver = stress_alloc(sizeof(*receiver));

	receiver->permanent = permanent;
	receiver->router = stasis_message_router_create_with(bus.topic, &options);
	if (receiver->router == NULL)
		stress_die("cannot make a router");
	return receiver;
}

static struct target *route_changes(struct receiver *receiver)
{
	struct target *target = target_new(receiver, NO_KEY);

	if (stasis_message_router_add(receiver->router, stasis_subscription_change_type(), receive,
				      target) != 0)
		stress_die("cannot route changes");
	return target;
}

static struct target *route_rest(struct receiver *receiver)
{
	struct target *target = target_new(receiver, NO_KEY);

	if (stasis_message_router_set_default(receiver->router, receive, target) != 0)
		stress_die("cannot set a default");
	return target;
}

#define CHURN_ROUTES 6u

static void churn_once(struct stress_thread *self)
{
	struct receiver *receiver = receiver_new(bus.executors[stress_below(self, 2)],
						 never_permanent);
	struct target *targets[CHURN_ROUTES + 2];
	bool changes = stress_below(self, 3) == 0, rest = stress_below(self, 3) == 0;
	bool twice = stress_below(self, 2);
	unsigned n = 0;

	/* Before there is a route, nobody calls back. */
	receiver->end_after = stress_below(self, 3) == 0 ? 1 + stress_below(self, 10) : 0;
	/* The way of the final message first: it may end itself at any time from now on. */
	if (changes)
		targets[n++] = route_changes(receiver);
	if (rest)
		targets[n++] = route_rest(receiver);
	for (unsigned i = 0; i < CHURN_ROUTES; i++) {
		uint32_t key = (uint32_t)stress_below(self, N_KEYS);

		targets[n] = target_new(receiver, key);
		if (router_add(receiver, key, targets[n]) == 0)
			n++;
		else
			target_free(targets[n]);
	}
	for (uint64_t spins = stress_below(self, 30); spins > 0; spins--)
		sched_yield();
	if (twice)
		stasis_message_router_unsubscribe(stasis_object_ref(receiver->router));
	errno = 0;
	stasis_message_router_unsubscribe_and_join(receiver->router);
	stress_check(errno == (twice ? EALREADY : 0) || receiver->end_after > 0,
		     "unsubscribe: errno %d", errno);
	stress_check(receiver->n_finals == (changes || rest), "%llu final messages",
		     (unsigned long long)receiver->n_finals);
	while (n > 0)
		target_free(targets[--n]);
	free(receiver);
	self->n_ops++;
}

/* --- all together --- */

static void route_permanent(struct receiver *receiver)
{
	for (uint32_t key = 0; key < N_KEYS; key++) {
		struct target *target;

		bus.contended[receiver == bus.open][key] = (struct target){ .receiver = receiver,
									    .key = key };
		if (!receiver->permanent(key))
			continue;
		target = target_new(receiver, key);
		if (router_add(receiver, key, target) != 0)
			stress_die("cannot add a route");
		bus.permanent[bus.n_permanent++] = target;
	}
}

static void router_setup(struct stress *stress)
{
	bus.n_publishers = stress->n_threads / 2;
	if (bus.n_publishers > PUBLISHERS_MAX)
		bus.n_publishers = PUBLISHERS_MAX;
	bus.n_changers = (stress->n_threads - bus.n_publishers + 1) / 2;
	bus.executors[0] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2 });
	bus.executors[1] = stasis_executor_create(
		&(struct stasis_executor_options){ .threads = 2, .wait = STASIS_WAIT_PARK });
	bus.topic = stasis_topic_create("stress");
	for (unsigned t = 0; t < N_TYPES; t++)
		bus.types[t] = stasis_message_type_create("stress");
	bus.selective = receiver_new(bus.executors[0], selective_permanent);
	route_permanent(bus.selective);
	bus.permanent[bus.n_permanent++] = route_changes(bus.selective);
	bus.open = receiver_new(bus.executors[1], open_permanent);
	bus.open->open = true;
	route_permanent(bus.open);
	bus.fallback = route_rest(bus.open);
}

static void router_thread(struct stress_thread *self)
{
	if (self->index < bus.n_publishers)
		publish_thread(self);
	else if (self->index < bus.n_publishers + bus.n_changers)
		change_thread(self, self->index - bus.n_publishers);
	else
		while (!stress_stopping(self->stress))
			churn_once(self);
}

static void end_and_check(struct receiver *receiver)
{
	stasis_message_router_unsubscribe_and_join(receiver->router);
	stress_check(receiver->n_finals == 1, "%llu final messages",
		     (unsigned long long)receiver->n_finals);
	for (unsigned p = 0; p < bus.n_publishers; p++) {
		const struct publisher *publisher = &bus.publishers[p];
		const struct lane *lane = &receiver->lanes[p];

		stress_check(!receiver->open || lane->next == publisher->seq,
			     "publisher %u: messages lost", p);
		for (uint32_t key = 0; key < N_KEYS; key++)
			stress_check((!receiver->open && !receiver->permanent(key)) ||
					     lane->key_next[key] == publisher->key_seq[key],
				     "publisher %u, key %u: messages lost", p, key);
	}
	free(receiver);
}

static void router_check(struct stress *stress)
{
	end_and_check(bus.selective);
	end_and_check(bus.open);
	target_free(bus.fallback);
	while (bus.n_permanent > 0)
		target_free(bus.permanent[--bus.n_permanent]);
	for (int i = 0; i < 2; i++)
		stasis_executor_shutdown(bus.executors[i]);
	stress_await_refs(bus.topic, 1);
	stasis_object_unref(bus.topic);
	stress_balance_check(&bus.targets, "data of routes");
}

int main(int argc, char **argv)
{
	static const struct stress_program program = {
		.doc = "Changes routes, defaults and routers from many threads while others "
		       "publish.",
		.ops = "messages published, and routes and routers changed",
		.threads_min = 8,
		.setup = router_setup,
		.thread = router_thread,
		.check = router_check,
	};

	return stress_main(argc, argv, &program);
}
