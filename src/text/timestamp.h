// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace plait::text {

/// "2026-07-01T12:00:00Z" of seconds since 1970.
[[nodiscard]] std::string utc_time(std::int64_t seconds);
/// The same with thousandths of a second: "2026-07-01T12:00:00.250Z".
[[nodiscard]] std::string utc_time(std::chrono::system_clock::time_point time);

}  // namespace plait::text
