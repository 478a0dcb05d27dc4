/* SPDX-License-Identifier: BSD-2-Clause */
/* api.c — every public function, called once at least, through the shared library */

#include <stasis/stasis.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(e)                                                                                  \
	do {                                                                                       \
		if (!(e)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #e);                    \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

struct order {
	int number;
};

struct log {
	int n_changes, n_orders, n_finals, sum;
	int destroyed;
};

static struct log *the_log;

static void note_destroyed(void *data)
{
	the_log->destroyed++;
}

static void release(void *data)
{
	the_log->destroyed++;
	free(data);
}

static struct json_t *no_json(const struct stasis_message *message)
{
	the_log->sum += 1000;
	return NULL;
}

static void on_message(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
		       struct stasis_message *message)
{
	struct log *log = data;
	const struct order *order = stasis_message_data(message);

	EXPECT(strcmp(stasis_topic_name(topic), "orders") == 0);
	EXPECT(stasis_message_timestamp(message)->tv_sec > 0);
	if (stasis_subscription_final_message(sub, message)) {
		log->n_finals++;
	} else if (stasis_message_type(message) == stasis_subscription_change_type()) {
		log->n_changes++;
	} else {
		log->n_orders++;
		log->sum += order->number;
	}
}

/* Inline functions may use them. */
inline void *payload_of(const struct stasis_message *message);
inline void *payload_of(const struct stasis_message *message)
{
	return stasis_message_data(message);
}
extern inline void *payload_of(const struct stasis_message *message);

/* What headers do without a call and the library's functions say the same. */
static void check_accessors(struct stasis_message *message, struct stasis_message_type *type)
{
	void *(*data_of)(const struct stasis_message *) = stasis_message_data;
	struct stasis_message_type *(*type_of)(const struct stasis_message *) = stasis_message_type;

	EXPECT(stasis_message_type(message) == type);
	EXPECT((stasis_message_type)(message) == type);
	EXPECT(stasis_message_data((struct { struct stasis_message *first, *second; }){ message,
		       NULL }.first) == payload_of(message));
	EXPECT(type_of(message) == type);
	EXPECT(stasis_message_data(message) == data_of(message));
	EXPECT(data_of(message) != NULL);
	errno = 0;
	EXPECT(stasis_message_data(NULL) == NULL && errno == EINVAL);
	errno = 0;
	EXPECT(stasis_message_type(NULL) == NULL && errno == EINVAL);
}

static void publish_all_forms(struct stasis_topic *topic, struct stasis_message_type *type)
{
	struct order *object = stasis_object_alloc(sizeof(*object), note_destroyed);
	struct order *foreign = malloc(sizeof(*foreign));
	struct order order = { .number = 4 };
	struct stasis_message *messages[2];

	EXPECT(stasis_object_refs(object) == 1);
	object->number = 1;
	foreign->number = 2;
	messages[0] = stasis_message_create(type, object);
	EXPECT(messages[0] != NULL);
	EXPECT(stasis_publish(topic, messages[0]) == 0);
	stasis_object_unref(object);
	stasis_object_unref(messages[0]);
	EXPECT(stasis_publish_take(topic, stasis_message_create_foreign(type, foreign, release)) ==
	       0);
	for (int i = 0; i < 2; i++)
		messages[i] = stasis_message_create_inline(type, &order, sizeof(order));
	EXPECT(stasis_message_to_json(messages[0]) == NULL);
	check_accessors(messages[0], type);
	EXPECT(stasis_publish_batch(topic, messages, 2) == 0);
}

static void check_stats(struct stasis_topic *topic, struct stasis_subscription *sub,
			struct stasis_executor *executor)
{
	struct stasis_stats stats = { .size = sizeof(stats) };

	EXPECT(stasis_stats_read(topic, &stats) == 0);
	EXPECT(stats.kind == STASIS_STATS_TOPIC);
	EXPECT(stats.published == 4);
	EXPECT(stasis_stats_read(sub, &stats) == 0);
	EXPECT(stats.kind == STASIS_STATS_SUBSCRIPTION);
	EXPECT(stats.delivered == 5);
	EXPECT(stasis_stats_read(executor, &stats) == 0);
	EXPECT(stats.kind == STASIS_STATS_EXECUTOR);
	EXPECT(stats.threads == 2);
}

static void use_default_executor(struct stasis_topic *topic, struct log *log)
{
	struct stasis_subscription *sub = stasis_subscribe(topic, on_message, log);

	EXPECT(sub != NULL);
	EXPECT(stasis_executor_default() != NULL);
	EXPECT(stasis_unsubscribe_and_join(sub) == NULL);
	EXPECT(log->n_finals == 2);
	EXPECT(stasis_executor_shutdown(stasis_executor_default()) == NULL);
}

static const char *order_id(struct stasis_message *message)
{
	return strcmp(stasis_message_type_name(stasis_message_type(message)), "order") == 0 ? "1" :
											      NULL;
}

static void count_updates(void *data, struct stasis_subscription *sub, struct stasis_topic *topic,
			  struct stasis_message *message)
{
	const struct stasis_cache_update *update = stasis_message_data(message);

	if (stasis_message_type(message) == stasis_cache_update_type())
		*(int *)data += update->new_snapshot != NULL ? 1 : 100;
}

static void use_cache(struct stasis_message_type *type)
{
	struct order order = { .number = 1 };
	struct stasis_topic *topic = stasis_topic_create("cached");
	struct stasis_cache *cache = stasis_cache_create(order_id);
	struct stasis_caching_topic *caching = stasis_caching_topic_create(topic, cache);
	struct stasis_message *message = stasis_message_create_inline(type, &order, sizeof(order));
	struct stasis_message *clear = stasis_cache_clear_create(message), **dump, *got;
	struct stasis_subscription *sub;
	int sum = 0;
	size_t n;

	EXPECT(caching != NULL && stasis_caching_get_topic(caching) != NULL);
	EXPECT(stasis_message_type(clear) == stasis_cache_clear_type());
	EXPECT(stasis_publish(topic, message) == 0);
	got = stasis_cache_get(cache, type, "1");
	EXPECT(got == message);
	stasis_object_unref(got);
	dump = stasis_cache_dump(cache, NULL, &n);
	EXPECT(n == 1 && dump[0] == message);
	EXPECT(stasis_cache_dump_free(dump, n) == NULL);
	sub = stasis_caching_subscribe_with_state(caching, count_updates, &sum, NULL);
	EXPECT(stasis_publish_take(topic, clear) == 0);
	stasis_unsubscribe_and_join(sub);
	EXPECT(sum == 101);
	stasis_object_ref(caching);
	EXPECT(stasis_caching_unsubscribe(caching) == NULL);
	EXPECT(stasis_caching_unsubscribe_and_join(caching) == NULL && errno == EALREADY);
	stasis_object_unref(message);
	stasis_object_unref(cache);
	stasis_object_unref(topic);
}

int main(void)
{
	struct log log = { 0 };
	struct stasis_message_vtable vtable = { .size = sizeof(vtable), .to_json = no_json };
	struct stasis_message_type *plain = stasis_message_type_create("plain");
	struct stasis_message_type *type = stasis_message_type_create_with("order", &vtable);
	struct stasis_topic *topic = stasis_topic_create("orders");
	struct stasis_executor *executor = stasis_executor_create(&(struct stasis_executor_options){
		.size = sizeof(struct stasis_executor_options), .threads = 2, .name = "api" });
	struct stasis_subscribe_options options = { .size = sizeof(options),
						    .executor = executor,
						    .name = "log" };
	struct stasis_subscription *sub;

	the_log = &log;
	EXPECT(strcmp(stasis_message_type_name(plain), "plain") == 0);
	EXPECT(stasis_topic_wants(topic, type) == 0);
	sub = stasis_subscribe_with(topic, on_message, &log, &options);
	EXPECT(sub != NULL);
	EXPECT(stasis_subscription_uniqueid(sub) != NULL);
	EXPECT(stasis_subscription_is_subscribed(sub) == 1);
	EXPECT(stasis_topic_subscribers(topic) == 1);
	EXPECT(stasis_topic_wants(topic, type) == 1);
	publish_all_forms(topic, type);
	use_cache(type);
	EXPECT(stasis_executor_drain(executor) == 0);
	EXPECT(log.n_changes == 1);
	EXPECT(log.n_orders == 4);
	EXPECT(log.sum == 1000 + 1 + 2 + 4 + 4);
	EXPECT(log.destroyed == 2);
	check_stats(topic, sub, executor);
	EXPECT(stasis_unsubscribe(stasis_object_ref(sub)) == NULL);
	EXPECT(stasis_subscription_join(sub) == 0);
	EXPECT(stasis_subscription_is_done(sub) == 1);
	EXPECT(log.n_finals == 1);
	stasis_object_unref(sub);
	EXPECT(stasis_executor_set_default(executor) == 0);
	EXPECT(stasis_executor_default() == executor);
	EXPECT(stasis_executor_set_default(NULL) == 0);
	EXPECT(stasis_executor_shutdown(executor) == NULL);
	use_default_executor(topic, &log);
	stasis_object_unref(topic);
	stasis_object_unref(type);
	stasis_object_unref(plain);
	return 0;
}
