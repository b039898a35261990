// SPDX-License-Identifier: Apache-2.0
//
// How much memory there is, and how much of it this process holds.
#pragma once

#include "base/units.h"

namespace plait::os {

struct MemoryInfo {
  base::Bytes total =
      0;  ///< Memory this process may use at most: the machine's, or its control group's limit if lower.
  base::Bytes available = 0;  ///< What can still be had without swapping; never more than `total`.
};

/// Read anew at each call; costs some 50 µs. Zeros where the system tells nothing. Any thread.
[[nodiscard]] MemoryInfo memory_info();

/// Resident memory of this process, pages of mapped files included; 0 if unknown. Any thread.
[[nodiscard]] base::Bytes resident_bytes();

}  // namespace plait::os
