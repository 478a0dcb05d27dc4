/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/bundle.c — see bundle.h
 *
 * In memory: object header, places, and behind them the items that are pushed, which are the
 * places' addresses.
 */

#include "bus/bundle.h"

#include "base/alloc.h"
#include "base/object.h"

/* More would take more than a reference count. */
#define REFERENCES_MAX (UINT32_MAX / 2)

static size_t bundle_size(const struct sti_place *places)
{
	return places[0].left;
}

static void *const *bundle_items(struct sti_place *places)
{
	return (void *const *)(places + bundle_size(places));
}

static void bundle_destroy(void *obj)
{
	struct sti_place *places = obj;
	struct sti_slab_pending pending = { .bits = 0 };

	for (size_t i = 0, n = bundle_size(places); i < n; i++)
		sti_object_unref_n(places[i].item, 1, &pending);
	sti_slab_flush(&pending);
}

struct sti_place *sti_bundle_new(struct stasis_message *const *messages, size_t n, size_t n_subs)
{
	const size_t each = sizeof(struct sti_place) + sizeof(void *);
	struct sti_object *object;
	struct sti_place *places;
	void **items;

	if (n > REFERENCES_MAX / n_subs || n > (SIZE_MAX - sizeof(*object)) / each)
		return NULL;
	object = sti_alloc(sizeof(*object) + n * each);
	if (object == NULL)
		return NULL;
	sti_object_init(object, STI_KIND_BUNDLE, STI_MEM_HEAP, bundle_destroy);
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

bool sti_bundle_push(struct sti_delivery *delivery, struct stasis_subscription *sub,
		     struct sti_place *places)
{
	struct sti_mailbox *mailbox = &sub->mailbox;
	size_t n = bundle_size(places), pushed;
	enum sti_push push;

	/* A2: pairs with R2 in executor_begin_close(). */
	if (atomic_load_explicit(&mailbox->flags, memory_order_acquire) != 0 ||
	    sti_mpsc_is_bounded(&mailbox->tail))
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
