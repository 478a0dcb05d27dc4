// SPDX-License-Identifier: BSD-2-Clause
#ifndef EXAMPLES_RAII_HPP
#define EXAMPLES_RAII_HPP

// raii.hpp — libstasis with owners, for C++17
//
// A pattern to copy from, not a part of the library:
//
//   handle<T>      owns one reference to any handle of the library; moves, and is not copied by
//                  accident (share() does it on purpose)
//   type_of<T>     a message type for messages that carry a T, which is copied into them
//   subscription   owns a subscription and the function that it calls; forward, router likewise
//
// Who may outlive whom: the function, and what it has captured, lives until the final message, and
// so may be running, on a worker, while its subscription's owner is destroyed. The destructor does
// not wait for that, because it may itself be running in a callback; join() does. So a function
// owns what it uses, by capturing it by value, or somebody who outlives join() does.
//
// An exception cannot pass through the library: it ends at the boundary and is counted.

#include <stasis/stasis.h>

#include <atomic>
#include <cerrno>
#include <forward_list>
#include <functional>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

namespace raii
{

// Constructors of the library return NULL and set errno.
template <typename T> T *checked(T *made, const char *what)
{
	if (made == nullptr)
		throw std::system_error(errno, std::generic_category(), what);
	return made;
}

// Other functions return a negative errno, 0, or a positive outcome.
inline int checked(int result, const char *what)
{
	if (result < 0)
		throw std::system_error(-result, std::generic_category(), what);
	return result;
}

template <typename T> class handle
{
      public:
	handle() noexcept = default;

	// Takes the caller's reference over.
	explicit handle(T *taken) noexcept : object_(taken)
	{
	}

	handle(handle &&other) noexcept : object_(other.release())
	{
	}

	handle &operator=(handle &&other) noexcept
	{
		handle(std::move(other)).swap(*this);
		return *this;
	}

	~handle()
	{
		stasis_object_unref(object_);
	}

	// Another reference to the same.
	handle share() const noexcept
	{
		return handle(object_ != nullptr ? static_cast<T *>(stasis_object_ref(object_)) :
						   nullptr);
	}

	T *get() const noexcept
	{
		return object_;
	}

	explicit operator bool() const noexcept
	{
		return object_ != nullptr;
	}

	// Gives the reference to the caller.
	[[nodiscard]] T *release() noexcept
	{
		return std::exchange(object_, nullptr);
	}

	void swap(handle &other) noexcept
	{
		std::swap(object_, other.object_);
	}

      private:
	T *object_ = nullptr;
};

using topic = handle<stasis_topic>;
using message = handle<stasis_message>;

inline topic make_topic(const char *name)
{
	return topic(checked(stasis_topic_create(name), "topic"));
}

// Messages that carry a T. It is copied in bytes and never destroyed, so it must not mind.
template <typename T> class type_of
{
	static_assert(std::is_trivially_copyable_v<T>, "messages are copied as bytes");
	static_assert(alignof(T) <= 16, "their data is aligned to 16 bytes");

      public:
	explicit type_of(const char *name)
	    : type_(checked(stasis_message_type_create(name), "message type"))
	{
	}

	struct stasis_message_type *get() const noexcept
	{
		return type_.get();
	}

	message make(const T &value) const
	{
		return message(
			checked(stasis_message_create_inline(type_.get(), &value, sizeof(value)),
				"message"));
	}

	// Returns how many subscriptions did not take it.
	int publish(const topic &topic, const T &value) const
	{
		return checked(stasis_publish_take(topic.get(), make(value).release()), "publish");
	}

	// What a message carries; nullptr when it is of another type.
	const T *in(stasis_message *message) const noexcept
	{
		return stasis_message_type(message) == type_.get() ?
			       static_cast<const T *>(stasis_message_data(message)) :
			       nullptr;
	}

      private:
	handle<struct stasis_message_type> type_;
};

// Exceptions that have ended at the boundary.
inline std::atomic<unsigned> exceptions{ 0 };

using function = std::function<void(stasis_message *)>;

// Called by the library: whatever happens, nothing must be thrown into it.
inline void call(const function &function, stasis_message *message) noexcept
{
	try {
		function(message);
	} catch (...) {
		exceptions++;
	}
}

class subscription
{
      public:
	subscription(const topic &topic, function function,
		     const stasis_subscribe_options *options = nullptr)
	{
		// Freed by the final message; by nobody else once there is a subscription.
		auto state = std::make_unique<raii::function>(std::move(function));

		sub_ = handle<stasis_subscription>(checked(
			stasis_subscribe_with(topic.get(), on_message, state.get(), options),
			"subscription"));
		(void)state.release();
	}

	subscription(subscription &&) noexcept = default;

	subscription &operator=(subscription &&other) noexcept
	{
		// What it owned until now ends with the other.
		std::swap(sub_, other.sub_);
		return *this;
	}

	~subscription()
	{
		if (sub_)
			stasis_unsubscribe(sub_.release());
	}

	// Unsubscribes, and returns when the function has been called for the last time.
	void join() noexcept
	{
		if (sub_)
			stasis_unsubscribe_and_join(sub_.release());
	}

      private:
	static void on_message(void *data, stasis_subscription *sub, stasis_topic *,
			       stasis_message *message)
	{
		auto *state = static_cast<raii::function *>(data);

		call(*state, message);
		if (stasis_subscription_final_message(sub, message))
			delete state;
	}

	handle<stasis_subscription> sub_;
};

// One subscription with a function for each type of message.
class router
{
      public:
	explicit router(const topic &topic)
	    : router_(checked(stasis_message_router_create(topic.get()), "router"))
	{
		auto state = std::make_unique<struct state>();

		try {
			// The final message comes by this route.
			checked(stasis_message_router_add(router_.get(),
							  stasis_subscription_change_type(),
							  on_change, state.get()),
				"route");
		} catch (...) {
			stasis_message_router_unsubscribe(router_.release());
			throw;
		}
		state_ = state.release();
	}

	router(router &&) noexcept = default;
	router &operator=(router &&) = delete;

	~router()
	{
		if (router_)
			stasis_message_router_unsubscribe(router_.release());
	}

	// Not from two threads at once.
	template <typename T>
	void add(const type_of<T> &type, std::function<void(const T &value)> function)
	{
		state_->routes.emplace_front([function](stasis_message *message) {
			function(*static_cast<const T *>(stasis_message_data(message)));
		});
		try {
			checked(stasis_message_router_add(router_.get(), type.get(), on_message,
							  &state_->routes.front()),
				"route");
		} catch (...) {
			state_->routes.pop_front();
			throw;
		}
	}

	// Unsubscribes, and returns when a function has been called for the last time.
	void join() noexcept
	{
		if (router_)
			stasis_message_router_unsubscribe_and_join(router_.release());
	}

      private:
	// Freed by the final message. A list, because the library has the functions' addresses.
	struct state {
		std::forward_list<raii::function> routes;
	};

	static void on_message(void *data, stasis_subscription *, stasis_topic *,
			       stasis_message *message)
	{
		call(*static_cast<const raii::function *>(data), message);
	}

	static void on_change(void *data, stasis_subscription *sub, stasis_topic *,
			      stasis_message *message)
	{
		if (stasis_subscription_final_message(sub, message))
			delete static_cast<struct state *>(data);
	}

	handle<stasis_message_router> router_;
	struct state *state_ = nullptr;
};

// While it lives, what is published to one topic reaches the other's subscribers too.
class forward
{
      public:
	forward(const topic &from, const topic &to)
	    : forward_(checked(stasis_forward_all(from.get(), to.get()), "forward"))
	{
	}

	forward(forward &&) noexcept = default;

	forward &operator=(forward &&other) noexcept
	{
		std::swap(forward_, other.forward_);
		return *this;
	}

	~forward()
	{
		if (forward_)
			stasis_forward_cancel(forward_.release());
	}

      private:
	handle<stasis_forward> forward_;
};

} // namespace raii

#endif
