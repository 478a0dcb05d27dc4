/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/bundle.c — see bundle.h
 *
 * In memory: object header, places, behind them the items that are pushed, which are the places'
 * addresses, and what is the publisher's alone. A block of a slab, as a message is: it is made by
 * publishers and freed by workers.
 */

#include "bus/bundle.h"

#include "base/alloc.h"
#include "base/object.h"
#include "base/thread.h"
#include "bus/topic.h"

#define EACH (sizeof(struct sti_place) + sizeof(void *))

/* The publisher's. */
struct bundle_end {
	struct sti_place *next;
	uint32_t spare; /* references that nobody needs, his own included */
};

#define SIZE(n) (sizeof(struct sti_object) + (n) * EACH + sizeof(struct bundle_end))

static_assert(SIZE(STI_BUNDLE_MAX) <= STI_SLAB_BLOCK_MAX, "a bundle is a block");

static size_t bundle_size(const struct sti_place *places)
{
	return places[0].left;
}

static void *const *bundle_items(struct sti_place *places)
{
	return (void *const *)(places + bundle_size(places));
}

static struct bundle_end *bundle_end(struct sti_place *places)
{
	return (struct bundle_end *)((void **)(places + bundle_size(places)) +
				     bundle_size(places));
}

static void bundle_destroy(void *obj)
{
	struct sti_place *places = obj;
	struct sti_slab_pending pending = { .bits = 0 };

	for (size_t i = 0, n = bundle_size(places); i < n; i++)
		sti_object_unref_n(places[i].item, 1, &pending);
	sti_slab_flush(&pending);
}

static struct sti_object *bundle_alloc(size_t n, enum sti_mem *memp)
{
	size_t size = SIZE(n);
	struct sti_thread *thread = sti_thread_self();
	struct sti_object *object = NULL;

	*memp = STI_MEM_SLAB;
	if (thread != NULL)
		object = sti_slab_alloc(&thread->heap, size);
	if (object == NULL) {
		*memp = STI_MEM_HEAP;
		object = sti_alloc(size);
	}
	return object;
}

/* Takes over a reference to each of up to STI_BUNDLE_MAX messages; counts n_subs references for
 * each place and one for the caller. The first place; NULL: there is no memory, or there are too
 * many subscriptions, and nothing is taken. */
static struct sti_place *bundle_new(struct stasis_message *const *messages, size_t n, size_t n_subs)
{
	struct sti_object *object;
	struct sti_place *places;
	enum sti_mem mem;
	void **items;

	stasis_assert(n <= STI_BUNDLE_MAX);
	/* More would take more than a reference count. */
	if (n_subs > UINT32_MAX / 2 / STI_BUNDLE_MAX)
		return NULL;
	object = bundle_alloc(n, &mem);
	if (object == NULL)
		return NULL;
	sti_object_init(object, STI_KIND_BUNDLE, mem, bundle_destroy);
	/* atomic_init: nobody else knows it yet. */
	atomic_init(&object->refs, (uint32_t)(n * n_subs) + 1);
	places = (struct sti_place *)(object + 1);
	items = (void **)(places + n);
	for (size_t i = 0; i < n; i++) {
		places[i] = (struct sti_place){
			.item = messages[i],
			.index = (uint32_t)i,
			.left = (uint32_t)(n - i),
		};
		items[i] = sti_place_item(&places[i]);
	}
	return places;
}

/* For good: it must be given the messages themselves, and all at once. */
static bool takes_messages(const struct stasis_subscription *sub)
{
	/* Relaxed: these two are set before it is known. */
	uint32_t flags = atomic_load_explicit(&sub->mailbox.flags, memory_order_relaxed);

	return (flags & (STI_MAILBOX_WATCHED | STI_MAILBOX_WHOLE)) != 0 ||
	       sti_mpsc_is_bounded(&sub->mailbox.tail);
}

/* Gives all places to a subscription. False: for the moment it must be given the messages. */
static bool push_places(struct sti_delivery *delivery, struct stasis_subscription *sub,
			struct sti_place *places)
{
	struct sti_mailbox *mailbox = &sub->mailbox;
	size_t n = bundle_size(places), pushed;
	enum sti_push push;

	if (sti_mailbox_is_flagged(mailbox, STI_MAILBOX_INLINE))
		return false;
	push = sti_mpsc_push_n(&mailbox->tail, bundle_items(places), n, STI_MPSC_FIT, &pushed);
	if (sti_likely(push == STI_PUSH_OK))
		return true;
	sti_push_settle(delivery, sub, push, NULL, 0);
	if (pushed == n)
		return true;
	if (!(push & STI_PUSH_ENDED)) {
		delivery->refused += n - pushed;
		/* Relaxed: a figure. */
		atomic_fetch_add_explicit(&mailbox->dropped, n - pushed, memory_order_relaxed);
	}
	/* Never the last: the publisher has his. */
	sti_object_unref_n(places, (uint32_t)(n - pushed), NULL);
	return true;
}

/* With a reference for each. */
static void push_messages(struct sti_delivery *delivery, struct stasis_subscription *sub)
{
	for (size_t i = 0; i < delivery->n; i++)
		sti_object_ref_n(delivery->messages[i], 1);
	sti_push_all(delivery, sub);
}

/* The delivery's messages, no more than one bundle, to those that take places. */
static void push_part(struct sti_bundles *bundles, struct sti_delivery *delivery,
		      const struct sti_subscribers *subs)
{
	uint32_t n = (uint32_t)delivery->n, spare = 1;
	struct sti_place *places = bundle_new(delivery->messages, n, subs->n);

	for (size_t i = 0; i < subs->n; i++) {
		struct stasis_subscription *sub = sti_subscribers_at(subs, i);

		sti_push_fetch_ahead(subs, subs->n, i);
		if (sti_likely(sub != NULL) && !takes_messages(sub)) {
			if (sti_likely(places != NULL) && push_places(delivery, sub, places))
				continue;
			push_messages(delivery, sub);
		}
		spare += n;
	}
	if (places == NULL) {
		/* The caller's references, which would be the bundle's. */
		sti_push_drop(delivery, delivery->messages, n);
		return;
	}
	*bundle_end(places) = (struct bundle_end){ .next = bundles->first, .spare = spare };
	bundles->first = places;
}

bool sti_bundles_pay(const struct sti_delivery *delivery, const struct sti_subscribers *subs)
{
	const struct stasis_subscription *sub;

	if (delivery->flags != STI_PUBLISH_GIVEN || delivery->but != NULL ||
	    delivery->n < STI_BUNDLE_MIN || subs->n < STI_BUNDLE_SUBSCRIPTIONS)
		return false;
	/* The first stands for all. */
	sub = sti_subscribers_at(subs, 0);
	return sub != NULL && !takes_messages(sub);
}

void sti_bundles_publish(struct sti_bundles *bundles, struct sti_delivery *delivery,
			 const struct sti_subscribers *subs)
{
	struct stasis_message *const *messages = delivery->messages;
	size_t n = delivery->n;

	for (size_t i = 0; i < subs->n; i++) {
		struct stasis_subscription *sub = sti_subscribers_at(subs, i);

		if (sub != NULL && takes_messages(sub))
			push_messages(delivery, sub);
	}
	for (size_t done = 0; done < n; done += delivery->n) {
		delivery->messages = messages + done;
		delivery->n = n - done < STI_BUNDLE_MAX ? n - done : STI_BUNDLE_MAX;
		push_part(bundles, delivery, subs);
	}
	delivery->messages = messages;
	delivery->n = n;
}

void sti_bundles_drop(struct sti_bundles *bundles)
{
	struct sti_place *places = bundles->first;

	while (places != NULL) {
		struct bundle_end end = *bundle_end(places);

		sti_object_unref_n(places, end.spare, NULL);
		places = end.next;
	}
}
