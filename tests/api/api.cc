// SPDX-License-Identifier: BSD-2-Clause
// api.cc — the library used from C++17, with every public function

#include <stasis/stasis.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#define EXPECT(e)                                                                                  \
	do {                                                                                       \
		if (!(e)) {                                                                        \
			std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #e);               \
			std::exit(1);                                                              \
		}                                                                                  \
	} while (0)

namespace
{

struct unref {
	void operator()(void *object) const
	{
		stasis_object_unref(object);
	}
};

template <typename T> using handle = std::unique_ptr<T, unref>;

int n_released;

struct listener {
	std::vector<std::string> texts;
	int n_changes = 0;
	int n_finals = 0;

	static void on_message(void *data, stasis_subscription *sub, stasis_topic *topic,
			       stasis_message *message)
	{
		auto *self = static_cast<listener *>(data);

		EXPECT(std::strcmp(stasis_topic_name(topic), "texts") == 0);
		EXPECT(stasis_message_timestamp(message)->tv_sec > 0);
		if (stasis_subscription_final_message(sub, message))
			self->n_finals++;
		else if (stasis_message_type(message) == stasis_subscription_change_type())
			self->n_changes++;
		else
			self->texts.emplace_back(
				static_cast<const char *>(stasis_message_data(message)));
	}
};

stasis_message *text_message(struct stasis_message_type *type, const std::string &text)
{
	return stasis_message_create_inline(type, text.c_str(), text.size() + 1);
}

void publish_all_forms(stasis_topic *topic, struct stasis_message_type *type)
{
	auto *object = static_cast<char *>(
		stasis_object_alloc(16, [](void *) { n_released++; }));
	auto *foreign = new std::array<char, 16>{ "foreign" };
	stasis_message *batch[] = { text_message(type, "batch 1"), text_message(type, "batch 2") };

	EXPECT(stasis_object_refs(object) == 1);
	std::strcpy(object, "object");
	handle<stasis_message> message(stasis_message_create(type, object));
	stasis_object_unref(object);
	EXPECT(stasis_message_to_json(message.get()) == nullptr);
	EXPECT(stasis_publish(topic, message.get()) == 0);
	EXPECT(stasis_publish_take(topic, stasis_message_create_foreign(
						  type, foreign, [](void *data) {
							  delete static_cast<
								  std::array<char, 16> *>(data);
							  n_released++;
						  })) == 0);
	EXPECT(stasis_publish_batch(topic, batch, 2) == 0);
}

void check_default_executor(stasis_topic *topic, stasis_executor *executor)
{
	listener second;

	EXPECT(stasis_executor_set_default(executor) == 0);
	EXPECT(stasis_executor_default() == executor);
	EXPECT(stasis_executor_set_default(nullptr) == 0);
	EXPECT(stasis_unsubscribe_and_join(
		       stasis_subscribe(topic, listener::on_message, &second)) == nullptr);
	EXPECT(second.n_changes == 1 && second.n_finals == 1);
	EXPECT(stasis_executor_shutdown(stasis_executor_default()) == nullptr);
}

} // namespace

int main()
{
	stasis_message_vtable vtable{};
	stasis_executor_options executor_options{};
	stasis_subscribe_options options{};
	stasis_stats stats{};
	listener first;

	vtable.size = sizeof(vtable);
	executor_options.size = sizeof(executor_options);
	executor_options.threads = 2;
	handle<struct stasis_message_type> plain(stasis_message_type_create("plain"));
	handle<struct stasis_message_type> type(stasis_message_type_create_with("text", &vtable));
	handle<stasis_topic> topic(stasis_topic_create("texts"));
	stasis_executor *executor = stasis_executor_create(&executor_options);

	EXPECT(plain && type && topic && executor != nullptr);
	EXPECT(std::string(stasis_message_type_name(type.get())) == "text");
	options.executor = executor;
	handle<stasis_subscription> sub(stasis_subscribe_with(topic.get(), listener::on_message,
							      &first, &options));
	EXPECT(sub);
	EXPECT(stasis_subscription_uniqueid(sub.get()) != nullptr);
	EXPECT(stasis_subscription_is_subscribed(sub.get()) == 1);
	EXPECT(stasis_topic_subscribers(topic.get()) == 1);
	EXPECT(stasis_topic_wants(topic.get(), type.get()) == 1);
	publish_all_forms(topic.get(), type.get());
	EXPECT(stasis_executor_drain(executor) == 0);
	EXPECT(first.n_changes == 1);
	EXPECT((first.texts ==
		std::vector<std::string>{ "object", "foreign", "batch 1", "batch 2" }));
	EXPECT(n_released == 2);
	EXPECT(stasis_stats_read(topic.get(), &stats) == 0);
	EXPECT(stats.published == 4);
	stasis_unsubscribe(static_cast<stasis_subscription *>(stasis_object_ref(sub.get())));
	EXPECT(stasis_subscription_join(sub.get()) == 0);
	EXPECT(stasis_subscription_is_done(sub.get()) == 1);
	EXPECT(first.n_finals == 1);
	check_default_executor(topic.get(), executor);
	EXPECT(stasis_executor_shutdown(executor) == nullptr);
	return 0;
}
