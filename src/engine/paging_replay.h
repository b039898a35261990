// SPDX-License-Identifier: Apache-2.0
//
// Replays of page traces through eviction policies, beside the best that any could do. All pages are evictable here:
// this is the model of the literature, without pins and trees.
//
//   PLAIT_TRY(const auto trace, parse_page_trace(text));
//   const ReplayReport report = replay(trace, {.pages = 32, .errors = 0.05});
//
// Source: Belady's rule (evict the page whose next use is farthest) in the form with a fixed tie-break; bits, phases
// and bounds of Antoniadis et al., Paging with Succinct Predictions, ICML 2023. Threads: functions without state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/eviction.h"
#include "engine/page_trace.h"

namespace plait::engine {

/// What the best offline rule does on a trace.
struct OfflineOptimum {
  std::uint64_t faults = 0;
  std::vector<std::uint8_t> discard;  ///< [request]: 1 when its page is evicted before it is requested again.
};
/// Evicts the page whose next use is farthest; among pages never used again the one with the largest number. Faults and
/// bits come from one run, else right bits would not give exactly as many faults. O(n log pages).
/// Requires: pages ≥ 1, trace numbered as PageTrace.
[[nodiscard]] OfflineOptimum offline_optimum(const PageTrace& trace, std::uint32_t pages);

/// Cuts the trace into k-phases, maximal runs with `pages` distinct pages. [request]: 1 when the page is not requested
/// in the next phase; 1 in the last. Requires: pages ≥ 1.
[[nodiscard]] std::vector<std::uint8_t> phase_bits(const PageTrace& trace, std::uint32_t pages);

/// The bits with each one turned round with probability `rate`, independently.
[[nodiscard]] std::vector<std::uint8_t> with_errors(std::span<const std::uint8_t> bits, double rate,
                                                    std::uint64_t seed);

/// How many bits are wrong, by what they say.
struct WrongBits {
  std::uint64_t zeros = 0;  ///< eta0: 0 where 1 is right.
  std::uint64_t ones = 0;   ///< eta1: 1 where 0 is right.
};
[[nodiscard]] WrongBits wrong_bits(std::span<const std::uint8_t> bits, std::span<const std::uint8_t> right);

/// Which bits a policy is made for.
enum class BitKind { none, discard, phase };
[[nodiscard]] BitKind bit_kind(EvictionKind kind);

/// The paper's bound on the faults of a policy with these wrong bits (flush 1, k - 1, 1; Mark0 1, 2 H_k, 1;
/// Mark&Predict 2, H_k, 1 in front of optimum, zeros and ones), for LRU and marking the classical k and 2 H_k times the
/// optimum; an additive constant of `pages` comes on top. Means over seeds for the random ones. Nothing for guarded.
[[nodiscard]] std::optional<double> fault_bound(EvictionKind kind, std::uint32_t pages, double optimum,
                                                double wrong_zeros, double wrong_ones);

/// Faults of one policy with a cache of so many pages. `bits`: one for each request, or empty: all 0.
/// Requires: pages ≥ 1.
[[nodiscard]] std::uint64_t replay_once(const PageTrace& trace, std::span<const std::uint8_t> bits, EvictionKind kind,
                                        std::uint32_t pages, std::uint64_t seed);

struct ReplayOptions {
  std::vector<EvictionKind> kinds{kEvictionKinds.begin(), kEvictionKinds.end()};
  std::uint32_t pages = 32;  ///< The cache's size k.
  /// Share of the right bits that are turned round. Nothing: the trace's own bits, or the right ones if it has none.
  std::optional<double> errors = std::nullopt;
  std::uint32_t seeds = 8;  ///< Runs of each policy; errors and random choices differ.
  std::uint64_t seed = 1;
};

struct PolicyReplay {
  EvictionKind kind = EvictionKind::lru;
  std::vector<std::uint64_t> faults;  ///< [run]
  double wrong_zeros = 0;             ///< Mean over runs, against the bits of its kind.
  double wrong_ones = 0;              ///< The same.
  std::optional<double> bound = {};   ///< fault_bound() of the means.

  [[nodiscard]] double mean() const;
  [[nodiscard]] std::uint64_t least() const;
  [[nodiscard]] std::uint64_t most() const;
};

struct ReplayReport {
  std::uint64_t requests = 0;
  std::uint32_t distinct = 0;
  std::uint32_t pages = 0;
  bool recorded_bits = false;  ///< The trace's own were used.
  double errors = 0;           ///< Share of the right bits turned round; 0 with recorded ones.
  std::uint64_t optimum = 0;
  std::vector<PolicyReplay> policies;  ///< In the order of ReplayOptions::kinds.
};
/// Requires: pages ≥ 1, seeds ≥ 1, 0 ≤ errors ≤ 1.
[[nodiscard]] ReplayReport replay(const PageTrace& trace, const ReplayOptions& options);

}  // namespace plait::engine
