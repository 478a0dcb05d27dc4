/* SPDX-License-Identifier: BSD-2-Clause */
/* fault-leave.cc — callbacks that do not return
 *
 * By a C++ exception, by pthread_exit(), by longjmp(): forbidden, for what the library was in the
 * middle of would never end. The program is ended, with a message, before anybody can wait for
 * that. On a worker an exception finds no handler, so it is the C++ runtime that ends the program
 * and says what was thrown.
 */

#include <pthread.h>
#include <setjmp.h>

#include <stdexcept>

#include <stasis/stasis.h>

#include "faults.h"

namespace {

enum class leave { by_exception, by_exit, by_longjmp };

const char by_unwinding[] = "libstasis: a callback was left by a C++ exception, pthread_exit()";
const char by_longjmp[] = "libstasis: a callback was left by longjmp()";

leave how;
bool armed = true;
jmp_buf back;

void leave_now()
{
	if (!armed)
		return;
	switch (how) {
	case leave::by_exception:
		throw std::runtime_error("thrown by a callback");
	case leave::by_exit:
		pthread_exit(nullptr);
	case leave::by_longjmp:
		armed = false;
		longjmp(back, 1);
	}
}

void callback(void *, stasis_subscription *sub, stasis_topic *, stasis_message *message)
{
	if (stasis_message_type(message) != stasis_subscription_change_type())
		leave_now();
}

void final_callback(void *, stasis_subscription *sub, stasis_topic *, stasis_message *message)
{
	if (stasis_subscription_final_message(sub, message))
		leave_now();
}

void congestion_callback(void *, stasis_subscription *, bool)
{
	leave_now();
}

void release_callback(void *)
{
	leave_now();
}

const char *id_callback(stasis_message *)
{
	leave_now();
	return "id";
}

void quiet_callback(void *, stasis_subscription *, stasis_topic *, stasis_message *)
{
}

stasis_message *message_new()
{
	static struct stasis_message_type *type = stasis_message_type_create("leaving");

	return stasis_message_create_inline(type, "x", 1);
}

struct stasis_executor *executor_of(stasis_wait wait)
{
	stasis_executor_options options = {};

	options.threads = 1;
	options.wait = wait;
	return stasis_executor_create(&options);
}

struct world {
	explicit world(stasis_wait wait, stasis_subscription_cb cb = callback)
		: executor(executor_of(wait)), topic(stasis_topic_create("leaving"))
	{
		stasis_subscribe_options options = {};

		options.executor = executor;
		options.high_water = 1;
		options.on_congestion = quiet ? congestion_callback : ignore_congestion;
		sub = stasis_subscribe_with(topic, cb, nullptr, &options);
		CHECK(sub != nullptr);
		stasis_executor_drain(executor);
	}

	static void ignore_congestion(void *, stasis_subscription *, bool)
	{
	}

	static bool quiet; /* only on_congestion leaves */

	struct stasis_executor *executor;
	stasis_topic *topic;
	stasis_subscription *sub;
};

bool world::quiet = false;

/* Calls, with a handler around it that would let the program go on. */
template <typename Call> void caught(Call call)
{
	try {
		if (how != leave::by_longjmp || setjmp(back) == 0)
			call();
	} catch (const std::exception &) {
	}
}

/* On a thread that may end. */
void *thread_main(void *arg)
{
	caught(reinterpret_cast<void (*)()>(arg));
	return nullptr;
}

void on_thread(void (*call)())
{
	pthread_t thread;

	CHECK(pthread_create(&thread, nullptr, thread_main, reinterpret_cast<void *>(call)) == 0);
	pthread_join(thread, nullptr);
}

/* --- where callbacks are called --- */

void in_worker()
{
	world w(STASIS_WAIT_PARK);

	stasis_publish_take(w.topic, message_new());
	stasis_executor_drain(w.executor);
}

void in_publish()
{
	static world w(STASIS_WAIT_INLINE);

	stasis_publish_take(w.topic, message_new());
}

/* Where the callback was that is left, there is something else then. */
[[gnu::noinline]] void overwrite_stack()
{
	volatile char bytes[32768];

	for (volatile char &byte : bytes)
		byte = 0x5a;
}

[[maybe_unused]] void in_publish_elsewhere()
{
	static world first(STASIS_WAIT_INLINE), second(STASIS_WAIT_INLINE);

	overwrite_stack();
	stasis_publish_take(armed ? first.topic : second.topic, message_new());
}

void in_run()
{
	static world w(STASIS_WAIT_MANUAL);

	stasis_publish_take(w.topic, message_new());
	stasis_executor_run(w.executor, 10);
}

void in_publish_sync()
{
	static world w(STASIS_WAIT_MANUAL);

	stasis_publish_sync(w.sub, message_new());
}

void in_final()
{
	world w(STASIS_WAIT_MANUAL, final_callback);

	stasis_unsubscribe(w.sub);
	stasis_executor_run(w.executor, 10);
}

void in_congestion()
{
	world::quiet = true;
	world w(STASIS_WAIT_MANUAL, quiet_callback);

	stasis_publish_take(w.topic, message_new());
}

void in_release()
{
	stasis_object_unref(stasis_object_alloc(1, release_callback));
}

void in_id()
{
	stasis_cache *cache = stasis_cache_create(id_callback);
	stasis_topic *topic = stasis_topic_create("cached");

	CHECK(stasis_caching_topic_create(topic, cache) != nullptr);
	stasis_publish_take(topic, message_new());
}

/* --- how they are left --- */

template <leave How, void (*Call)()> void leaves()
{
	how = How;
	on_thread(Call);
}

/* Nobody notices, until the thread delivers again; and then by where things are on the stack. */
template <void (*Call)()> [[maybe_unused]] void jumps()
{
	how = leave::by_longjmp;
	caught(Call);
	CHECK(!armed);
	caught(Call);
}

/* What is thrown and caught inside a callback is its own business. */
void catching_callback(void *data, stasis_subscription *, stasis_topic *, stasis_message *)
{
	try {
		throw std::runtime_error("not seen outside");
	} catch (const std::exception &) {
		++*static_cast<int *>(data);
	}
}

void catches()
{
	struct stasis_executor *executor = executor_of(STASIS_WAIT_INLINE);
	stasis_subscribe_options options = {};
	stasis_topic *topic = stasis_topic_create("catching");
	int n = 0;

	options.executor = executor;
	stasis_subscription *sub = stasis_subscribe_with(topic, catching_callback, &n, &options);
	for (int i = 0; i < 1000; i++)
		stasis_publish_take(topic, message_new());
	stasis_unsubscribe_and_join(sub);
	CHECK(n == 1002);
	stasis_executor_shutdown(executor);
	stasis_object_unref(topic);
}

} /* namespace */

int main(int argc, char **argv)
{
	static const struct fault_case cases[] = {
		{ "catch", catches, nullptr },
		{ "throw-worker", leaves<leave::by_exception, in_worker>, "thrown by a callback" },
		{ "throw-publish", leaves<leave::by_exception, in_publish>, by_unwinding },
		{ "throw-run", leaves<leave::by_exception, in_run>, by_unwinding },
		{ "throw-sync", leaves<leave::by_exception, in_publish_sync>, by_unwinding },
		{ "throw-final", leaves<leave::by_exception, in_final>, by_unwinding },
		{ "throw-congestion", leaves<leave::by_exception, in_congestion>, by_unwinding },
		{ "throw-release", leaves<leave::by_exception, in_release>, by_unwinding },
		{ "throw-id", leaves<leave::by_exception, in_id>, by_unwinding },
		{ "exit-worker", leaves<leave::by_exit, in_worker>, by_unwinding },
		{ "exit-publish", leaves<leave::by_exit, in_publish>, by_unwinding },
		{ "exit-release", leaves<leave::by_exit, in_release>, by_unwinding },
		{ "exit-id", leaves<leave::by_exit, in_id>, by_unwinding },
#if !FAULTS_ASAN
		{ "jump-publish", jumps<in_publish>, by_longjmp },
		{ "jump-overwritten", jumps<in_publish_elsewhere>, by_longjmp },
		{ "jump-run", jumps<in_run>, by_longjmp },
		{ "jump-sync", jumps<in_publish_sync>, by_longjmp },
#endif
	};

	return faults_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
