/* SPDX-License-Identifier: BSD-2-Clause */
/* test_alloc.c — the seam under which everything is allocated */

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "faulty.h"

Test(alloc, is_aligned_and_writable)
{
	for (size_t size = 0; size < 3000; size += 7) {
		unsigned char *ptr = sti_alloc(size);

		cr_assert_not_null(ptr);
		cr_assert_eq((uintptr_t)ptr % 16, 0);
		memset(ptr, 0xaa, size);
		sti_free(ptr);
	}
}

Test(alloc, keeps_larger_alignments)
{
	for (size_t align = 16; align <= 65536; align *= 2) {
		unsigned char *ptr = sti_alloc_aligned(align, align);

		cr_assert_not_null(ptr);
		cr_assert_eq((uintptr_t)ptr % align, 0, "alignment %zu", align);
		memset(ptr, 0xaa, align);
		sti_free(ptr);
	}
}

Test(alloc, zeroed_is_zero_also_when_memory_was_used_before)
{
	for (int round = 0; round < 20; round++) {
		unsigned char *ptr = sti_alloc_zeroed(1000);

		for (size_t i = 0; i < 1000; i++)
			cr_assert_eq(ptr[i], 0);
		memset(ptr, 0xff, 1000);
		sti_free(ptr);
	}
}

Test(alloc, strings_are_copied)
{
	char name[] = "name";
	char *copy = sti_strdup(name);

	name[0] = 'x';
	cr_assert_str_eq(copy, "name");
	sti_free(copy);
	copy = sti_strdup("");
	cr_assert_str_eq(copy, "");
	sti_free(copy);
}

Test(alloc, free_of_null_is_allowed)
{
	sti_free(NULL);
}

Test(alloc, table_is_used_by_every_function)
{
	void *ptrs[4];

	faulty_install();
	ptrs[0] = sti_alloc(1);
	ptrs[1] = sti_alloc_zeroed(1);
	ptrs[2] = sti_alloc_aligned(64, 64);
	ptrs[3] = sti_strdup("x");
	cr_assert_eq(faulty_outstanding(), 4);
	cr_assert_eq(faulty_tried(), 4);
	for (int i = 0; i < 4; i++)
		sti_free(ptrs[i]);
	sti_free(NULL);
	cr_assert_eq(faulty_outstanding(), 0);
}

Test(alloc, failure_is_null_everywhere)
{
	faulty_install();
	faulty_arm(0, true);
	cr_assert_null(sti_alloc(1));
	cr_assert_null(sti_alloc_zeroed(1));
	cr_assert_null(sti_alloc_aligned(64, 64));
	cr_assert_null(sti_strdup("x"));
	cr_assert(faulty_disarm());
	sti_alloc_set_ops(NULL);
	sti_free(sti_alloc(1));
	cr_assert_eq(faulty_tried(), 4, "the system's table is back");
}
