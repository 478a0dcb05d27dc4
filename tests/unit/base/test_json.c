/* SPDX-License-Identifier: BSD-2-Clause */
/* test_json.c — strings and times of JSON forms */

#include "base/json.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"

#define FFFD "\xef\xbf\xbd"

static void check_string(const char *s, const char *expected)
{
	json_t *value = sti_json_string(s);
	char *text;

	cr_assert_not_null(value);
	cr_assert_str_eq(json_string_value(value), expected);
	/* jansson itself refuses to write what is not valid. */
	text = json_dumps(value, JSON_ENCODE_ANY);
	cr_assert_not_null(text, "%s", expected);
	free(text);
	json_decref(value);
}

Test(json_string, valid_text_is_copied)
{
	static const char *const valid[] = {
		"",
		"plain",
		"\x01\x7f\"\\",
		"\xc2\x80\xdf\xbf",
		"\xe0\xa0\x80\xec\xbf\xbf\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
		"\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf",
	};

	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
		check_string(valid[i], valid[i]);
}

Test(json_string, each_byte_that_is_not_part_of_valid_text_is_replaced)
{
	static const struct {
		const char *s, *expected;
	} cases[] = {
		{ "\x80", FFFD },
		{ "\xbf-", FFFD "-" },
		{ "a\xff" "b", "a" FFFD "b" },
		{ "\xc0\x80", FFFD FFFD },	   /* overlong */
		{ "\xc1\xbf", FFFD FFFD },	   /* overlong */
		{ "\xe0\x9f\xbf", FFFD FFFD FFFD }, /* overlong */
		{ "\xf0\x8f\xbf\xbf", FFFD FFFD FFFD FFFD }, /* overlong */
		{ "\xed\xa0\x80", FFFD FFFD FFFD }, /* surrogate */
		{ "\xed\xbf\xbf", FFFD FFFD FFFD }, /* surrogate */
		{ "\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD }, /* beyond U+10FFFF */
		{ "\xf5\x80\x80\x80", FFFD FFFD FFFD FFFD }, /* beyond U+10FFFF */
		{ "\xc3", FFFD },		   /* cut off */
		{ "\xe2\x82", FFFD FFFD },	   /* cut off */
		{ "\xf0\x9f\x98", FFFD FFFD FFFD }, /* cut off */
		{ "\xe2\x82z", FFFD FFFD "z" },
		{ "\xf0\x9f\x98z", FFFD FFFD FFFD "z" },
		{ "\xc3\xc3\xbc", FFFD "\xc3\xbc" },
		{ "\xe2\xe2\x82\xac", FFFD "\xe2\x82\xac" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_string(cases[i].s, cases[i].expected);
}

/* jansson has the same idea of what is valid. */
Test(json_string, all_short_strings_agree_with_jansson)
{
	for (unsigned first = 0x80; first < 0x100; first++) {
		for (unsigned second = 1; second < 0x100; second++) {
			const char s[] = { (char)first, (char)second, '\x80', '\x80', '\0' };
			json_t *theirs = json_string(s), *ours = sti_json_string(s);
			bool changed = strcmp(json_string_value(ours), s) != 0;

			cr_assert_eq(changed, theirs == NULL, "%02x %02x", first, second);
			json_decref(theirs);
			json_decref(ours);
		}
	}
}

Test(json_string, none_is_null)
{
	json_t *value = sti_json_string(NULL);

	cr_assert(json_is_null(value));
	json_decref(value);
}

Test(json_string, without_memory_there_is_none)
{
	json_t *value;

	faulty_install();
	faulty_arm(0, true);
	value = sti_json_string("\xff");
	cr_assert(faulty_disarm());
	cr_assert_null(value);
	cr_assert_eq(faulty_outstanding(), 0);
	check_string("\xff", FFFD);
	cr_assert_eq(faulty_outstanding(), 0);
}

Test(json_set, keys_are_made_valid_and_values_consumed)
{
	json_t *object = json_object(), *value = json_incref(json_integer(1));

	cr_assert_eq(sti_json_set(object, "a\xff", value), 0);
	cr_assert_eq(value->refcount, 2);
	cr_assert_eq(json_object_get(object, "a" FFFD), value);
	cr_assert_eq(sti_json_set(object, "a\xff", NULL), -1);
	cr_assert_eq(sti_json_set(NULL, "b", value), -1);
	cr_assert_eq(value->refcount, 1);
	cr_assert_eq(json_object_size(object), 1);
	json_decref(object);
}

static void check_time(int64_t seconds, suseconds_t us, const char *expected)
{
	struct timeval time = { .tv_sec = (time_t)seconds, .tv_usec = us };
	json_t *value;

	/* Before 1902 or after 2038, on many a 32-bit machine. */
	if (time.tv_sec != seconds)
		return;
	value = sti_json_time(&time);
	cr_assert_not_null(value);
	if (expected == NULL)
		cr_assert(json_is_null(value));
	else
		cr_assert_str_eq(json_string_value(value), expected);
	json_decref(value);
}

Test(json_time, is_iso_8601_in_utc_with_milliseconds)
{
	setenv("TZ", "America/St_Johns", 1);
	check_time(0, 0, "1970-01-01T00:00:00.000+00:00");
	check_time(1365142028, 91999, "2013-04-05T06:07:08.091+00:00");
	check_time(1709251199, 999999, "2024-02-29T23:59:59.999+00:00");
	check_time(-1, 1000, "1969-12-31T23:59:59.001+00:00");
	check_time(253402300799, 0, "9999-12-31T23:59:59.000+00:00");
	check_time(-62135596800, 0, "0001-01-01T00:00:00.000+00:00");
}

Test(json_time, without_four_digits_for_the_year_is_null)
{
	check_time(253402300800, 0, NULL);
	check_time(-62167219201, 0, NULL);
	check_time(INT64_MAX, 0, NULL);
	check_time(INT64_MIN, 0, NULL);
}
