/* SPDX-License-Identifier: BSD-2-Clause */
/* messages.c — see messages.h */

#include "messages.h"

#include <errno.h>

#include <stasis/object.h>

int sb_repeated_messages_new(struct sb_run *run, struct stasis_message_type *type)
{
	if (run->topology.mode != SB_MODE_REPUBLISH)
		return 0;
	for (unsigned i = 0; i < run->topology.publishers; i++) {
		struct sb_publisher *publisher = &run->publishers[i];

		publisher->data = sb_next_message(publisher, type);
		if (publisher->data == NULL) {
			sb_repeated_messages_free(run);
			return -ENOMEM;
		}
	}
	return 0;
}

void sb_repeated_messages_free(struct sb_run *run)
{
	if (run->topology.mode != SB_MODE_REPUBLISH)
		return;
	for (unsigned i = 0; i < run->topology.publishers; i++)
		run->publishers[i].data = stasis_object_unref(run->publishers[i].data);
}
