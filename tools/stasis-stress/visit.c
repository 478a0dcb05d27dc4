/* SPDX-License-Identifier: BSD-2-Clause */
/* visit.c — those who come and go: subscriptions, joiners, forwards, executors. See role.h. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "plant.h"
#include "random.h"
#include "role.h"

/* Messages after which one that ends itself does; the one who closes publishes as many. */
#define LEAVE_AFTER_MAX 12u

/* Executors with a file descriptor that are made in a round. */
#define MANUAL_MAX 200u

struct guest {
	struct ss_view *view;
	uint64_t leaves_after; /* calls; 0: it is unsubscribed by another */
};

static void receive(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		    struct stasis_message *message)
{
	struct ss_view *view = data;

	ss_view_leave(view, ss_view_enter(view, sub, message));
}

/* --- those who end themselves --- */

static void receive_and_leave(void *data, struct stasis_subscription *sub,
			      struct stasis_topic *topic, struct stasis_message *message)
{
	struct guest *guest = data;
	struct ss_view *view = guest->view;
	enum ss_call call = ss_view_enter(view, sub, message);

	if (view->n_calls == guest->leaves_after && call != SS_CALL_FINAL)
		stasis_unsubscribe(stasis_object_ref(sub));
	if (call == SS_CALL_FINAL)
		ss_free(guest);
	ss_view_leave(view, call);
}

/* --- visitors --- */

static struct ss_view *make_view(struct ss_net *net, unsigned topic, const char *what,
				 unsigned index)
{
	struct ss_place place = ss_net_place(net, topic);
	struct ss_view *view = ss_view_new(&place, true);

	snprintf(view->name, sizeof(view->name), "%s of thread %u", what, index);
	return view;
}

/* What a visitor asks for; types: room for its types. */
static struct stasis_subscribe_options draw_options(struct ss_slot *slot, struct ss_view *view,
						    unsigned topic,
						    struct stasis_message_type **types)
{
	struct ss_net *net = slot->net;
	struct stasis_subscribe_options options = {
		.executor =
			net->executors[random_below(&slot->random, 3) == 0 ? STASIS_WAIT_INLINE :
									     STASIS_WAIT_SPIN_PARK],
		/* A publish under way may come by one of two ways only. */
		.distinct = ss_net_is_manifold(net, topic) || random_below(&slot->random, 2) == 0,
	};

	if (random_below(&slot->random, 3) == 0 || net->scarce) {
		options.capacity = (size_t)1 << random_below(&slot->random, 7);
		options.overflow = (enum stasis_overflow)random_below(&slot->random,
								      STASIS_OVERFLOW_REJECT + 1);
	}
	view->distinct = options.distinct;
	view->lossless = !net->starved && !ss_net_may_drop(net, options.overflow);
	view->selective = !view->lossless || random_below(&slot->random, 2) == 0;
	for (unsigned i = 0; i < SS_KINDS; i++)
		types[i] = ss_kind_type(i);
	if (view->selective) {
		options.types = types;
		options.n_types = SS_KINDS;
	}
	return options;
}

static void share(struct ss_net *net, struct ss_slot *slot, struct stasis_subscription *sub,
		  struct ss_view *view)
{
	struct ss_share *place = &net->shares[random_below(&slot->random, SS_SHARES)];

	pthread_mutex_lock(&net->share_lock);
	if (place->sub == NULL) {
		place->sub = stasis_object_ref(sub);
		place->view = ss_view_ref(view);
	}
	pthread_mutex_unlock(&net->share_lock);
}

static struct ss_share take_share(struct ss_net *net, struct ss_slot *slot, bool remove)
{
	struct ss_share *place = &net->shares[random_below(&slot->random, SS_SHARES)];
	struct ss_share taken;

	pthread_mutex_lock(&net->share_lock);
	taken = *place;
	if (taken.sub != NULL && !remove) {
		stasis_object_ref(taken.sub);
		ss_view_ref(taken.view);
	} else if (remove) {
		*place = (struct ss_share){ NULL, NULL };
	}
	pthread_mutex_unlock(&net->share_lock);
	return taken;
}

static void drop_share(struct ss_share share)
{
	if (share.sub == NULL)
		return;
	stasis_object_unref(share.sub);
	ss_view_unref(share.view);
}

/* Ends a subscription in one of the ways there are, and waits until it is done. */
static void end(struct ss_slot *slot, struct stasis_subscription *sub, struct ss_view *view)
{
	uint64_t way = random_below(&slot->random, 4);

	ss_doing(slot, "unsubscribing");
	ss_view_mark_leaving(view);
	if (way == 0) {
		stasis_unsubscribe_and_join(stasis_object_ref(sub));
	} else {
		stasis_unsubscribe(stasis_object_ref(sub));
		ss_view_mark_left(view);
		ss_doing(slot, "joining its own");
		if (way == 1)
			stasis_unsubscribe_and_join(stasis_object_ref(sub));
		else
			ss_check(stasis_subscription_join(sub) == 0, "join: %s: refused",
				 view->name);
	}
	if (way == 0)
		ss_view_mark_left(view);
	ss_view_close(view);
	ss_check(stasis_subscription_is_done(sub) == 1 &&
			 stasis_subscription_is_subscribed(sub) == 0,
		 "join: %s: it is not over", view->name);
}

static void visit_and_be_joined(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	unsigned topic = (unsigned)random_below(&slot->random, net->n_topics);
	struct ss_view *view = make_view(net, topic, "visitor", slot->index);
	struct stasis_message_type *types[SS_KINDS];
	struct stasis_subscribe_options options = draw_options(slot, view, topic, types);
	struct stasis_subscription *sub;
	struct stasis_stats stats;

	ss_doing(slot, "subscribing");
	ss_view_mark_before(view);
	sub = stasis_subscribe_with(net->topics[topic], receive, view, &options);
	if (sub == NULL) {
		ss_net_excused(net, "subscribing", errno);
		ss_view_unref(view);
		return;
	}
	ss_view_begun(view);
	ss_view_mark_at(view);
	if (random_below(&slot->random, 3) == 0)
		share(net, slot, sub, view);
	ss_doing(slot, "being subscribed");
	ss_sleep_us(random_below(&slot->random, 4) == 0 ? 0 : random_below(&slot->random, 5000));
	end(slot, sub, view);
	ss_net_account(net, sub, !view->lossless, &stats);
	ss_view_check(view, &stats);
	stasis_object_unref(sub);
	ss_view_unref(view);
}

static void let_go(struct ss_view *view)
{
	ss_check(view->n_finals == 1, "final: %s: %llu final messages", view->name,
		 (unsigned long long)view->n_finals);
	ss_view_unref(view);
}

/* Subscribes, and drops the handle: the callback ends it. */
static void visit_and_leave(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	unsigned topic = (unsigned)random_below(&slot->random, net->n_topics);
	struct ss_view *view = make_view(net, topic, "leaver", slot->index);
	struct guest *guest = ss_alloc(sizeof(*guest));
	struct stasis_subscribe_options options = {
		.executor = net->executors[STASIS_WAIT_SPIN_PARK],
		.distinct = true,
	};
	struct stasis_subscription *sub;

	guest->view = view;
	guest->leaves_after = 1 + random_below(&slot->random, LEAVE_AFTER_MAX);
	view->distinct = true;
	view->lossless = !net->starved;
	view->ended = let_go;
	ss_doing(slot, "subscribing one that leaves");
	ss_view_mark_before(view);
	/* The callback's; it may be over before this thread goes on. */
	ss_view_ref(view);
	sub = stasis_subscribe_with(net->topics[topic], receive_and_leave, guest, &options);
	if (sub == NULL) {
		ss_net_excused(net, "subscribing", errno);
		ss_free(guest);
		ss_view_unref(view);
	} else {
		/* Not left to the first callback, which may come late: messages are published at
		 * the end of a round for those that are counted (ss_net_close()). */
		ss_view_begun(view);
		stasis_object_unref(sub);
	}
	ss_view_unref(view);
}

void ss_visit(struct ss_slot *slot)
{
	/* Changes are queued beyond a capacity, so that publishers would wait for ever. */
	ss_keep_pace(slot);
	if (random_below(&slot->random, 8) == 0) {
		visit_and_leave(slot);
		/* They wait for messages; as many as there may be at once are enough. */
		ss_sleep_us(1000);
	} else {
		visit_and_be_joined(slot);
	}
}

/* --- joiners --- */

void ss_join_somebody(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	bool remove = random_below(&slot->random, 4) == 0;
	struct ss_share share = take_share(net, slot, remove);

	if (share.sub == NULL) {
		ss_doing(slot, "looking for somebody to join");
		ss_sleep_us(200);
		return;
	}
	ss_doing(slot, "joining another's");
	ss_check(stasis_subscription_join(share.sub) == 0, "join: %s: refused", share.view->name);
	ss_view_close(share.view);
	drop_share(share);
}

/* --- forwards --- */

/* A topic of its own, to which a forward leads for a while. */
void ss_forward_somewhere(struct ss_slot *slot)
{
	struct ss_net *net = slot->net;
	unsigned from = (unsigned)random_below(&slot->random, net->n_topics);
	struct stasis_topic *annex;
	struct ss_view *view = make_view(net, from, "annex", slot->index);
	struct stasis_message_type *types[SS_KINDS];
	struct stasis_subscribe_options options = draw_options(slot, view, from, types);
	struct stasis_subscription *sub = NULL;
	struct stasis_forward *forward = NULL;
	struct stasis_stats stats;

	ss_keep_pace(slot);
	ss_doing(slot, "making a forward");
	/* Changes of others come along the forward. */
	annex = stasis_topic_create("annex");
	if (annex != NULL)
		sub = stasis_subscribe_with(annex, receive, view, &options);
	if (sub == NULL) {
		ss_net_excused(net, "a topic to forward to", errno);
		stasis_object_unref(annex);
		ss_view_unref(view);
		return;
	}
	ss_view_begun(view);
	ss_view_mark_before(view);
	forward = stasis_forward_all(net->topics[from], annex);
	ss_view_mark_at(view);
	if (forward == NULL) {
		ss_net_excused(net, "a forward", errno);
	} else {
		ss_check(stasis_forward_all(annex, net->topics[from]) == NULL &&
				 (errno == ELOOP || (net->starved && errno == ENOMEM)) &&
				 !ss_plant_now(SS_PLANT_FORWARD),
			 "forward: a cycle was not refused");
		ss_sleep_us(random_below(&slot->random, 3000));
	}
	ss_view_mark_leaving(view);
	if (forward != NULL)
		stasis_forward_cancel(forward);
	else
		ss_view_mark_at(view);
	ss_view_mark_left(view);
	ss_doing(slot, "ending a subscription behind a forward");
	stasis_unsubscribe_and_join(stasis_object_ref(sub));
	ss_view_close(view);
	ss_net_account(net, sub, !view->lossless, &stats);
	ss_view_check(view, &stats);
	stasis_object_unref(sub);
	stasis_object_unref(annex);
	ss_view_unref(view);
}

/* --- executors --- */

/* What was published before the drain has been delivered, or is counted as dropped, after it. */
static void check_drain(struct ss_slot *slot, struct stasis_executor *executor,
			struct stasis_subscription *sub, struct ss_view *view)
{
	uint64_t due = ss_view_due(view), seen;
	struct stasis_stats stats = { 0 };
	int result;

	ss_doing(slot, "draining an executor");
	result = stasis_executor_drain(executor);
	if (result != 0) {
		ss_net_excused(slot->net, "a drain", -result);
		return;
	}
	/* Relaxed: the drain must have ordered it. */
	seen = atomic_load_explicit(&view->progress, memory_order_relaxed);
	stasis_stats_read(sub, &stats);
	if (due > 0 && stats.dropped < due && ss_plant_now(SS_PLANT_DRAIN))
		seen = 0;
	ss_check(seen + stats.dropped >= due, "drain: %s: %llu were due, %llu came, %llu dropped",
		 view->name, (unsigned long long)due, (unsigned long long)seen,
		 (unsigned long long)stats.dropped);
}

/* An executor of its own, with one subscription, which it takes down in either order. */
void ss_run_executor(struct ss_slot *slot)
{
	static const enum stasis_wait waits[] = { STASIS_WAIT_SPIN_PARK, STASIS_WAIT_PARK,
						  STASIS_WAIT_MANUAL, STASIS_WAIT_INLINE };
	struct ss_net *net = slot->net;
	unsigned topic = (unsigned)random_below(&slot->random, net->n_topics);
	struct ss_view *view = make_view(net, topic, "executive", slot->index);
	struct stasis_message_type *types[SS_KINDS];
	struct stasis_subscribe_options options = draw_options(slot, view, topic, types);
	struct stasis_executor *executor;
	struct stasis_subscription *sub = NULL;
	struct stasis_stats stats;
	bool first = random_below(&slot->random, 2) == 0;
	enum stasis_wait wait;

	for (unsigned i = 0; i < SS_KINDS; i++)
		types[i] = ss_kind_type(i);
	options.types = types;
	options.n_types = SS_KINDS;
	options.overflow = STASIS_OVERFLOW_GROW;
	/* What comes after the shutdown is refused. */
	view->selective = true;
	view->lossless = false;
	ss_keep_pace(slot);
	ss_doing(slot, "making an executor");
	wait = waits[random_below(&slot->random, 4)];
	/* Each is kept until the end of the round, with its file descriptor (ss_net_account()). */
	if (wait == STASIS_WAIT_MANUAL && atomic_fetch_add(&net->n_manual, 1) >= MANUAL_MAX)
		wait = STASIS_WAIT_PARK;
	executor = stasis_executor_create(&(struct stasis_executor_options){
		.wait = wait,
		.threads = 1 + (unsigned)random_below(&slot->random, 2),
		.name = "ss-worker" });
	options.executor = executor;
	ss_view_mark_before(view);
	if (executor != NULL)
		sub = stasis_subscribe_with(net->topics[topic], receive, view, &options);
	if (sub == NULL) {
		ss_net_excused(net, "an executor", errno);
		stasis_executor_shutdown(executor);
		ss_view_unref(view);
		return;
	}
	ss_view_begun(view);
	ss_view_mark_at(view);
	ss_sleep_us(random_below(&slot->random, 3000));
	if (random_below(&slot->random, 2) == 0)
		check_drain(slot, executor, sub, view);
	ss_doing(slot, "shutting an executor down");
	if (first)
		stasis_executor_shutdown(executor);
	ss_sleep_us(random_below(&slot->random, 500));
	ss_view_mark_leaving(view);
	stasis_unsubscribe(stasis_object_ref(sub));
	ss_view_mark_left(view);
	if (!first)
		stasis_executor_shutdown(executor);
	ss_doing(slot, "joining after a shutdown");
	ss_check(stasis_subscription_join(sub) == 0, "join: %s: refused", view->name);
	ss_view_close(view);
	ss_net_account(net, sub, true, &stats);
	ss_view_check(view, &stats);
	stasis_object_unref(sub);
	ss_view_unref(view);
}
