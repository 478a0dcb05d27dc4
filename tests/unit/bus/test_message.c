/* SPDX-License-Identifier: BSD-2-Clause */
/* test_message.c — messages: three forms of data, references, release */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

static int n_released;
static void *released;

static void release(void *data)
{
	n_released++;
	released = data;
}

static struct stasis_message_type *type;

static void make_type(void)
{
	type = stasis_message_type_create("test");
}

TestSuite(message, .init = make_type);

Test(message, object_form_holds_a_reference_of_its_own)
{
	char *data = stasis_object_alloc(10, release);
	struct stasis_message *message = stasis_message_create(type, data);

	cr_assert_not_null(message);
	cr_assert_eq(stasis_message_data(message), data);
	cr_assert_eq(stasis_message_type(message), type);
	cr_assert_eq(stasis_object_refs(message), 1);
	cr_assert_eq(stasis_object_refs(data), 2);
	stasis_object_unref(data);
	cr_assert_eq(n_released, 0);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1);
	cr_assert_eq(released, data);
}

Test(message, object_form_leaves_the_callers_reference)
{
	char *data = stasis_object_alloc(10, release);
	struct stasis_message *message = stasis_message_create(type, data);

	stasis_object_unref(message);
	cr_assert_eq(n_released, 0);
	cr_assert_eq(stasis_object_refs(data), 1);
	stasis_object_unref(data);
	cr_assert_eq(n_released, 1);
}

Test(message, any_handle_may_be_the_data)
{
	struct stasis_topic *topic = stasis_topic_create("data");
	struct stasis_message *inner = stasis_message_create(type, topic);
	struct stasis_message *outer = stasis_message_create(type, inner);

	cr_assert_eq(stasis_message_data(outer), inner);
	cr_assert_eq(stasis_message_data(inner), topic);
	stasis_object_unref(inner);
	stasis_object_unref(topic);
	cr_assert_str_eq(stasis_topic_name(stasis_message_data(stasis_message_data(outer))),
			 "data");
	stasis_object_unref(outer);
}

Test(message, object_form_needs_type_and_data)
{
	char *data = stasis_object_alloc(1, release);

	errno = 0;
	cr_assert_null(stasis_message_create(NULL, data));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_create(type, NULL));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(stasis_object_refs(data), 1);
	stasis_object_unref(data);
	cr_assert_eq(n_released, 1);
}

static void check_inline(size_t size)
{
	unsigned char *bytes = malloc(size + 1);
	struct stasis_message *message;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (unsigned char)(i * 7 + size);
	message = stasis_message_create_inline(type, bytes, size);
	cr_assert_not_null(message, "size %zu", size);
	cr_assert_neq(stasis_message_data(message), bytes);
	cr_assert_eq((uintptr_t)stasis_message_data(message) % 16, 0, "size %zu", size);
	cr_assert_eq(memcmp(stasis_message_data(message), bytes, size), 0, "size %zu", size);
	memset(bytes, 0, size);
	if (size > 1)
		cr_assert_neq(memcmp(stasis_message_data(message), bytes, size), 0);
	free(bytes);
	stasis_object_unref(message);
}

Test(message, inline_form_copies_any_size_aligned)
{
	for (size_t size = 0; size < 1100; size++)
		check_inline(size);
	for (size_t size = 2048; size <= (size_t)4 << 20; size *= 2) {
		check_inline(size - 1);
		check_inline(size);
	}
}

Test(message, inline_messages_do_not_overlap)
{
	enum {
		N = 500
	};
	struct stasis_message *messages[N];
	unsigned char bytes[N];

	for (size_t i = 0; i < N; i++) {
		memset(bytes, (int)i, sizeof(bytes));
		messages[i] = stasis_message_create_inline(type, bytes, i);
	}
	for (size_t i = 0; i < N; i++) {
		const unsigned char *data = stasis_message_data(messages[i]);

		for (size_t k = 0; k < i; k++)
			cr_assert_eq(data[k], (unsigned char)i, "message %zu, byte %zu", i, k);
		cr_assert_eq(stasis_message_type(messages[i]), type);
		stasis_object_unref(messages[i]);
	}
}

Test(message, inline_form_allows_null_only_for_nothing)
{
	struct stasis_message *message = stasis_message_create_inline(type, NULL, 0);

	cr_assert_not_null(message);
	stasis_object_unref(message);
	errno = 0;
	cr_assert_null(stasis_message_create_inline(type, NULL, 1));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_create_inline(NULL, "x", 1));
	cr_assert_eq(errno, EINVAL);
}

Test(message, inline_form_of_absurd_size_is_out_of_memory)
{
	static const size_t sizes[] = { SIZE_MAX,      SIZE_MAX - 15,  SIZE_MAX - 16,
					SIZE_MAX - 63, SIZE_MAX - 100, SIZE_MAX / 2 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		errno = 0;
		cr_assert_null(stasis_message_create_inline(type, "x", sizes[i]));
		cr_assert_eq(errno, ENOMEM, "size %zu", sizes[i]);
	}
}

Test(message, foreign_form_releases_once_at_the_end)
{
	int data;
	struct stasis_message *message = stasis_message_create_foreign(type, &data, release);

	cr_assert_not_null(message);
	cr_assert_eq(stasis_message_data(message), &data);
	stasis_object_ref(message);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 0);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1);
	cr_assert_eq(released, &data);
}

Test(message, foreign_form_takes_unaligned_data)
{
	static char bytes[4];
	struct stasis_message *message = stasis_message_create_foreign(type, &bytes[1], release);

	cr_assert_eq(stasis_message_data(message), &bytes[1]);
	stasis_object_unref(message);
	cr_assert_eq(released, &bytes[1]);
}

Test(message, foreign_form_allows_null_data_and_no_release)
{
	int data;
	struct stasis_message *message = stasis_message_create_foreign(type, NULL, release);

	cr_assert_not_null(message);
	cr_assert_null(stasis_message_data(message));
	released = &data;
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1, "also for NULL");
	cr_assert_null(released);
	message = stasis_message_create_foreign(type, &data, NULL);
	cr_assert_eq(stasis_message_data(message), &data);
	stasis_object_unref(message);
	cr_assert_eq(n_released, 1);
}

Test(message, foreign_form_leaves_the_data_alone_on_failure)
{
	int data;

	errno = 0;
	cr_assert_null(stasis_message_create_foreign(NULL, &data, release));
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(n_released, 0);
}

Test(message, questions_about_null_are_errors)
{
	errno = 0;
	cr_assert_null(stasis_message_type(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_data(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null((const void *)stasis_message_timestamp(NULL));
	cr_assert_eq(errno, EINVAL);
}

struct maker {
	struct stasis_message *messages[2000];
};

static void *make_messages(void *arg)
{
	struct maker *maker = arg;

	for (size_t i = 0; i < 2000; i++) {
		unsigned char bytes[200];
		size_t size = i % sizeof(bytes);

		memset(bytes, (int)size, sizeof(bytes));
		maker->messages[i] = stasis_message_create_inline(type, bytes, size);
	}
	return NULL;
}

Test(message, outlives_the_thread_that_made_it)
{
	static struct maker makers[4];

	for (int round = 0; round < 3; round++) {
		run_threads(4, make_messages, makers, sizeof(makers[0]));
		for (size_t i = 0; i < 4 * 2000; i++) {
			struct stasis_message *message = makers[i % 4].messages[i / 4];
			const unsigned char *data = stasis_message_data(message);
			size_t size = i / 4 % 200;

			for (size_t k = 0; k < size; k++)
				cr_assert_eq(data[k], size);
			stasis_object_unref(message);
		}
	}
}
