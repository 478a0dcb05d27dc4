/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SB_PROGRESS_H
#define SB_PROGRESS_H

/* progress.h — says on standard error what is going on: on a terminal one line that changes,
 * otherwise a line for each step */

/* n steps are to come. */
void sb_progress_begin(unsigned n);

/* One more step is done. */
void sb_progress_step(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* n steps that were announced will not be made. */
void sb_progress_skip(unsigned n);

void sb_progress_end(void);

#endif
