// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

namespace plait::load {

/// Percentiles by nearest rank: the smallest value that is not exceeded by so many per cent of all.
struct Distribution {
  std::size_t count = 0;
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};

/// Seconds that were measured, every one of them kept.
class Samples {
 public:
  void add(double seconds) { values_.push_back(seconds); }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  /// Zeros if there is nothing. O(n log n).
  [[nodiscard]] Distribution distribution() const;

 private:
  std::vector<double> values_;
};

}  // namespace plait::load
