// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace plait::testing {

/// How often the whole program has called operator new so far, over-aligned memory excepted: only differences say
/// something. A program that calls this has its operators new and delete replaced. Any thread.
[[nodiscard]] std::size_t allocation_count();

}  // namespace plait::testing
