/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cache_update_type.c — a type that is always there */

#include <criterion/criterion.h>

#include <stasis/stasis.h>

Test(cache_update_type, is_one_for_all_and_has_a_name)
{
	struct stasis_message_type *type = stasis_cache_update_type();

	cr_assert_not_null(type);
	cr_assert_eq(stasis_cache_update_type(), type);
	cr_assert_neq(stasis_subscription_change_type(), type);
	cr_assert_str_eq(stasis_message_type_name(type), "stasis_cache_update");
}

Test(cache_update_type, outlives_its_handles)
{
	struct stasis_message_type *type = stasis_cache_update_type();
	struct stasis_cache_update update = { .type = type };
	struct stasis_message *message;

	cr_assert_eq(stasis_object_ref(type), type);
	stasis_object_unref(type);
	message = stasis_message_create_inline(type, &update, sizeof(update));
	cr_assert_eq(stasis_message_type(message), type);
	stasis_object_unref(message);
}
