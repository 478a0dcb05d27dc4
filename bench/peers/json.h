/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_JSON_H
#define SP_JSON_H

/* json.h — what is printed; NULL: no memory */

#include <jansson.h>

#include "options.h"

/* All engines and workloads, and the machine. */
json_t *sp_json_list(void);

json_t *sp_json_result(const struct sp_options *options, const struct sp_result *result);

#endif
