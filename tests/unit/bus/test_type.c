/* SPDX-License-Identifier: BSD-2-Clause */
/* test_type.c — message types: names, tables of functions, lifetime */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <stasis/message.h>
#include <stasis/object.h>

static int json_value; /* stands for a JSON value; only its address matters */
static const struct stasis_message *json_of;

static struct json_t *to_json(const struct stasis_message *message)
{
	json_of = message;
	return (struct json_t *)(void *)&json_value;
}

Test(type, keeps_a_copy_of_its_name)
{
	char name[] = "call-state";
	struct stasis_message_type *type = stasis_message_type_create(name);

	cr_assert_not_null(type);
	memset(name, 'x', sizeof(name) - 1);
	cr_assert_str_eq(stasis_message_type_name(type), "call-state");
	cr_assert_eq(stasis_object_refs(type), 1);
	cr_assert_null(stasis_object_unref(type));
}

Test(type, long_names_are_not_cut)
{
	char name[5000];
	struct stasis_message_type *type;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	type = stasis_message_type_create(name);
	cr_assert_str_eq(stasis_message_type_name(type), name);
	stasis_object_unref(type);
}

Test(type, name_is_required)
{
	errno = 0;
	cr_assert_null(stasis_message_type_create(NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_type_create(""));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_type_create_with(NULL, NULL));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_message_type_create_with("", NULL));
	cr_assert_eq(errno, EINVAL);
}

Test(type, name_of_null_is_an_error)
{
	errno = 0;
	cr_assert_null(stasis_message_type_name(NULL));
	cr_assert_eq(errno, EINVAL);
}

Test(type, same_name_is_not_the_same_type)
{
	struct stasis_message_type *one = stasis_message_type_create("same");
	struct stasis_message_type *other = stasis_message_type_create("same");

	cr_assert_neq(one, other);
	stasis_object_unref(one);
	stasis_object_unref(other);
}

static void check_json(const struct stasis_message_vtable *vtable, bool has)
{
	struct stasis_message_type *type = stasis_message_type_create_with("json", vtable);
	struct stasis_message *message;

	cr_assert_not_null(type);
	message = stasis_message_create_inline(type, NULL, 0);
	json_of = NULL;
	if (has) {
		cr_assert_eq((void *)stasis_message_to_json(message), (void *)&json_value);
		cr_assert_eq(json_of, message);
	} else {
		cr_assert_null(stasis_message_to_json(message));
		cr_assert_null(json_of);
	}
	stasis_object_unref(message);
	stasis_object_unref(type);
}

Test(type, to_json_is_called_with_the_message)
{
	struct stasis_message_vtable vtable = { .size = sizeof(vtable), .to_json = to_json };

	check_json(&vtable, true);
	vtable.size = 0;
	check_json(&vtable, true);
}

Test(type, table_is_copied)
{
	struct stasis_message_vtable vtable = { .to_json = to_json };
	struct stasis_message_type *type = stasis_message_type_create_with("json", &vtable);
	struct stasis_message *message = stasis_message_create_inline(type, NULL, 0);

	memset(&vtable, 0xff, sizeof(vtable));
	cr_assert_eq((void *)stasis_message_to_json(message), (void *)&json_value);
	stasis_object_unref(message);
	stasis_object_unref(type);
}

Test(type, no_table_and_an_empty_one_mean_no_json)
{
	struct stasis_message_vtable vtable = { 0 };

	check_json(NULL, false);
	check_json(&vtable, false);
}

Test(type, an_older_table_ends_where_it_says)
{
	struct stasis_message_vtable vtable = { .size = sizeof(size_t), .to_json = to_json };

	check_json(&vtable, false);
}

Test(type, to_json_of_null_is_an_error)
{
	errno = 0;
	cr_assert_null(stasis_message_to_json(NULL));
	cr_assert_eq(errno, EINVAL);
}

/* What a later version of the header might look like. */
struct newer_vtable {
	struct stasis_message_vtable known;
	void *unknown;
};

Test(type, a_newer_table_is_refused_only_when_it_matters)
{
	struct newer_vtable vtable = { .known = { .size = sizeof(vtable), .to_json = to_json } };

	check_json(&vtable.known, true);
	vtable.unknown = &vtable;
	errno = 0;
	cr_assert_null(stasis_message_type_create_with("newer", &vtable.known));
	cr_assert_eq(errno, E2BIG);
}

Test(type, may_be_dropped_while_messages_of_it_live)
{
	struct stasis_message_type *type = stasis_message_type_create("gone");
	struct stasis_message *message = stasis_message_create_inline(type, "x", 1);

	stasis_object_unref(type);
	cr_assert_eq(stasis_message_type(message), type);
	cr_assert_str_eq(stasis_message_type_name(stasis_message_type(message)), "gone");
	stasis_object_unref(message);
}

Test(type, takes_and_drops_references_like_any_object)
{
	struct stasis_message_type *type = stasis_message_type_create("counted");

	cr_assert_eq(stasis_object_ref(type), type);
	cr_assert_eq(stasis_object_refs(type), 2);
	stasis_object_unref(type);
	cr_assert_eq(stasis_object_refs(type), 1);
	stasis_object_unref(type);
}
