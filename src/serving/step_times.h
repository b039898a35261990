// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace plait::serving {

/// Counts of what lies within bounds that do not change. A plain value.
template <std::size_t N>
struct BoundedCounts {
  std::array<double, N> bounds = {};             ///< Ascending, each included.
  std::array<std::uint64_t, N + 1> counts = {};  ///< [bound]; the last one: beyond them all.
  double sum = 0;

  void add(double value) {
    const auto at = std::ranges::lower_bound(bounds, value) - bounds.begin();
    ++counts[static_cast<std::size_t>(at)];
    sum += value;
  }
  void add(const BoundedCounts& other) {
    for (std::size_t i = 0; i <= N; ++i) counts[i] += other.counts[i];
    sum += other.sum;
  }
};

/// The steps of one engine: how long they took, and how many tokens went through the model in each.
struct StepTimes {
  BoundedCounts<12> seconds = {.bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}};
  BoundedCounts<13> rows = {.bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096}};
};

}  // namespace plait::serving
