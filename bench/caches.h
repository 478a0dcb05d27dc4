/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_BENCH_CACHES_H
#define STASIS_BENCH_CACHES_H

/* caches.h — a cache of the library's and its baseline under one interface
 *
 * Both are full from the start, and stay so.
 */

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <stasis/stasis.h>

#include "common.h"
#include "rwlock_table.h"

namespace bench
{

constexpr size_t cache_batch = 64; /* updates between two calls of enter() */
constexpr uint64_t cache_step = 64;
constexpr uint64_t cache_window = 4096; /* messages, of all publishers */

/* Payload of a snapshot. */
struct State {
	uint64_t id;
	uint64_t value;
};

inline std::vector<std::string> ids; /* grows between benchmarks only */

inline void make_ids(size_t n)
{
	while (ids.size() < n)
		ids.push_back("1700000000." + std::to_string(ids.size()));
}

/* Counts for one subscriber; tells the publishers now and then. */
struct alignas(64) Counter {
	uint64_t count = 0; /* its callback only */
	alignas(64) std::atomic<uint64_t> acked{ 0 };
};

/* What has snapshots of n ids. */
class Table
{
      public:
	explicit Table(size_t n_ids) : n(n_ids)
	{
		make_ids(n);
	}
	virtual ~Table() = default;
	/* Any thread, all three. */
	virtual void update(size_t id) = 0;
	virtual void get(size_t id) = 0;
	virtual void dump() = 0;
	/* Waits until cache_batch more updates fit. */
	virtual void enter()
	{
	}

	const size_t n;

      protected:
	void fill()
	{
		for (size_t i = 0; i < n; i++)
			update(i);
	}
};

class Cache : public Table
{
      public:
	stasis_cache *cache;
	stasis_caching_topic *caching;

	Cache(size_t n_ids, size_t n_subscribers)
	    : Table(n_ids), n_counters(n_subscribers), counters(new Counter[n_subscribers])
	{
		stasis_executor_options executor_options = {};

		executor_options.threads = 1;
		executor = require(stasis_executor_create(&executor_options), "executor");
		type = require(stasis_message_type_create("bench"), "message type");
		original = require(stasis_topic_create("bench"), "topic");
		cache = require(stasis_cache_create(id_of), "cache");
		caching = require(stasis_caching_topic_create(original, cache), "caching topic");
		fill();
		subscribe();
	}

	~Cache() override
	{
		stasis_caching_unsubscribe_and_join(caching);
		stasis_executor_drain(executor);
		for (size_t i = 0; i < n_counters; i++)
			check(counters[i].count);
		for (stasis_subscription *subscription : subscriptions)
			stasis_unsubscribe_and_join(subscription);
		stasis_executor_shutdown(executor);
		stasis_object_unref(original);
		stasis_object_unref(cache);
		stasis_object_unref(type);
	}

	void update(size_t id) override
	{
		State state = { id, id };

		if (stasis_publish_take(original, require(stasis_message_create_inline(
								  type, &state, sizeof(state)),
							  "snapshot")) != 0)
			fail("a snapshot was refused");
	}

	void get(size_t id) override
	{
		stasis_object_unref(require(stasis_cache_get(cache, type, ids[id].c_str()),
					    "an id that is there"));
	}

	void dump() override
	{
		size_t n_dumped;
		stasis_message **dumped = require(stasis_cache_dump(cache, type, &n_dumped),
						  "dump");

		if (n_dumped != n)
			fail("a dump is not complete");
		stasis_cache_dump_free(dumped, n_dumped);
	}

	void enter() override
	{
		/* Relaxed, both: numbers. */
		uint64_t end = granted.fetch_add(cache_batch, std::memory_order_relaxed) +
			       cache_batch;

		for (size_t i = 0, spins = 0; i < n_counters;) {
			if (counters[i].acked.load(std::memory_order_relaxed) + cache_window >= end)
				i++;
			else if (++spins % 64 == 0)
				std::this_thread::yield();
			else
				sti_cpu_relax();
		}
	}

      private:
	stasis_executor *executor;
	struct stasis_message_type *type;
	stasis_topic *original;
	std::vector<stasis_subscription *> subscriptions;
	size_t n_counters;
	std::unique_ptr<Counter[]> counters;
	alignas(64) std::atomic<uint64_t> granted{ 0 };

	static const char *id_of(stasis_message *message)
	{
		return ids[static_cast<State *>(stasis_message_data(message))->id].c_str();
	}

	static void count(void *data, stasis_subscription *, stasis_topic *,
			  stasis_message *message)
	{
		auto *counter = static_cast<Counter *>(data);

		if (stasis_message_type(message) == stasis_cache_update_type() &&
		    ++counter->count % cache_step == 0)
			/* Relaxed: only a number. */
			counter->acked.store(counter->count, std::memory_order_relaxed);
	}

	void subscribe()
	{
		stasis_subscribe_options options = {};

		options.executor = executor;
		for (size_t i = 0; i < n_counters; i++)
			subscriptions.push_back(
				require(stasis_subscribe_with(stasis_caching_get_topic(caching),
							      count, &counters[i], &options),
					"subscribe"));
		stasis_executor_drain(executor);
	}

	void check(uint64_t counted)
	{
		if (counted != granted.load())
			fail("not all updates were delivered");
	}

	[[noreturn]] static void fail(const char *what)
	{
		std::fprintf(stderr, "bench-cache: %s\n", what);
		std::exit(1);
	}
};

/* The same by hand. */
class Locked : public Table
{
      public:
	explicit Locked(size_t n_ids)
	    : Table(n_ids), table(require(rwlock_table_new(n_ids), "table"))
	{
		fill();
	}

	~Locked() override
	{
		rwlock_table_each(
			table, [](void *, void *value) { unref(value); }, nullptr);
		rwlock_table_free(table);
	}

	void update(size_t id) override
	{
		auto *snapshot = require(new (std::nothrow) Snapshot{ { 1 }, { id, id } },
					 "snapshot");
		void *old = nullptr;

		if (!rwlock_table_replace(
			    table, ids[id].c_str(), snapshot,
			    [](void *data, void *replaced, void *) {
				    *static_cast<void **>(data) = replaced;
			    },
			    &old))
			std::abort();
		unref(old);
	}

	void get(size_t id) override
	{
		unref(require(rwlock_table_get(table, ids[id].c_str(), ref),
			      "an id that is there"));
	}

	void dump() override
	{
		std::vector<void *> dumped;

		dumped.reserve(n);
		rwlock_table_each(
			table,
			[](void *data, void *value) {
				ref(value);
				static_cast<std::vector<void *> *>(data)->push_back(value);
			},
			&dumped);
		for (void *value : dumped)
			unref(value);
	}

      private:
	struct Snapshot {
		std::atomic<size_t> refs;
		State state;
	};

	rwlock_table *table;

	static void ref(void *value)
	{
		/* Relaxed: the caller has a reference, or the lock. */
		static_cast<Snapshot *>(value)->refs.fetch_add(1, std::memory_order_relaxed);
	}

	static void unref(void *value)
	{
		auto *snapshot = static_cast<Snapshot *>(value);

		if (snapshot != nullptr &&
		    snapshot->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
			delete snapshot;
	}
};

} // namespace bench

#endif
