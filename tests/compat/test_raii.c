/* SPDX-License-Identifier: BSD-2-Clause */
/* test_raii.c — RAII_VAR() cleans up however its scope is left */

#include "asterisk.h"

ASTERISK_FILE_VERSION(__FILE__, "$Revision$")
ASTERISK_FILE_VERSION(__FILE__, "$Revision$");
ASTERISK_FILE_VERSION("once")

#include <string.h>

#include "asterisk/astobj2.h"

#include "check.h"

struct thing {
	char name;
};

/* The names of what has been cleaned up, '0' for NULL. */
static char trace[64];

static void trace_add(char name)
{
	size_t length = strlen(trace);

	CHECK(length + 1 < sizeof(trace));
	trace[length] = name;
	trace[length + 1] = '\0';
}

static int trace_was(const char *expected)
{
	int same = strcmp(trace, expected) == 0;

	if (!same)
		fprintf(stderr, "%s instead of %s\n", trace, expected);
	trace[0] = '\0';
	return same;
}

/* Destructors of every kind that there is. */
static void thing_end(struct thing *thing)
{
	trace_add(thing != NULL ? thing->name : '0');
}

static struct thing *thing_end_returns(struct thing *thing)
{
	thing_end(thing);
	return NULL;
}

static void anything_end(void *thing)
{
	thing_end(thing);
}

static int string_end(const char *string)
{
	trace_add(string != NULL ? string[0] : '0');
	return 1;
}

static void pointer_end(struct thing **things)
{
	thing_end(things != NULL ? things[0] : NULL);
}

typedef void (*function)(void);

static void function_end(function f)
{
	trace_add(f != NULL ? 'f' : '0');
}

static struct thing a = { 'a' }, b = { 'b' }, c = { 'c' };

static void test_null(void)
{
	{
		RAII_VAR(struct thing *, nothing, NULL, thing_end);
	}
	CHECK(trace_was("0"));
}

static void test_value_at_the_end(void)
{
	{
		RAII_VAR(struct thing *, first, &a, thing_end);
		RAII_VAR(struct thing *, kept, &b, thing_end);

		CHECK(first == &a);
		first = &c;
		kept = NULL;
	}
	CHECK(trace_was("0c"));
}

static void test_types(void)
{
	struct thing *things[] = { &b };

	{
		RAII_VAR(struct thing *, direct, &a, thing_end);
		RAII_VAR(struct thing **, indirect, things, pointer_end);
		RAII_VAR(struct thing *, untyped, &c, anything_end);
		RAII_VAR(void *, untyped_too, &a, anything_end);
		RAII_VAR(const char *, text, "text", string_end);
		RAII_VAR(struct thing *, returned, &b, thing_end_returns);
		RAII_VAR(function, code, test_null, function_end);
	}
	CHECK(trace_was("fbtacba"));
}

static struct thing *leave_early(int how)
{
	RAII_VAR(struct thing *, outer, &a, thing_end);

	if (how == 0)
		return outer;
	{
		RAII_VAR(struct thing *, inner, &b, thing_end);

		if (how == 1)
			return inner;
		if (how == 2)
			goto out;
	}
	trace_add('-');
out:
	return NULL;
}

static void test_early_return(void)
{
	CHECK(leave_early(0) == &a);
	CHECK(trace_was("a"));
	CHECK(leave_early(1) == &b);
	CHECK(trace_was("ba"));
	CHECK(leave_early(2) == NULL);
	CHECK(trace_was("ba"));
	CHECK(leave_early(3) == NULL);
	CHECK(trace_was("b-a"));
}

static void test_loop(void)
{
	for (int i = 0; i < 5; i++) {
		RAII_VAR(struct thing *, thing, i % 2 == 0 ? &a : &b, thing_end);

		if (i == 1)
			continue;
		if (i == 3)
			break;
		trace_add('-');
	}
	CHECK(trace_was("-ab-ab"));
}

/* Shadows the one in the outer scope, as variables do. */
static void test_nested(void)
{
	RAII_VAR(struct thing *, thing, &a, thing_end);

	for (int i = 0; i < 1; i++) {
		RAII_VAR(struct thing *, another, thing, thing_end);

		another = &b;
	}
	CHECK(trace_was("b"));
	thing = &c;
}

static void object_end(void *obj)
{
	thing_end(obj);
}

static struct thing *object_new(char name)
{
	struct thing *thing = ao2_alloc(sizeof(*thing), object_end);

	CHECK(thing != NULL);
	thing->name = name;
	return thing;
}

static void test_objects(void)
{
	struct thing *kept;

	{
		RAII_VAR(struct thing *, dropped, object_new('d'), ao2_cleanup);
		RAII_VAR(struct thing *, none, NULL, ao2_cleanup);
		RAII_VAR(struct thing *, shared, object_new('s'), ao2_cleanup);

		kept = ao2_bump(shared);
		CHECK(kept == shared && none == NULL && dropped->name == 'd');
	}
	CHECK(trace_was("d"));
	CHECK(ao2_ref(kept, -1) == 1);
	CHECK(trace_was("s"));
}

int main(void)
{
	test_null();
	test_value_at_the_end();
	test_types();
	test_early_return();
	test_loop();
	test_nested();
	CHECK(trace_was("c"));
	test_objects();
	return 0;
}
