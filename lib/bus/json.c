/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/json.c — subscription changes as JSON
 *
 *   "type"         "stasis_subscription_change"
 *   "timestamp"    ISO 8601, see base/json.h
 *   "topic"        the name of the topic
 *   "uniqueid"     of the subscription
 *   "description"  "Subscribe" or "Unsubscribe"
 */

#include "bus/json.h"

#include <stasis/subscription.h>
#include <stasis/topic.h>

#include "base/json.h"
#include "bus/message.h"

struct json_t *sti_change_to_json(const struct stasis_message *message)
{
	const struct stasis_subscription_change *change = message->data;

	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "type", sti_json_string(message->type->name),
			 "timestamp", sti_json_time(&message->timestamp), "topic",
			 sti_json_string(stasis_topic_name(change->topic)), "uniqueid",
			 sti_json_string(change->uniqueid), "description",
			 sti_json_string(change->description));
}
