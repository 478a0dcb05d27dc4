/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/message.c — making messages and reading them. See message.h and stasis/message.h. */

#include "bus/message.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <stasis/object.h>

#include "base/alloc.h"
#include "base/thread.h"

STI_INLINE void message_stamp(struct stasis_message *message, struct sti_thread *thread)
{
	if (sti_likely(thread != NULL))
		sti_clock_now(&thread->clock, &message->timestamp);
	else
		gettimeofday(&message->timestamp, NULL);
}

void sti_message_stamp(struct stasis_message *message)
{
	message_stamp(message, sti_thread_self());
}

/* Memory for a message without a thread record, too large for a slab, or when slabs have none. */
static STI_COLD struct sti_object *object_from_allocator(size_t total)
{
	struct sti_object *object = sti_alloc(total);

	if (object == NULL)
		errno = ENOMEM;
	return object;
}

STI_INLINE struct stasis_message *message_new(struct stasis_message_type *type, size_t size,
					      void (*release)(void *data))
{
	const size_t overhead = sizeof(struct sti_object) + sizeof(struct stasis_message);
	struct sti_thread *thread = sti_thread_self();
	struct sti_object *object = NULL;
	struct stasis_message *message;
	enum sti_mem mem = STI_MEM_SLAB;

	if (sti_likely(thread != NULL && size <= STI_SLAB_BLOCK_MAX - overhead))
		object = sti_slab_alloc(&thread->heap, overhead + size);
	if (sti_unlikely(object == NULL)) {
		mem = STI_MEM_HEAP;
		/* A sum that wraps round is more than there is. */
		object = object_from_allocator(size <= SIZE_MAX - overhead ? overhead + size :
									      SIZE_MAX);
		if (object == NULL)
			return NULL;
	}
	sti_object_init(object, STI_KIND_MESSAGE, mem, release);
	message = (struct stasis_message *)(object + 1);
	message->data = message + 1;
	message->type = type;
	message_stamp(message, thread);
	return message;
}

struct stasis_message *sti_message_new(struct stasis_message_type *type, size_t size,
				       void (*release)(void *data))
{
	return message_new(type, size, release);
}

static void release_object(void *data)
{
	stasis_object_unref(data);
}

struct stasis_message *stasis_message_create(struct stasis_message_type *type, void *data)
{
	struct stasis_message *message;

	if (type == NULL || data == NULL) {
		errno = EINVAL;
		return NULL;
	}
	message = sti_message_new(type, 0, release_object);
	if (message != NULL)
		message->data = sti_object_ref_n(data, 1);
	return message;
}

struct stasis_message *stasis_message_create_inline(struct stasis_message_type *type,
						    const void *bytes, size_t size)
{
	struct stasis_message *message;

	if (sti_unlikely(type == NULL || (bytes == NULL && size > 0))) {
		errno = EINVAL;
		return NULL;
	}
	message = message_new(type, size, NULL);
	if (sti_likely(message != NULL && size > 0))
		memcpy(message->data, bytes, size);
	return message;
}

struct stasis_message *stasis_message_create_foreign(struct stasis_message_type *type, void *data,
						     void (*release)(void *data))
{
	struct stasis_message *message;

	if (type == NULL) {
		errno = EINVAL;
		return NULL;
	}
	message = sti_message_new(type, 0, release);
	if (message != NULL)
		message->data = data;
	return message;
}

struct stasis_message_type *stasis_message_type(const struct stasis_message *message)
{
	if (sti_unlikely(message == NULL)) {
		errno = EINVAL;
		return NULL;
	}
	return message->type;
}

void *stasis_message_data(const struct stasis_message *message)
{
	if (sti_unlikely(message == NULL)) {
		errno = EINVAL;
		return NULL;
	}
	return message->data;
}

const struct timeval *stasis_message_timestamp(const struct stasis_message *message)
{
	if (sti_unlikely(message == NULL)) {
		errno = EINVAL;
		return NULL;
	}
	return &message->timestamp;
}

struct json_t *stasis_message_to_json(const struct stasis_message *message)
{
	if (message == NULL) {
		errno = EINVAL;
		return NULL;
	}
	if (message->type->vtable.to_json == NULL)
		return NULL;
	return message->type->vtable.to_json(message);
}
