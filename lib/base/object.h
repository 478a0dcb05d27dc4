/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BASE_OBJECT_H
#define STI_BASE_OBJECT_H

/* base/object.h — the header in front of every reference-counted thing
 *
 * 16 bytes, followed at once by what the handle points to, so a small message is one line.
 *
 * Reference counts: taking one is relaxed (the caller holds one already; nothing is decided on it).
 * Dropping releases, and the one who drops the last acquires. An owner who finds as many references
 * as he holds is alone: nobody can add to them or take from them, so he needs no read-modify-write.
 *
 * Edges
 *   R1  fetch-sub refs (not the last)  -> A1  uses by former owners before the destructor
 *   A1  fetch-sub or load-acquire refs <- R1
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/compiler.h"
#include "base/slab.h"

/* What a handle is, for functions that take several. */
enum sti_kind {
	STI_KIND_USER = 0,
	STI_KIND_MESSAGE,
	STI_KIND_TYPE,
	STI_KIND_TOPIC,
	STI_KIND_SUBSCRIPTION,
	STI_KIND_EXECUTOR,
	STI_KIND_FORWARD,
	STI_KIND_ROUTER,
	STI_KIND_CACHE,
	STI_KIND_CACHING_TOPIC,
	STI_KIND_BUNDLE,
};

/* Where its memory goes after the destructor. */
enum sti_mem {
	STI_MEM_HEAP = 0, /* sti_free() */
	STI_MEM_SLAB,
	STI_MEM_KEEP, /* nowhere: part of something else, immortal, or the destructor's business */
};

struct sti_object {
	/* Aligned for the sake of 32-bit machines, where the rest would make 12 bytes of it. */
	alignas(8) _Atomic uint32_t refs;
	/* const after init */
	uint8_t kind;
	uint8_t mem;
	/* Called with the object. For a message, whose first member is its data, with the data. */
	void (*destroy)(void *obj);
};

static_assert(sizeof(struct sti_object) == 16, "objects stay 16-aligned");

STI_INLINE struct sti_object *sti_object_of(const void *obj)
{
	return (struct sti_object *)((uintptr_t)obj - sizeof(struct sti_object));
}

STI_INLINE enum sti_kind sti_object_kind(const void *obj)
{
	return (enum sti_kind)sti_object_of(obj)->kind;
}

STI_INLINE void sti_object_init(struct sti_object *object, enum sti_kind kind, enum sti_mem mem,
				void (*destroy)(void *obj))
{
	atomic_init(&object->refs, 1);
	object->kind = (uint8_t)kind;
	object->mem = (uint8_t)mem;
	object->destroy = destroy;
}

/* A zeroed object of a kind of the library; align as for sti_alloc_aligned(), of the header. */
void *sti_object_new(enum sti_kind kind, enum sti_mem mem, size_t align, size_t size,
		     void (*destroy)(void *obj));

/* Frees the memory that an STI_MEM_KEEP object of sti_object_new() has kept. */
void sti_object_dispose(void *obj);

/* Runs the destructor and frees. pending: where to put off slab memory to; NULL: free it now. */
void sti_object_destroy(struct sti_object *object, struct sti_slab_pending *pending);

STI_INLINE void *sti_object_ref_n(void *obj, uint32_t n)
{
	/* Relaxed: the caller holds a reference; nothing is decided on the count. */
	atomic_fetch_add_explicit(&sti_object_of(obj)->refs, n, memory_order_relaxed);
	return obj;
}

/* Is the caller, who holds n references, alone? */
STI_INLINE bool sti_object_sole(const void *obj, uint32_t n)
{
	/* A1: uses by former owners are over; pairs with R1 in sti_object_unref_n(). */
	return atomic_load_explicit(&sti_object_of(obj)->refs, memory_order_acquire) == n;
}

/* Drops n references at once. */
STI_INLINE void sti_object_unref_n(void *obj, uint32_t n, struct sti_slab_pending *pending)
{
	struct sti_object *object = sti_object_of(obj);

	/* R1, A1: uses before the drop, for the last owner; one operation is both ends. */
	if (sti_object_sole(obj, n) ||
	    atomic_fetch_sub_explicit(&object->refs, n, memory_order_acq_rel) == n)
		sti_object_destroy(object, pending);
}

#endif
