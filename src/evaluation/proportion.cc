// SPDX-License-Identifier: Apache-2.0
#include "evaluation/proportion.h"

#include <algorithm>
#include <cmath>

namespace plait::evaluation {

double Proportion::value() const { return n == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(n); }

double Proportion::standard_error() const {
  return n == 0 ? 0 : std::sqrt(value() * (1 - value()) / static_cast<double>(n));
}

double Mean::value() const { return n == 0 ? 0 : sum / static_cast<double>(n); }

double Mean::standard_error() const {
  if (n < 2) return 0;
  const auto count = static_cast<double>(n);
  const double variance = std::max(0.0, squares - sum * sum / count) / (count - 1);
  return std::sqrt(variance / count);
}

Interval wilson_interval(const Proportion& proportion) {
  if (proportion.n == 0) return {};
  constexpr double kZ = 1.959964;
  const auto n = static_cast<double>(proportion.n);
  const double p = proportion.value();
  const double scale = 1 + kZ * kZ / n;
  const double centre = (p + kZ * kZ / (2 * n)) / scale;
  const double half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n)) / scale;
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double Discordant::p() const {
  const std::size_t n = only_first + only_second;
  const std::size_t fewer = std::min(only_first, only_second);
  const auto log_factorial = [](std::size_t k) { return std::lgamma(static_cast<double>(k) + 1); };
  double tail = 0;  // of Binomial(n, 1/2) up to `fewer`
  for (std::size_t k = 0; k <= fewer; ++k) {
    tail +=
        std::exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) - static_cast<double>(n) * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

Proportion proportion_of(const std::vector<bool>& hits) {
  Proportion proportion;
  for (const bool hit : hits) proportion.add(hit);
  return proportion;
}

Discordant discordant_of(const std::vector<bool>& first, const std::vector<bool>& second) {
  Discordant discordant;
  for (std::size_t i = 0; i < first.size(); ++i) discordant.add(first[i], second[i]);
  return discordant;
}

}  // namespace plait::evaluation
