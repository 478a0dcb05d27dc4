/* SPDX-License-Identifier: BSD-2-Clause */
/* channel-monitor.c — follows telephone channels: events in, changes out
 *
 * What goes in and comes out is in --help, and in monitor/options.c. Here is how it uses libstasis:
 *
 *   monitor/channels.c  drives channels. Each publishes snapshots of itself, and blobs.
 *   monitor/updates.c   a router on the changes of the cache that the library keeps of them
 *   monitor/report.c    reads that cache at the end
 *
 * One thread reads and publishes, a worker of an executor counts and prints.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/input.h"
#include "monitor/monitor.h"
#include "monitor/options.h"
#include "server/net.h"

static int stop = -1; /* eventfd: the input is to end */

static void on_signal(int number)
{
	const uint64_t one = 1;
	int error = errno;

	/* The next one is not caught. */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	/* There is nobody to tell if it fails. */
	if (write(stop, &one, sizeof(one)) < 0)
		_exit(EXIT_TROUBLE);
	errno = error;
}

static int catch_signals(void)
{
	/* RESTART: the output is not to fail by it. poll() returns all the same. */
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop < 0 || sigaction(SIGINT, &action, NULL) != 0 ||
	    sigaction(SIGTERM, &action, NULL) != 0)
		return -errno;
	return 0;
}

/* Whoever has started us may have closed what we read or write by convention. No other descriptor
 * may get its number: it gets one that cannot be used that way, so that using it fails. */
static void occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "channel-monitor: %s: %s\n", what, strerror(error));
	return EXIT_TROUBLE;
}

/* The exit status. */
static int run(struct monitor *monitor)
{
	bool good = input_run(monitor);
	int error = monitor_finish(monitor);

	if (error != 0)
		return fail("the end", -error);
	/* Relaxed: the thread that prints has ended. */
	error = atomic_load_explicit(&monitor->updates.error, memory_order_relaxed);
	if (error != 0)
		return fail("standard output", error);
	if (!good)
		return EXIT_TROUBLE;
	return monitor->bad == 0 ? EXIT_SUCCESS : EXIT_BAD_LINES;
}

int main(int argc, char **argv)
{
	struct options options;
	struct monitor monitor;
	int error, status;

	occupy_standard_descriptors();
	options_parse(&options, argc, argv);
	net_prepare();
	error = catch_signals();
	if (error != 0)
		return fail("signals", -error);
	error = monitor_init(&monitor, &options, stop);
	status = error == 0 ? run(&monitor) : fail("starting", -error);
	monitor_deinit(&monitor);
	close(stop);
	return status;
}
