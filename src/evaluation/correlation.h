// SPDX-License-Identifier: Apache-2.0
//
// How far two series of numbers go together.
#pragma once

#include <span>
#include <vector>

namespace plait::evaluation {

/// Pearson's coefficient, -1 to 1; not a number if either series is constant or has fewer than two values.
/// Requires: equally long.
[[nodiscard]] double pearson(std::span<const double> x, std::span<const double> y);

/// Spearman's: Pearson's of the ranks, equal values sharing the mean of theirs. Requires: equally long.
[[nodiscard]] double spearman(std::span<const double> x, std::span<const double> y);

/// Pearson's of what is left of x and y when each has been fitted by a line in z. Not a number where z explains one of
/// them fully. Requires: equally long.
[[nodiscard]] double partial_pearson(std::span<const double> x, std::span<const double> y, std::span<const double> z);

/// The factors with which the columns add up to `y` most nearly, in the sense of least squares. A column that the ones
/// before it explain fully gets 0. Requires: all as long as y.
[[nodiscard]] std::vector<double> least_squares(std::span<const std::vector<double>> columns,
                                                std::span<const double> y);

}  // namespace plait::evaluation
