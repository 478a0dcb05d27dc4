/* SPDX-License-Identifier: BSD-2-Clause */
/* monitor/monitor.c — see monitor.h */

#include "monitor.h"

#include <inttypes.h>
#include <stdio.h>

#include "report.h"

/* Events at most before the updates have to catch up, which bounds their queue. */
#define BACKLOG_MAX 8192u

void monitor_bad(struct monitor *monitor, const char *source, uint64_t number, const char *reason)
{
	fprintf(stderr, "channel-monitor: %s:%" PRIu64 ": %s\n", source, number, reason);
	monitor->bad++;
}

int monitor_idle(struct monitor *monitor)
{
	monitor->unseen = 0;
	return updates_flush(&monitor->updates);
}

int monitor_line(struct monitor *monitor, const char *source, uint64_t number, const char *line,
		 size_t size)
{
	char reason[EVENT_REASON_MAX];
	struct event event;
	int result = CHANNELS_UNFIT;

	if (event_parse(&event, line, size, reason)) {
		result = channels_apply(&monitor->channels, &event, reason);
		event_deinit(&event);
	}
	if (result < 0)
		return result;
	if (result == CHANNELS_UNFIT) {
		monitor_bad(monitor, source, number, reason);
		return 0;
	}
	monitor->events++;
	return ++monitor->unseen < BACKLOG_MAX ? 0 : monitor_idle(monitor);
}

int monitor_finish(struct monitor *monitor)
{
	int error = 0;

	updates_close(&monitor->updates);
	if (monitor->options.dump)
		error = report_dump();
	if (error == 0 && monitor->options.summary)
		error = report_summary(monitor);
	if (fflush(stdout) != 0)
		updates_failed(&monitor->updates);
	return error;
}

int monitor_init(struct monitor *monitor, const struct options *options, int stop)
{
	int error;

	*monitor = (struct monitor){ .options = *options, .stop = stop };
	error = channels_init(&monitor->channels);
	if (error != 0)
		return error;
	return updates_open(&monitor->updates, &monitor->options, stop,
			    monitor->channels.variable_type);
}

void monitor_deinit(struct monitor *monitor)
{
	updates_close(&monitor->updates);
	channels_deinit(&monitor->channels);
}
