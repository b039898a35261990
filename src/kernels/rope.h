// SPDX-License-Identifier: Apache-2.0
//
// Rotary position embedding: which angle each pair of dims turns by at each position. The rotation itself is rope_neox
// and rope_norm of elementwise.h. Angles, sines and cosines are computed in double by our own functions and rounded to
// float once, so that they are right at any position and the same everywhere.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace plait::kernels {

/// How a model's context was stretched. Sources: linear: arXiv 2306.15595; YaRN: arXiv 2309.00071.
struct RopeScaling {
  enum class Kind { none, linear, yarn };
  Kind kind = Kind::none;
  double factor = 1;  ///< New context over old one, > 0: angles are divided by it (YaRN: those of slow pairs).
  double original_context = 0;  ///< YaRN: tokens the model was first trained for.
  double extrapolation = 1;     ///< YaRN: share of the correction, 1 (`ext_factor`).
  double attention_factor = 1;  ///< Multiplies cosines and sines, on top of YaRN's own 1 + 0.1 ln(factor).
  double beta_fast = 32;    ///< YaRN: pairs that turn more often than this in the original context stay as they are.
  bool whole_pairs = true;  ///< YaRN: the borders between fast and slow are rounded outwards to whole pairs.
  double beta_slow = 1;     ///< YaRN: pairs that turn less often are interpolated wholly.
};

/// Angles per position and the factor of cosines and sines.
struct RopeFrequencies {
  std::vector<double> radians;  ///< [rotated / 2], per token.
  double magnitude = 1;
};

/// Pair i turns by base^(-2 i / rotated) / factors[i] per token before scaling. `factors` (the tensor
/// `rope_freqs.weight`, or the long or short factors of a file) is empty or has rotated / 2 entries.
/// Requires: rotated even, base > 1, scaling.factor > 0.
[[nodiscard]] RopeFrequencies rope_frequencies(std::size_t rotated, double base, const RopeScaling& scaling = {},
                                               std::span<const float> factors = {});

/// Cosines and sines of one kind of rotation.
class RopeTable {
 public:
  explicit RopeTable(RopeFrequencies frequencies) : frequencies_(std::move(frequencies)) {}
  RopeTable(std::vector<double> radians, double magnitude) : frequencies_{std::move(radians), magnitude} {}

  [[nodiscard]] std::size_t pairs() const { return frequencies_.radians.size(); }
  [[nodiscard]] const RopeFrequencies& frequencies() const { return frequencies_; }

  /// Writes cos and sin, [pairs()] each, of a position, which may be negative. 20 ns per pair. Any thread.
  void fill(std::ptrdiff_t position, float* cos, float* sin) const;

 private:
  RopeFrequencies frequencies_;
};

}  // namespace plait::kernels
