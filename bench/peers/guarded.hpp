/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SP_GUARDED_HPP
#define SP_GUARDED_HPP

/* guarded.hpp — exceptions end where C begins */

#include <cerrno>
#include <new>
#include <system_error>

/* 0, or -errno for what body has thrown. */
template <typename Body> int guarded(Body &&body) noexcept
{
	try {
		body();
		return 0;
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	} catch (const std::system_error &error) {
		int code = error.code().value();

		return code > 0 ? -code : -EIO;
	} catch (...) {
		return -EIO;
	}
}

#endif
