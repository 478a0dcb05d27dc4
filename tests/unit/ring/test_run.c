/* SPDX-License-Identifier: BSD-2-Clause */
/* test_run.c — runs: taken as one, in parts, beside other items, split by rings and holes */

#include "ring/run.h"
#include "ring_fixture.h"

#define LONGEST 200u

static _Alignas(2 * STI_RUN_PLACE) struct sti_place places[LONGEST];
static void *place_items[LONGEST];

static void make_run(size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		places[i] = (struct sti_place){
			.item = &items[first + i],
			.index = (uint32_t)i,
			.left = (uint32_t)(n - i),
		};
		place_items[i] = sti_place_item(&places[i]);
	}
}

static void push_places(size_t first, size_t n)
{
	size_t pushed;

	cr_assert_eq(queue_push_n(&queue, &place_items[first], n, &pushed), STI_PUSH_OK);
	cr_assert_eq(pushed, n);
}

/* The next is a place: so many are taken with it. */
static void take_run(size_t max, size_t n, size_t first)
{
	const struct sti_place *got;
	bool place;

	cr_assert_eq(sti_mpsc_take_items(&queue.head, taken, 8, true, &place), 0);
	cr_assert(place);
	cr_assert_eq(sti_mpsc_take_run(&queue.head, max, &got), n);
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(got[i].item, &items[first + i]);
}

static void take_nothing(void)
{
	bool place;

	cr_assert_eq(sti_mpsc_take_items(&queue.head, taken, 8, true, &place), 0);
	cr_assert_not(place);
}

TestSuite(run, .init = open_queue, .fini = close_queue);

Test(run, is_taken_at_once)
{
	make_run(0, 6);
	push_places(0, 6);
	cr_assert_eq(queue_depth(&queue), 6);
	take_run(100, 6, 0);
	cr_assert_eq(queue_depth(&queue), 0);
	take_nothing();
}

Test(run, is_taken_in_parts)
{
	make_run(0, 8);
	push_places(0, 8);
	take_run(3, 3, 0);
	take_run(1, 1, 3);
	take_run(4, 4, 4);
	take_nothing();
}

Test(run, ends_where_other_items_begin)
{
	bool place;

	make_run(2, 3);
	push_many(0, 2);
	push_places(0, 3);
	push_many(5, 2);
	cr_assert_eq(sti_mpsc_take_items(&queue.head, taken, 8, true, &place), 2);
	cr_assert(place);
	cr_assert_eq(taken[1], &items[1]);
	take_run(100, 3, 2);
	cr_assert_eq(sti_mpsc_take_items(&queue.head, taken, 8, true, &place), 2);
	cr_assert_not(place);
	cr_assert_eq(taken[0], &items[5]);
}

Test(run, of_which_a_part_is_there)
{
	make_run(0, 7);
	push_places(0, 3);
	take_run(100, 3, 0);
	push_places(3, 1);
	/* Somebody else's is where the next would be. */
	push_many(7, 1);
	push_places(4, 3);
	take_run(100, 1, 3);
	cr_assert_eq(sti_mpsc_take(&queue.head, taken, 1), 1);
	cr_assert_eq(taken[0], &items[7]);
	take_run(100, 3, 4);
}

Test(run, goes_round_the_ring_again_and_again)
{
	for (size_t lap = 0; lap < 5 * SMALL_SLOTS; lap++) {
		make_run(lap, 5);
		push_places(0, 5);
		take_run(100, 5, lap);
		take_nothing();
	}
}

/* The places are the same ones each time, so old slots hold what new ones will. */
Test(run, does_not_take_what_an_earlier_lap_has_left)
{
	make_run(0, SMALL_SLOTS);
	for (size_t lap = 0; lap < 4; lap++) {
		push_places(0, SMALL_SLOTS);
		take_run(100, SMALL_SLOTS, 0);
		push_places(0, 2);
		take_run(100, 2, 0);
		push_places(2, SMALL_SLOTS - 2);
		take_run(100, SMALL_SLOTS - 2, 2);
	}
	take_nothing();
}

Test(run, longer_than_its_rings)
{
	size_t done = 0;

	make_run(0, LONGEST);
	push_places(0, LONGEST);
	cr_assert_eq(queue_depth(&queue), LONGEST);
	while (done < LONGEST) {
		const struct sti_place *got;
		bool place;
		size_t n;

		cr_assert_eq(sti_mpsc_take_items(&queue.head, taken, 8, true, &place), 0);
		if (!place) {
			cr_assert_eq(queue_rest(&queue), STI_REST_MORE);
			continue;
		}
		n = sti_mpsc_take_run(&queue.head, LONGEST, &got);
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(got[i].item, &items[done + i]);
		done += n;
	}
	take_nothing();
}

Test(run, is_no_matter_where_none_is_expected)
{
	bool place;

	make_run(0, 2);
	push_places(0, 2);
	cr_assert_eq(sti_mpsc_take_items(&queue.head, taken, 8, false, &place), 2);
	cr_assert_not(place);
	cr_assert_eq(taken[0], place_items[0]);
}
