/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_PACED_H
#define SB_PACED_H

/* paced.h — latency at a fixed rate
 *
 * Message number i is due at start + i * interval. The sender busy-waits for that moment on the
 * first CPU (with one CPU only, it sleeps) and sends; the receiver, on the second, takes the
 * difference between its clock and the due time. When a message is late because an earlier one held
 * up the sender, the delay counts: nothing is omitted because sender and receiver were stuck
 * together. Every subject is paced alike, and every sample is kept.
 */

#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "results.h"
#include "subscriber.h"

struct sb_paced {
	/* const before the first message */
	uint64_t start;
	uint64_t interval;
	size_t n;
	/* receiver only, until the last message */
	uint64_t *samples; /* by sequence number, ns */
	struct sb_subscriber subscriber;
	/* the subject's */
	void *data;
};

struct sb_paced_subject {
	const char *name;
	const char *text;
	/* 0 or -errno. option: as given to sb_paced_run(). */
	int (*open)(struct sb_paced *paced, int option);
	/* Sends message number sequence. 0 or -errno. */
	int (*send)(struct sb_paced *paced, uint64_t sequence);
	/* Returns when the receiver has ended. */
	void (*close)(struct sb_paced *paced);
};

/* For the receiver of a message. */
static inline void sb_paced_receive(struct sb_paced *paced, const struct sb_stamp *stamp,
				    uint64_t now)
{
	if (stamp->sequence < paced->n)
		paced->samples[stamp->sequence] = now - (paced->start +
							 stamp->sequence * paced->interval);
	sb_deliver(&paced->subscriber, stamp);
}

/* Returns the samples after the warm-up, sorted, sample->n of them, to be freed; NULL when it
 * failed: sample says why. */
uint64_t *sb_paced_samples(const struct sb_paced_subject *subject, int option, unsigned rate,
			   double seconds, struct sb_latency_sample *sample);

/* The same for who needs no more than the sample. */
void sb_paced_run(const struct sb_paced_subject *subject, int option, unsigned rate, double seconds,
		  struct sb_latency_sample *sample);

/* option: enum stasis_wait */
extern const struct sb_paced_subject sb_paced_stasis;

/* A thread asleep in futex(2), woken for every message; no queue, no memory. The control: what the
 * kernel and the machine cost, whatever sits on top. option: none */
extern const struct sb_paced_subject sb_paced_futex;

#endif
