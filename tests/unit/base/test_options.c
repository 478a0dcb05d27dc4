/* SPDX-License-Identifier: BSD-2-Clause */
/* test_options.c — structures from callers older and newer than the library */

#include "base/options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

struct known {
	size_t size;
	long one;
	long two;
};

struct newer {
	struct known known;
	char three[3];
};

static struct known out;

static int copy(const void *from)
{
	memset(&out, 0xff, sizeof(out));
	return sti_options_copy(&out, sizeof(out), from);
}

Test(options, null_means_all_zero)
{
	cr_assert_eq(copy(NULL), 0);
	cr_assert_eq(out.one, 0);
	cr_assert_eq(out.two, 0);
}

Test(options, size_nought_means_all_of_it)
{
	cr_assert_eq(copy(&(struct known){ .one = 1, .two = 2 }), 0);
	cr_assert_eq(out.one, 1);
	cr_assert_eq(out.two, 2);
	cr_assert_eq(copy(&(struct known){ .size = sizeof(struct known), .one = 3 }), 0);
	cr_assert_eq(out.one, 3);
	cr_assert_eq(out.two, 0);
}

Test(options, an_older_one_is_zero_where_it_ends)
{
	cr_assert_eq(copy(&(struct known){ .size = offsetof(struct known, two), 1, 2 }), 0);
	cr_assert_eq(out.one, 1);
	cr_assert_eq(out.two, 0);
	cr_assert_eq(copy(&(struct known){ .size = sizeof(size_t), 1, 2 }), 0);
	cr_assert_eq(out.one, 0);
}

Test(options, too_small_for_a_size_is_an_error)
{
	for (size_t size = 1; size < sizeof(size_t); size++)
		cr_assert_eq(copy(&(struct known){ .size = size }), -EINVAL);
}

Test(options, a_newer_one_is_refused_only_when_it_uses_what_is_new)
{
	struct newer newer = { .known = { .size = sizeof(newer), .one = 1, .two = 2 } };

	cr_assert_eq(copy(&newer), 0);
	cr_assert_eq(out.two, 2);
	for (size_t i = 0; i < sizeof(newer.three); i++) {
		memset(newer.three, 0, sizeof(newer.three));
		newer.three[i] = 1;
		cr_assert_eq(copy(&newer), -E2BIG, "byte %zu", i);
	}
	newer.known.size = offsetof(struct newer, three) + 2;
	cr_assert_eq(copy(&newer), 0, "the last byte does not belong to it");
}

Test(options, a_size_beyond_reason_is_refused_unread)
{
	static const size_t sizes[] = { 4097, 65536, SIZE_MAX / 2, SIZE_MAX - 7, SIZE_MAX };
	/* So that there is nothing behind it to look at. */
	char *pages = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	struct known *last;

	cr_assert_neq(pages, MAP_FAILED);
	cr_assert_eq(mprotect(pages + 4096, 4096, PROT_NONE), 0);
	last = (struct known *)(pages + 4096) - 1;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		last->size = sizes[i];
		cr_assert_eq(copy(last), -E2BIG, "%zu", sizes[i]);
	}
	munmap(pages, 2 * 4096);
}
