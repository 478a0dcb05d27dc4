/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.c — see plugin.h */

#include "asterisk.h"

ASTERISK_FILE_VERSION(__FILE__, "$Revision$")

#include "asterisk/astobj2.h"
#include "asterisk/module.h"
#include "asterisk/stasis.h"

#include "plugin.h"

plugin_report_function plugin_report;

static struct stasis_topic *topic;

static int load_module(void)
{
	topic = stasis_topic_create("plugin");
	if (!topic) {
		return AST_MODULE_LOAD_FAILURE;
	}
	if (plugin_report)
		plugin_report("+plugin");
	return AST_MODULE_LOAD_SUCCESS;
}

static int unload_module(void)
{
	ao2_cleanup(topic);
	topic = NULL;
	if (plugin_report)
		plugin_report("-plugin");
	return 0;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_DEFAULT, "Opened at run time",
	.load = load_module,
	.unload = unload_module,
);
