/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_MESSAGES_H
#define SB_MESSAGES_H

/* messages.h — the library's messages, for all engines that carry them */

#include <stasis/message.h>

#include "harness.h"

/* The publisher's next message: made, stamped by the wall clock, its payload copied. */
static inline struct stasis_message *sb_next_message(struct sb_publisher *publisher,
						     struct stasis_message_type *type)
{
	publisher->payload->sequence = publisher->sequence;
	return stasis_message_create_inline(type, publisher->payload,
					    publisher->run->setup.payload);
}

/* For SB_MODE_REPUBLISH, otherwise nothing: gives every publisher, in data, its one message.
 * 0 or -ENOMEM, with no messages left. */
int sb_repeated_messages_new(struct sb_run *run, struct stasis_message_type *type);
void sb_repeated_messages_free(struct sb_run *run);

#endif
