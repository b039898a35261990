// SPDX-License-Identifier: Apache-2.0
//
// What the abstractions of this area cost: elementwise algorithms beside loops and threads written by hand, in the
// manner of the STREAM benchmark (McCalpin 1995), and the price of a region and of a barrier.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "parallel/team.h"

namespace plait::parallel {

struct StreamRate {
  std::string_view name;  ///< "copy" c = a, "scale" b = 3c, "add" c = a + b, "triad" a = b + 3c.
  base::Bytes array_bytes =
      0;  ///< Of each of the three arrays of doubles; below four last-level caches it is not memory.
  int threads = 0;
  /// Of the best pass. Arrays named in the formula are counted, each once: what the processor reads in order to write a
  /// line (one more array) is not.
  double bytes_per_second = 0;
  double native_bytes_per_second = 0;  ///< The same of plain loops in std::threads that meet at a std::barrier.
  double ratio = 0;                    ///< Median over rounds of native time / our time: 1 means that we cost nothing.
};

/// Ours and the native loops take turns until `seconds` have passed, at least four rounds; the first does not count.
/// The results are checked against the same recurrence on scalars. Takes 3 * array_bytes of memory, touched first by
/// who uses it. Errors: out_of_resources; internal if a result is wrong. Throws std::system_error when the machine
/// refuses a thread. Requires: array_bytes ≥ 8.
[[nodiscard]] base::Result<std::vector<StreamRate>> probe_stream(base::Bytes array_bytes, Team& team, double seconds);

struct RegionCost {
  int threads = 0;
  double region_us = 0;   ///< Team::run() of a function that does nothing.
  double barrier_us = 0;  ///< Team::barrier() by members that do nothing else.
  double threads_us = 0;  ///< What a region saves: starting and joining as many std::threads.
};

/// Medians of batches, `seconds` for each of the three, at least three batches.
[[nodiscard]] RegionCost probe_regions(Team& team, double seconds);

}  // namespace plait::parallel
