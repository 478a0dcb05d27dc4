/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_MESSAGE_H
#define STI_BUS_MESSAGE_H

/* bus/message.h — what is inside a message and a message type
 *
 * A message is an object header (16 bytes), this structure (32) and, for the inline form, the
 * payload: one line for a payload of up to 16 bytes. It counts no reference on its type: types are
 * never freed. Written by its creator only, before it is published; afterwards only the header's
 * count changes.
 *
 * Freed by whoever drops the last reference, mostly a worker, at once: a message is reached by
 * counted references only, never through RCU alone.
 */

#include <stddef.h>
#include <sys/time.h>

#include <stasis/message.h>

#include "base/object.h"

/* The first types' numbers are given out here, the rest when they are made. */
enum sti_type_id { STI_TYPE_ID_CHANGE, STI_TYPE_ID_CACHE_UPDATE, STI_TYPE_ID_CACHE_CLEAR,
		   STI_TYPE_ID_FIRST };

struct stasis_message_type {
	/* const after init */
	const char *name;
	uint32_t id; /* dense, from 0: filters are built on it */
	struct stasis_message_vtable vtable;
	/* linked once, never taken out */
	struct stasis_message_type *next;
};

struct stasis_message {
	void *data; /* first: the object's destructor is called with it */
	struct stasis_message_type *type; /* second: both are read by code in <stasis/message.h> */
	struct timeval timestamp;
	/* for 32-bit machines with a 64-bit time: what follows is aligned to 16 */
	unsigned char padding[-(2 * sizeof(void *) + sizeof(struct timeval)) % 16];
	/* the payload follows */
};

static_assert(sizeof(struct stasis_message) % 16 == 0, "payloads are aligned to 16");
static_assert(offsetof(struct stasis_message, data) == 0 &&
		      offsetof(struct stasis_message, type) == sizeof(void *),
	      "programs have been built with that");
static_assert(sizeof(void *) != 8 || sizeof(struct sti_object) + sizeof(struct stasis_message) +
					     16 == STI_CACHELINE,
	      "a small message is one line");

/* A type of the library's own: there from the beginning, and never freed. */
struct sti_own_type {
	struct sti_object object;
	struct stasis_message_type type;
};

#define STI_OWN_TYPE(type_name, type_id, type_to_json)                                             \
	{                                                                                          \
		.object = { .refs = 1, .kind = STI_KIND_TYPE, .mem = STI_MEM_KEEP },               \
		.type = {                                                                          \
			.name = (type_name),                                                       \
			.id = (type_id),                                                           \
			.vtable = { .to_json = (type_to_json) },                                   \
		},                                                                                 \
	}

/* A message with size bytes of payload, not written yet, to which data points; release as for
 * stasis_message_create_foreign(). NULL with errno ENOMEM. */
struct stasis_message *sti_message_new(struct stasis_message_type *type, size_t size,
				       void (*release)(void *data));

/* Stamps a message with the time. */
void sti_message_stamp(struct stasis_message *message);

#endif
