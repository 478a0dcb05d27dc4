/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/type.c — message types
 *
 * A message must not count a reference on its type: thousands of threads' messages share one. So a
 * descriptor is never freed, whoever drops his handle; it stays linked into a list, where leak
 * checkers find it.
 *
 * Edges
 *   R1  CAS types: publishes to nobody but leak checkers; relaxed would do, release is for readers
 *       of a core file.
 */

#include <errno.h>
#include <string.h>

#include <stasis/message.h>

#include "base/alloc.h"
#include "base/object.h"
#include "base/options.h"
#include "bus/message.h"

static _Atomic(struct stasis_message_type *) types;
static _Atomic uint32_t next_id = STI_TYPE_ID_FIRST;

struct stasis_message_type *
stasis_message_type_create_with(const char *name, const struct stasis_message_vtable *vtable)
{
	struct stasis_message_vtable copy;
	struct stasis_message_type *type;
	size_t name_size;
	int result;

	if (name == NULL || name[0] == '\0') {
		errno = EINVAL;
		return NULL;
	}
	result = sti_options_copy(&copy, sizeof(copy), vtable);
	if (result != 0) {
		errno = -result;
		return NULL;
	}
	name_size = strlen(name) + 1;
	type = sti_object_new(STI_KIND_TYPE, STI_MEM_KEEP, sizeof(struct sti_object),
			      sizeof(*type) + name_size, NULL);
	if (type == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	type->vtable = copy;
	/* Relaxed: unique is enough, and after 4 billion types equal ones do no harm. */
	type->id = atomic_fetch_add_explicit(&next_id, 1, memory_order_relaxed);
	type->name = memcpy(type + 1, name, name_size);
	/* Relaxed: the CAS decides. */
	type->next = atomic_load_explicit(&types, memory_order_relaxed);
	/* R1: see above. */
	while (!atomic_compare_exchange_weak_explicit(&types, &type->next, type,
						      memory_order_release, memory_order_relaxed))
		;
	return type;
}

struct stasis_message_type *stasis_message_type_create(const char *name)
{
	return stasis_message_type_create_with(name, NULL);
}

const char *stasis_message_type_name(const struct stasis_message_type *type)
{
	if (type == NULL) {
		errno = EINVAL;
		return NULL;
	}
	return type->name;
}
