// SPDX-License-Identifier: Apache-2.0
#include "load/samples.h"

#include <algorithm>
#include <numeric>

namespace plait::load {

Distribution Samples::distribution() const {
  if (values_.empty()) return {};
  std::vector<double> sorted = values_;
  std::ranges::sort(sorted);
  // The rank in whole numbers: 0.9 * 10 in floats may be more than 9.
  const auto percentile = [&](std::size_t percent) { return sorted[(sorted.size() * percent + 99) / 100 - 1]; };
  return {.count = sorted.size(),
          .mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size()),
          .p50 = percentile(50),
          .p90 = percentile(90),
          .p99 = percentile(99),
          .max = sorted.back()};
}

}  // namespace plait::load
