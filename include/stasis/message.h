/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_MESSAGE_H
#define STASIS_MESSAGE_H

/* stasis/message.h — immutable, typed, timestamped data
 *
 * Overview   A message couples data with a message type and the time of its creation. It is
 *            immutable, and so is the data once it is in a message: everybody who gets one may read
 *            it without a lock, nobody may write. To change something, publish a new message.
 *
 *            Three forms, one handle:
 *              create          data is an object; the message holds a reference to it
 *              create_inline   data is copied into the message: one allocation, recycled
 *              create_foreign  data is any memory; a release function runs once, at the end
 *
 *            A message type is compared by pointer. Two types with one name are two types.
 * Threads    All functions may be called from any thread at once.
 * Ordering   What a thread wrote before it published a message is visible in every callback that
 *            gets the message.
 * Lifetime   A type's descriptor (some 64 bytes and its name) stays for the life of the process, so
 *            that messages need not count it. Create types once, not per message.
 */

#include <errno.h>
#include <stddef.h>
#include <sys/time.h>

#include "api.h"

STASIS_BEGIN_DECLS

struct json_t; /* jansson's json_t */
struct stasis_message;
struct stasis_message_type;

/* What a type can do with its messages. Fill with designated initializers; zero means absent. */
struct stasis_message_vtable {
	size_t size; /* sizeof(struct stasis_message_vtable), or 0 for the same */

	/* A new JSON value describing @message, owned by the caller; NULL on failure. */
	struct json_t *(*to_json)(const struct stasis_message *message);
};

/**
 * stasis_message_type_create() - make a message type
 * @name:  for people and statistics; copied; neither NULL nor empty
 *
 * Ownership:  the caller gets one reference; it may drop it while messages of the type live.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the type; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_message_type *stasis_message_type_create(const char *name);

/**
 * stasis_message_type_create_with() - make a message type that can do more
 * @name:    as for stasis_message_type_create()
 * @vtable:  copied; NULL for none
 *
 * Ownership:  the caller gets one reference.
 * Threads:    any thread.
 * Progress:   as the allocator.
 * Return:     the type; NULL with errno EINVAL, E2BIG (@vtable is of a newer version and uses what
 *             this one lacks) or ENOMEM.
 */
STASIS_API struct stasis_message_type *
stasis_message_type_create_with(const char *name, const struct stasis_message_vtable *vtable);

/**
 * stasis_message_type_name() - the name given at creation
 * @type:  a message type
 *
 * Ownership:  the string belongs to the type.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the name; NULL with errno EINVAL when @type is NULL.
 */
STASIS_API const char *stasis_message_type_name(const struct stasis_message_type *type);

/**
 * stasis_message_create() - wrap an object in a message
 * @type:  what it is
 * @data:  an object of stasis_object_alloc(), or any handle of this library
 *
 * Ownership:  the message takes a reference of its own to @data; the caller keeps his, and gets one
 *             reference to the message.
 * Threads:    any thread.
 * Progress:   lock-free; now and then a trip to the allocator.
 * Return:     the message; NULL with errno EINVAL (an argument is NULL) or ENOMEM.
 */
STASIS_API struct stasis_message *stasis_message_create(struct stasis_message_type *type,
							void *data);

/**
 * stasis_message_create_inline() - copy bytes into a message
 * @type:   what it is
 * @bytes:  what to copy; may be NULL when @size is 0
 * @size:   bytes
 *
 * The copy is aligned to 16 bytes. Up to 16 bytes, the whole message is one cache line.
 *
 * Ownership:  nothing of the caller's is kept; he gets one reference to the message.
 * Threads:    any thread.
 * Progress:   lock-free; now and then a trip to the allocator.
 * Return:     the message; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_message *stasis_message_create_inline(struct stasis_message_type *type,
							       const void *bytes, size_t size);

/**
 * stasis_message_create_foreign() - carry any memory in a message
 * @type:     what it is
 * @data:     what stasis_message_data() shall return; may be NULL
 * @release:  called once with @data when the last reference to the message is dropped, on whichever
 *            thread that is; NULL when nothing is to be done
 *
 * Ownership:  on success the message owns @data; on failure @release is not called and @data stays
 *             the caller's. The caller gets one reference to the message.
 * Threads:    any thread.
 * Progress:   lock-free; now and then a trip to the allocator.
 * Return:     the message; NULL with errno EINVAL or ENOMEM.
 */
STASIS_API struct stasis_message *stasis_message_create_foreign(struct stasis_message_type *type,
								void *data,
								void (*release)(void *data));

/**
 * stasis_message_type() - what a message is
 * @message:  a message
 *
 * Ownership:  borrowed from the message.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the type; NULL with errno EINVAL when @message is NULL.
 */
STASIS_API struct stasis_message_type *stasis_message_type(const struct stasis_message *message);

/**
 * stasis_message_data() - what a message carries
 * @message:  a message
 *
 * Ownership:  borrowed from the message. Not to be written to.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the data; NULL with errno EINVAL when @message is NULL.
 */
STASIS_API void *stasis_message_data(const struct stasis_message *message);

/**
 * stasis_message_timestamp() - when a message was created
 * @message:  a message
 *
 * The wall clock (CLOCK_REALTIME) to the microsecond. A step of the clock shows within about a
 * millisecond.
 *
 * Ownership:  borrowed from the message.
 * Threads:    any thread.
 * Progress:   wait-free.
 * Return:     the time; NULL with errno EINVAL when @message is NULL.
 */
STASIS_API const struct timeval *stasis_message_timestamp(const struct stasis_message *message);

/**
 * stasis_message_to_json() - a message as JSON
 * @message:  a message
 *
 * Ownership:  the caller gets a new JSON value (json_decref()).
 * Threads:    any thread.
 * Progress:   as the type's to_json.
 * Return:     what the type's to_json returned; NULL when the type has none, or with errno EINVAL
 *             when @message is NULL.
 */
STASIS_API struct json_t *stasis_message_to_json(const struct stasis_message *message);

/* Every callback asks for type and data, so where a compiler optimises no call is made for them: a
 * message begins with its data and its type, which is part of the ABI. These definitions are used
 * for nothing else; the library has the functions. */
#ifdef __cplusplus
#define STASIS_WORDS_OF(stasis_type_, object) reinterpret_cast<stasis_type_ const *>(object)
#else
#define STASIS_WORDS_OF(stasis_type_, object) ((stasis_type_ const *)(const void *)(object))
#endif

extern inline __attribute__((gnu_inline)) struct stasis_message_type *
stasis_message_type(const struct stasis_message *message)
{
	typedef struct stasis_message_type *stasis_word_;

	if (__builtin_expect(message == NULL, 0)) {
		errno = EINVAL;
		return NULL;
	}
	return STASIS_WORDS_OF(stasis_word_, message)[1];
}

extern inline __attribute__((gnu_inline)) void *
stasis_message_data(const struct stasis_message *message)
{
	typedef void *stasis_word_;

	if (__builtin_expect(message == NULL, 0)) {
		errno = EINVAL;
		return NULL;
	}
	return STASIS_WORDS_OF(stasis_word_, message)[0];
}

#undef STASIS_WORDS_OF

STASIS_END_DECLS

#endif
