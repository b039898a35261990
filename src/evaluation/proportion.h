// SPDX-License-Identifier: Apache-2.0
//
// How sure a mean or a share of yes and no is, and whether two ways to answer the same questions differ.
#pragma once

#include <cstddef>
#include <vector>

namespace plait::evaluation {

/// So many of n.
struct Proportion {
  std::size_t hits = 0;
  std::size_t n = 0;

  void add(bool hit) {
    hits += hit ? 1 : 0;
    ++n;
  }
  [[nodiscard]] double value() const;           ///< 0 of none.
  [[nodiscard]] double standard_error() const;  ///< 0 of none.
};

[[nodiscard]] Proportion proportion_of(const std::vector<bool>& hits);

/// A mean of numbers.
struct Mean {
  double sum = 0;
  double squares = 0;
  std::size_t n = 0;

  void add(double value) {
    sum += value;
    squares += value * value;
    ++n;
  }
  [[nodiscard]] double value() const;           ///< 0 of none.
  [[nodiscard]] double standard_error() const;  ///< 0 of fewer than two.
};

struct Interval {
  double low = 0;
  double high = 1;
};
/// Wilson's interval at 95 %.
[[nodiscard]] Interval wilson_interval(const Proportion& proportion);

/// Questions that only one of two ways answers.
struct Discordant {
  std::size_t only_first = 0;
  std::size_t only_second = 0;

  void add(bool first, bool second) {
    only_first += first && !second ? 1 : 0;
    only_second += second && !first ? 1 : 0;
  }
  /// McNemar's test, exact and two-sided: how likely a difference of at least this size is if there is none.
  [[nodiscard]] double p() const;
};
/// Of two ways, question by question. Requires: as many of both.
[[nodiscard]] Discordant discordant_of(const std::vector<bool>& first, const std::vector<bool>& second);

}  // namespace plait::evaluation
