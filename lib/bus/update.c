/* SPDX-License-Identifier: BSD-2-Clause */
/* bus/update.c — the type of cache updates, which everything above the bus may dispatch by */

#include <stasis/cache.h>

#include "base/object.h"
#include "bus/message.h"

static struct {
	struct sti_object object;
	struct stasis_message_type type;
} update_type = {
	.object = { .refs = 1, .kind = STI_KIND_TYPE, .mem = STI_MEM_KEEP },
	.type = { .name = "stasis_cache_update", .id = STI_TYPE_ID_CACHE_UPDATE },
};

struct stasis_message_type *stasis_cache_update_type(void)
{
	return &update_type.type;
}
