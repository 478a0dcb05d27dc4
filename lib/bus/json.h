/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STI_BUS_JSON_H
#define STI_BUS_JSON_H

/* bus/json.h — the JSON form of what the bus itself publishes */

#include <stasis/message.h>

/* Of subscription changes; see stasis_subscription_change_type(). */
struct json_t *sti_change_to_json(const struct stasis_message *message);

#endif
