// SPDX-License-Identifier: Apache-2.0
//
// What sampling needs from a row of logits, of up to a few hundred thousand words, without sorting them: the same
// results, bit for bit, for every Isa. NaN counts as -infinity: a forbidden word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/isa.h"

namespace plait::kernels {

/// The first index of the largest logit; 0 if none is above -infinity. Requires: not empty, fewer than 2^32.
[[nodiscard]] std::size_t argmax(Isa isa, std::span<const float> logits);

/// The largest logit; -infinity if there is none.
[[nodiscard]] float largest(Isa isa, std::span<const float> logits);

/// ln of the sum of e^(factor * logit), to about 1e-6; -infinity if no logit is above it. `factor` is one over the
/// temperature; > 0. So factor * logit - log_sum_exp() is a word's log-probability.
[[nodiscard]] double log_sum_exp(Isa isa, std::span<const float> logits, float factor = 1);

struct Candidate {
  std::uint32_t index = 0;
  float logit = 0;
  friend bool operator==(const Candidate&, const Candidate&) = default;
};

/// Finds the largest logits: one pass over all, then work in proportion to k. Keeps its buffers; one thread at a time.
class TopK {
 public:
  /// The k largest logits above -infinity (fewer if there are fewer), descending, equal ones by ascending index.
  /// The span is valid until the next call. Requires: fewer than 2^32 logits.
  std::span<const Candidate> select(Isa isa, std::span<const float> logits, std::size_t k);

 private:
  std::vector<float> maxima_;  // of chunks
  std::vector<float> ordered_;
  std::vector<std::uint32_t> indices_;
  std::vector<Candidate> candidates_;
};

}  // namespace plait::kernels
