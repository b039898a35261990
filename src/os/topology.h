// SPDX-License-Identifier: Apache-2.0
//
// Which cores this process may run on, and which memory is near to which core.
#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace plait::os {

struct Core {
  int id = 0;           ///< The system's number.
  int memory_node = 0;  ///< NUMA node whose memory is nearest; 0 where the system names none.
  friend bool operator==(const Core&, const Core&) = default;
};

/// The cores of the calling thread's affinity mask in ascending order, at least one. A cgroup's quota is not counted,
/// see usable_cores(). Read anew at each call; some 100 µs. Any thread.
[[nodiscard]] std::vector<Core> allowed_cores();

/// Numbers of a list as the system writes it, "0-3,8"; what is not of that form, or above 65535, is left out.
[[nodiscard]] std::vector<int> parse_core_list(std::string_view list);

/// From now on the calling thread runs on these cores only. False when the system refuses, and nothing has changed.
/// Requires: every number ≥ 0.
bool bind_this_thread(std::span<const int> cores);

}  // namespace plait::os
