// SPDX-License-Identifier: Apache-2.0
#include "kernels/logits.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "kernels/elementwise_table.h"
#include "kernels/math.h"

namespace plait::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Logits summed in float before they go into a double: at most 256 additions a lane.
constexpr std::size_t kSumChunk = 4096;

/// Calls f(offset, size) for consecutive chunks of [0, n).
template <class F>
void for_chunks(std::size_t n, std::size_t chunk, F&& f) {
  for (std::size_t at = 0; at < n; at += chunk) f(at, std::min(chunk, n - at));
}

}  // namespace

float largest(Isa isa, std::span<const float> logits) {
  return elementwise_table(isa).largest(logits.data(), logits.size());
}

std::size_t argmax(Isa isa, std::span<const float> logits) {
  const ElementwiseTable& table = elementwise_table(isa);
  constexpr std::size_t kChunk = 1024;
  std::size_t best_at = 0;
  float best = -kInfinity;
  for_chunks(logits.size(), kChunk, [&](std::size_t at, std::size_t size) {
    const float here = table.largest(logits.data() + at, size);
    if (here > best) {
      best = here;
      best_at = at;
    }
  });
  if (best == -kInfinity) return 0;
  while (logits[best_at] != best) ++best_at;
  return best_at;
}

double log_sum_exp(Isa isa, std::span<const float> logits, float factor) {
  const ElementwiseTable& table = elementwise_table(isa);
  const float top = largest(isa, logits);
  if (top == -kInfinity) return -std::numeric_limits<double>::infinity();
  double sum = 0;
  for_chunks(logits.size(), kSumChunk, [&](std::size_t at, std::size_t size) {
    sum += static_cast<double>(table.sum_exp(logits.data() + at, top, factor, size));
  });
  return static_cast<double>(top) * static_cast<double>(factor) + log_double(sum);
}

std::span<const Candidate> TopK::select(Isa isa, std::span<const float> logits, std::size_t k) {
  const ElementwiseTable& table = elementwise_table(isa);
  const std::size_t n = logits.size();
  k = std::min(k, n);
  candidates_.clear();
  if (k == 0) return candidates_;
  // The k-th largest of the maxima of at least k chunks is no larger than the k-th largest logit: a first threshold
  // that few others pass. Four chunks for each wanted logit leave about k logits more than wanted.
  const std::size_t chunk = std::clamp<std::size_t>(n / (4 * k), 1, 1024);
  maxima_.clear();
  float threshold = std::numeric_limits<float>::lowest();
  if (chunk >= 16) {
    for_chunks(n, chunk,
               [&](std::size_t at, std::size_t size) { maxima_.push_back(table.largest(logits.data() + at, size)); });
    ordered_ = maxima_;
    const auto nth = ordered_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(ordered_.begin(), nth, ordered_.end(), std::greater<>());
    threshold = std::max(threshold, *nth);
  }
  const std::size_t searched = chunk >= 16 ? chunk : n;
  indices_.resize(std::max(indices_.size(), searched));
  for_chunks(n, searched, [&](std::size_t at, std::size_t size) {
    if (chunk >= 16 && maxima_[at / chunk] < threshold) return;
    const std::size_t found = table.at_least(logits.data() + at, threshold, size, indices_.data());
    for (std::size_t i = 0; i < found; ++i) {
      const auto index = static_cast<std::uint32_t>(at + indices_[i]);
      candidates_.push_back({index, logits[index]});
    }
  });
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.index < b.index;
  };
  const std::size_t kept = std::min(k, candidates_.size());
  std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(kept), candidates_.end(),
                    before);
  return std::span<const Candidate>(candidates_).first(kept);
}

}  // namespace plait::kernels
