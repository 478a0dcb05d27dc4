/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_BUS_FIXTURE_H
#define STASIS_TESTS_BUS_FIXTURE_H

/* bus_fixture.h — one topic and one executor, which most tests of the bus need and no more */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <stasis/stasis.h>

#include "gate.h"
#include "probe.h"

struct bus {
	struct stasis_executor *executor;
	struct stasis_topic *topic;
};

static inline struct bus bus_open(unsigned threads)
{
	struct bus bus = {
		.executor = executor_with(threads),
		.topic = stasis_topic_create("topic"),
	};

	cr_assert_not_null(bus.executor);
	cr_assert_not_null(bus.topic);
	return bus;
}

static inline struct stasis_subscription *bus_subscribe(struct bus *bus, struct probe *probe)
{
	struct stasis_subscription *sub = subscribe_on(bus->topic, probe, bus->executor);

	cr_assert_not_null(sub);
	return sub;
}

/* Delivers what is left, then gives everything back. */
static inline void bus_close(struct bus *bus)
{
	bus->executor = stasis_executor_shutdown(bus->executor);
	bus->topic = stasis_object_unref(bus->topic);
}

static inline void bus_drain(struct bus *bus)
{
	cr_assert_eq(stasis_executor_drain(bus->executor), 0);
}

/* A subscription that has ended as it should: everything once, in order, the final message last. */
static inline void check_ended(const struct probe *probe, size_t n_data)
{
	cr_assert_eq(probe->n_data, n_data, "%zu instead of %zu", probe->n_data, n_data);
	cr_assert_eq(probe->n_out_of_order, 0);
	cr_assert_eq(probe->overlaps, 0);
	cr_assert_eq(probe->n_finals, 1, "%zu final messages", probe->n_finals);
	cr_assert_eq(probe->n_after_final, 0);
	cr_assert_geq(probe->n_subscribes, 1);
	cr_assert_eq(probe->log[0].kind, PROBE_SUBSCRIBE);
}

#endif
