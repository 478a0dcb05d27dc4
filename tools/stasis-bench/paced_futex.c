/* SPDX-License-Identifier: BSD-2-Clause */
/* paced_futex.c — the control of the latency: a bare futex wake
 *
 * Edges
 *   R1  store-release sent  futex_send     -> A1  start, before the first message
 *   A1  load-acquire sent   receiver_main  <- R1
 */

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "paced.h"

/* In sent: the receiver shall end. */
#define QUIT UINT32_MAX

struct control {
	pthread_t thread;
	alignas(STI_CACHELINE) _Atomic uint32_t sent; /* messages */
};

static void *receiver_main(void *arg)
{
	struct sb_paced *paced = arg;
	struct control *control = paced->data;
	struct sb_stamp stamp = { 0 };

	for (;;) {
		/* A1: pairs with R1 in futex_send(). */
		uint32_t sent = atomic_load_explicit(&control->sent, memory_order_acquire);
		uint64_t now = sb_now();

		if (sent == QUIT)
			return NULL;
		if (sent == stamp.sequence) {
			syscall(SYS_futex, &control->sent, FUTEX_WAIT_PRIVATE, sent, NULL, NULL, 0);
			continue;
		}
		for (; stamp.sequence < sent; stamp.sequence++)
			sb_paced_receive(paced, &stamp, now);
	}
}

static void publish(struct control *control, uint32_t sent)
{
	/* R1: pairs with A1 in receiver_main(). */
	atomic_store_explicit(&control->sent, sent, memory_order_release);
	syscall(SYS_futex, &control->sent, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int futex_open(struct sb_paced *paced, int option)
{
	struct control *control = aligned_alloc(STI_CACHELINE, sizeof(*control));
	int error;

	if (control == NULL)
		return -ENOMEM;
	atomic_init(&control->sent, 0);
	paced->data = control;
	error = pthread_create(&control->thread, NULL, receiver_main, paced);
	if (error != 0)
		free(control);
	return -error;
}

static int futex_send(struct sb_paced *paced, uint64_t sequence)
{
	publish(paced->data, (uint32_t)sequence + 1);
	return 0;
}

static void futex_close(struct sb_paced *paced)
{
	struct control *control = paced->data;

	publish(control, QUIT);
	pthread_join(control->thread, NULL);
	free(control);
	paced->data = NULL;
}

const struct sb_paced_subject sb_paced_futex = {
	.name = "futex",
	.text = "a number stored, FUTEX_WAKE, a sleeping thread reads it",
	.open = futex_open,
	.send = futex_send,
	.close = futex_close,
};
