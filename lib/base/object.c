/* SPDX-License-Identifier: BSD-2-Clause */
/* base/object.c — reference-counted memory. See object.h and stasis/object.h. */

#include "base/object.h"

#include <errno.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/callout.h"
#include "base/census.h"

static enum sti_census census_of(const struct sti_object *object)
{
	static const uint8_t counted[] = {
		[STI_KIND_USER] = STI_CENSUS_NONE,
		[STI_KIND_MESSAGE] = STI_CENSUS_NONE,
		[STI_KIND_TYPE] = STI_CENSUS_NONE,
		[STI_KIND_TOPIC] = STI_CENSUS_TOPIC,
		[STI_KIND_SUBSCRIPTION] = STI_CENSUS_SUBSCRIPTION,
		[STI_KIND_EXECUTOR] = STI_CENSUS_EXECUTOR,
		[STI_KIND_FORWARD] = STI_CENSUS_FORWARD,
		[STI_KIND_ROUTER] = STI_CENSUS_ROUTER,
		[STI_KIND_CACHE] = STI_CENSUS_CACHE,
		[STI_KIND_CACHING_TOPIC] = STI_CENSUS_CACHING_TOPIC,
		[STI_KIND_BUNDLE] = STI_CENSUS_NONE,
	};

	return (enum sti_census)counted[object->kind];
}

/* Frees the memory of an object that came from the allocator. */
static void object_free(struct sti_object *object)
{
	sti_census_add(census_of(object), -1);
	sti_free(object);
}

void *sti_object_new(enum sti_kind kind, enum sti_mem mem, size_t align, size_t size,
		     void (*destroy)(void *obj))
{
	struct sti_object *object;

	if (size > SIZE_MAX - sizeof(*object))
		return NULL;
	object = sti_alloc_aligned(align, sizeof(*object) + size);
	if (object == NULL)
		return NULL;
	memset((void *)(object + 1), 0, size);
	sti_object_init(object, kind, mem, destroy);
	sti_census_add(census_of(object), 1);
	return object + 1;
}

void sti_object_dispose(void *obj)
{
	object_free(sti_object_of(obj));
}

static STI_NOINLINE void object_call_destroy(struct sti_object *object)
{
	void *obj = object + 1;
	STI_CALLOUT inside = true;
	int cancel = sti_cancel_hold();

	object->destroy(object->kind == STI_KIND_MESSAGE ? *(void **)obj : obj);
	sti_cancel_release(cancel);
	inside = false;
}

void sti_object_destroy(struct sti_object *object, struct sti_slab_pending *pending)
{
	enum sti_mem mem = (enum sti_mem)object->mem;

	if (object->destroy != NULL)
		object_call_destroy(object);
	if (mem == STI_MEM_HEAP)
		object_free(object);
	else if (mem == STI_MEM_SLAB && pending != NULL)
		sti_slab_free_later(pending, object);
	else if (mem == STI_MEM_SLAB)
		sti_slab_free(object);
}

void *stasis_object_alloc(size_t size, void (*destroy)(void *obj))
{
	void *obj = sti_object_new(STI_KIND_USER, STI_MEM_HEAP, sizeof(struct sti_object), size,
				   destroy);

	if (obj == NULL)
		errno = ENOMEM;
	return obj;
}

void *stasis_object_ref(void *obj)
{
	if (obj == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return sti_object_ref_n(obj, 1);
}

void *stasis_object_unref(void *obj)
{
	if (obj != NULL)
		sti_object_unref_n(obj, 1, NULL);
	return NULL;
}

unsigned stasis_object_refs(const void *obj)
{
	/* Relaxed: the caller is told not to rely on it. */
	return obj != NULL ? atomic_load_explicit(&sti_object_of(obj)->refs, memory_order_relaxed) :
			     0;
}
