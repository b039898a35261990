// SPDX-License-Identifier: Apache-2.0
#include "evaluation/correlation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/check.h"

namespace plait::evaluation {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Ranks from 0, those of equal values averaged.
std::vector<double> ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> result(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (std::size_t i = first; i <= last; ++i) result[order[i]] = static_cast<double>(first + last) / 2;
    first = last + 1;
  }
  return result;
}

}  // namespace

double pearson(std::span<const double> x, std::span<const double> y) {
  PLAIT_CHECK(x.size() == y.size(), x.size(), y.size());
  if (x.size() < 2) return kUnknown;
  const double x_mean = mean(x);
  const double y_mean = mean(y);
  double xx = 0;
  double yy = 0;
  double xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - x_mean) * (x[i] - x_mean);
    yy += (y[i] - y_mean) * (y[i] - y_mean);
    xy += (x[i] - x_mean) * (y[i] - y_mean);
  }
  if (!(xx > 0) || !(yy > 0)) return kUnknown;
  return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
}

double spearman(std::span<const double> x, std::span<const double> y) { return pearson(ranks(x), ranks(y)); }

double partial_pearson(std::span<const double> x, std::span<const double> y, std::span<const double> z) {
  const double xy = pearson(x, y);
  const double xz = pearson(x, z);
  const double yz = pearson(y, z);
  if (std::isnan(xz) || std::isnan(yz))
    return std::isnan(pearson(z, z)) ? xy : kUnknown;  // a constant z explains nothing
  const double left = (1 - xz * xz) * (1 - yz * yz);
  return left > 1e-12 ? std::clamp((xy - xz * yz) / std::sqrt(left), -1.0, 1.0) : kUnknown;
}

// Gram-Schmidt: each column less what the ones before it explain, then back from the last.
std::vector<double> least_squares(std::span<const std::vector<double>> columns, std::span<const double> y) {
  constexpr double kNothing = 1e-18;  // of a column's square: rounding
  const auto product = [](std::span<const double> a, std::span<const double> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  const std::size_t n = columns.size();
  std::vector<std::vector<double>> left(columns.begin(), columns.end());
  std::vector<std::vector<double>> parts(n, std::vector<double>(n));  // of column j in what is left of column i
  std::vector<double> factors(n);
  for (std::size_t j = 0; j < n; ++j) {
    PLAIT_CHECK(columns[j].size() == y.size(), columns[j].size(), y.size());
    for (std::size_t i = 0; i < j; ++i) {
      const double square = product(left[i], left[i]);
      parts[i][j] = square > 0 ? product(left[i], left[j]) / square : 0;
      for (std::size_t k = 0; k < y.size(); ++k) left[j][k] -= parts[i][j] * left[i][k];
    }
    const double square = product(left[j], left[j]);
    if (square <= kNothing * product(columns[j], columns[j])) std::ranges::fill(left[j], 0);
    factors[j] = square > kNothing * product(columns[j], columns[j]) ? product(left[j], y) / square : 0;
  }
  for (std::size_t j = n; j-- > 0;) {
    for (std::size_t i = 0; i < j; ++i) factors[i] -= parts[i][j] * factors[j];
  }
  return factors;
}

}  // namespace plait::evaluation
