/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STASIS_TESTS_COMPAT_PLUGIN_H
#define STASIS_TESTS_COMPAT_PLUGIN_H

/* plugin.h — a module in an object of its own, which the test opens and closes
 *
 * plugin_report is a variable of the plugin's; the test sets it, and is told what happens.
 */

typedef void (*plugin_report_function)(const char *what);

extern plugin_report_function plugin_report;

#endif
