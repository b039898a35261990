// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"
#include "kernels/math.h"

namespace plait::kernels {
namespace {

/// The (fractional) pair that turns `turns` times in `context` tokens.
double pair_of_turns(double turns, double rotated, double base, double context) {
  return rotated * log_double(context / (turns * 2 * std::numbers::pi)) / (2 * log_double(base));
}

/// YaRN: blends interpolated and original frequencies along a ramp between the pairs of beta_fast and beta_slow turns.
void apply_yarn(RopeFrequencies& frequencies, double base, const RopeScaling& scaling) {
  const auto rotated = static_cast<double>(2 * frequencies.radians.size());
  const double fast = pair_of_turns(scaling.beta_fast, rotated, base, scaling.original_context);
  const double slow = pair_of_turns(scaling.beta_slow, rotated, base, scaling.original_context);
  const double low = std::max(0.0, scaling.whole_pairs ? std::floor(fast) : fast);
  const double high = std::min(rotated - 1, scaling.whole_pairs ? std::ceil(slow) : slow);
  const double width = std::max(0.001, high - low);
  for (std::size_t i = 0; i < frequencies.radians.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
    const double kept = (1 - ramp) * scaling.extrapolation;
    frequencies.radians[i] *= kept + (1 - kept) / scaling.factor;
  }
  if (scaling.extrapolation != 0) frequencies.magnitude *= 1 + 0.1 * log_double(scaling.factor);
}

}  // namespace

RopeFrequencies rope_frequencies(std::size_t rotated, double base, const RopeScaling& scaling,
                                 std::span<const float> factors) {
  PLAIT_CHECK(rotated % 2 == 0 && base > 1 && scaling.factor > 0, rotated, base, scaling.factor);
  PLAIT_CHECK(factors.empty() || factors.size() == rotated / 2, factors.size(), rotated);
  RopeFrequencies result{.radians = std::vector<double>(rotated / 2), .magnitude = scaling.attention_factor};
  for (std::size_t i = 0; i < rotated / 2; ++i) {
    const double exponent = -2 * static_cast<double>(i) / static_cast<double>(rotated);
    result.radians[i] = power_double(base, exponent);
    if (!factors.empty()) result.radians[i] /= static_cast<double>(factors[i]);
    if (scaling.kind == RopeScaling::Kind::linear) result.radians[i] /= scaling.factor;
  }
  if (scaling.kind == RopeScaling::Kind::yarn) apply_yarn(result, base, scaling);
  return result;
}

void RopeTable::fill(std::ptrdiff_t position, float* cos, float* sin) const {
  const auto at = static_cast<double>(position);
  for (std::size_t i = 0; i < frequencies_.radians.size(); ++i) {
    const SinCos turned = sin_cos_double(at * frequencies_.radians[i]);
    cos[i] = static_cast<float>(turned.cos * frequencies_.magnitude);
    sin[i] = static_cast<float>(turned.sin * frequencies_.magnitude);
  }
}

}  // namespace plait::kernels
