/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_MONITOR_CHANNELS_H
#define EXAMPLES_MONITOR_CHANNELS_H

/* monitor/channels.h — the channels that there are, by id, and what events do to them */

#include <stdint.h>

#include "event.h"

struct channels {
	void *tree; /* tsearch() */
	struct stasis_message_type *variable_type;
	uint64_t created, hung_up;
};

/* What an event has come to. */
enum channels_result {
	CHANNELS_DONE = 0,
	CHANNELS_UNFIT, /* it does not fit the channels there are; the reason says why */
};

/* 0 or -errno. */
int channels_init(struct channels *channels);

/* Ends all channels. */
void channels_deinit(struct channels *channels);

/* A result, or -errno when nothing more can be done. */
int channels_apply(struct channels *channels, const struct event *event,
		   char reason[EVENT_REASON_MAX]);

#endif
