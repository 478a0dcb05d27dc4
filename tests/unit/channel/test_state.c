/* SPDX-License-Identifier: BSD-2-Clause */
/* test_state.c — states of channels and their names */

#include "channel_fixture.h"

static const char *const names[] = {
	"Down", "Rsrvd", "OffHook", "Dialing", "Ring", "Ringing",
	"Up",	"Busy",	 "Dialing Offhook", "Pre-ring",
};

#define N_STATES (sizeof(names) / sizeof(names[0]))

Test(channel_state, has_a_name_and_is_found_by_it)
{
	cr_assert_eq(STASIS_CHANNEL_DOWN, 0);
	cr_assert_eq(STASIS_CHANNEL_PRERING, N_STATES - 1);
	for (size_t i = 0; i < N_STATES; i++) {
		enum stasis_channel_state state = STASIS_CHANNEL_PRERING;

		cr_assert_str_eq(stasis_channel_state_name((enum stasis_channel_state)i), names[i]);
		cr_assert_eq(stasis_channel_state_from_name(names[i], &state), 0);
		cr_assert_eq(state, i);
	}
}

Test(channel_state, others_are_refused)
{
	errno = 0;
	cr_assert_null(stasis_channel_state_name((enum stasis_channel_state)N_STATES));
	cr_assert_eq(errno, EINVAL);
	errno = 0;
	cr_assert_null(stasis_channel_state_name((enum stasis_channel_state)-1));
	cr_assert_eq(errno, EINVAL);
}

Test(channel_state, other_names_are_refused_and_nothing_is_put_anywhere)
{
	static const char *const others[] = { "", "up", "Ringin", "Ringing ", "Unknown" };
	enum stasis_channel_state state = STASIS_CHANNEL_BUSY;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_assert_eq(stasis_channel_state_from_name(others[i], &state), -EINVAL);
	cr_assert_eq(stasis_channel_state_from_name(NULL, &state), -EINVAL);
	cr_assert_eq(stasis_channel_state_from_name("Up", NULL), -EINVAL);
	cr_assert_eq(state, STASIS_CHANNEL_BUSY);
}
