// SPDX-License-Identifier: Apache-2.0
#include "text/timestamp.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

namespace plait::text {

std::string utc_time(std::int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string utc_time(std::chrono::system_clock::time_point time) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto second = std::chrono::floor<std::chrono::seconds>(since_epoch);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(second.count())),
                     (since_epoch - second).count());
}

}  // namespace plait::text
