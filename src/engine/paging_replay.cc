// SPDX-License-Identifier: Apache-2.0
#include "engine/paging_replay.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::engine {
namespace {

/// [request]: when its page is requested next; the trace's length for never.
std::vector<std::uint32_t> next_uses(const PageTrace& trace) {
  const auto never = static_cast<std::uint32_t>(trace.pages.size());
  std::vector<std::uint32_t> upcoming(trace.distinct(), never);
  std::vector<std::uint32_t> next(trace.pages.size());
  for (std::size_t i = trace.pages.size(); i-- > 0;) {
    next[i] = upcoming[trace.pages[i]];
    upcoming[trace.pages[i]] = static_cast<std::uint32_t>(i);
  }
  return next;
}

/// [request]: the number of its phase.
std::vector<std::uint32_t> phases(const PageTrace& trace, std::uint32_t pages) {
  constexpr std::uint32_t kNone = 0xffffffffU;
  std::vector<std::uint32_t> seen_in(trace.distinct(), kNone);
  std::vector<std::uint32_t> phase(trace.pages.size());
  std::uint32_t current = 0;
  std::uint32_t seen = 0;
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    std::uint32_t& last = seen_in[trace.pages[i]];
    if (last != current) {
      if (seen == pages) {
        ++current;
        seen = 0;
      }
      last = current;
      ++seen;
    }
    phase[i] = current;
  }
  return phase;
}

double harmonic(std::uint32_t k) {
  double sum = 0;
  for (std::uint32_t i = 1; i <= k; ++i) sum += 1.0 / i;
  return sum;
}

/// The right bits of a trace, of both kinds.
struct RightBits {
  std::vector<std::uint8_t> discard;
  std::vector<std::uint8_t> phase;
  [[nodiscard]] std::span<const std::uint8_t> of(EvictionKind kind) const {
    return bit_kind(kind) == BitKind::phase ? phase : discard;
  }
};

PolicyReplay replay_policy(const PageTrace& trace, const ReplayOptions& options, const RightBits& right,
                           EvictionKind kind, bool recorded, double optimum) {
  PolicyReplay result{.kind = kind, .faults = {}};
  for (std::uint32_t run = 0; run < options.seeds; ++run) {
    const std::uint64_t seed = base::child_seed(options.seed, run);
    const std::span<const std::uint8_t> correct = right.of(kind);
    const std::vector<std::uint8_t> bits =
        recorded ? trace.bits : with_errors(correct, options.errors.value_or(0), base::child_seed(seed, 1));
    result.faults.push_back(replay_once(trace, bits, kind, options.pages, base::child_seed(seed, 2)));
    if (bit_kind(kind) == BitKind::none) continue;
    const WrongBits wrong = wrong_bits(bits, correct);
    result.wrong_zeros += static_cast<double>(wrong.zeros) / options.seeds;
    result.wrong_ones += static_cast<double>(wrong.ones) / options.seeds;
  }
  result.bound = fault_bound(kind, options.pages, optimum, result.wrong_zeros, result.wrong_ones);
  return result;
}

}  // namespace

OfflineOptimum offline_optimum(const PageTrace& trace, std::uint32_t pages) {
  PLAIT_CHECK(pages >= 1);
  const std::vector<std::uint32_t> next = next_uses(trace);
  OfflineOptimum result{.faults = 0, .discard = std::vector<std::uint8_t>(trace.pages.size(), 0)};
  std::set<std::pair<std::uint32_t, std::uint32_t>> cache;  // (next use, page)
  std::vector<std::size_t> last(trace.distinct());          // [page]: its last request
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    const std::uint32_t page = trace.pages[i];
    if (cache.erase({static_cast<std::uint32_t>(i), page}) == 0) {
      ++result.faults;
      if (cache.size() == pages) {
        const auto farthest = std::prev(cache.end());
        result.discard[last[farthest->second]] = 1;
        cache.erase(farthest);
      }
    }
    cache.emplace(next[i], page);
    last[page] = i;
  }
  return result;
}

std::vector<std::uint8_t> phase_bits(const PageTrace& trace, std::uint32_t pages) {
  PLAIT_CHECK(pages >= 1);
  const std::vector<std::uint32_t> phase = phases(trace, pages);
  std::vector<std::uint8_t> bits(trace.pages.size(), 1);
  // [page]: the first phase after the one at hand in which it is requested, and that one; walking backwards.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> seen(trace.distinct(), {0xffffffffU, 0xffffffffU});
  for (std::size_t i = trace.pages.size(); i-- > 0;) {
    auto& [here, later] = seen[trace.pages[i]];
    if (here != phase[i]) later = std::exchange(here, phase[i]);
    bits[i] = later == phase[i] + 1 ? 0 : 1;
  }
  return bits;
}

std::vector<std::uint8_t> with_errors(std::span<const std::uint8_t> bits, double rate, std::uint64_t seed) {
  std::vector<std::uint8_t> result(bits.begin(), bits.end());
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (base::random_unit(seed, i) < rate) result[i] = result[i] == 0 ? 1 : 0;
  }
  return result;
}

WrongBits wrong_bits(std::span<const std::uint8_t> bits, std::span<const std::uint8_t> right) {
  PLAIT_CHECK(bits.size() == right.size(), bits.size(), right.size());
  WrongBits wrong;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    wrong.zeros += bits[i] == 0 && right[i] != 0 ? 1U : 0U;
    wrong.ones += bits[i] != 0 && right[i] == 0 ? 1U : 0U;
  }
  return wrong;
}

BitKind bit_kind(EvictionKind kind) {
  switch (kind) {
    case EvictionKind::lru:
    case EvictionKind::marking:
      return BitKind::none;
    case EvictionKind::mark_predict:
      return BitKind::phase;
    case EvictionKind::flush:
    case EvictionKind::mark0:
    case EvictionKind::guarded:
      return BitKind::discard;
  }
  return BitKind::none;
}

std::optional<double> fault_bound(EvictionKind kind, std::uint32_t pages, double optimum, double wrong_zeros,
                                  double wrong_ones) {
  const double h = harmonic(pages);
  switch (kind) {
    case EvictionKind::lru:
      return pages * optimum;
    case EvictionKind::marking:
      return 2 * h * optimum;
    case EvictionKind::flush:
      return optimum + (pages - 1.0) * wrong_zeros + wrong_ones;
    case EvictionKind::mark0:
      return optimum + 2 * h * wrong_zeros + wrong_ones;
    case EvictionKind::mark_predict:
      return 2 * optimum + h * wrong_zeros + wrong_ones;
    case EvictionKind::guarded:
      return std::nullopt;
  }
  return std::nullopt;
}

std::uint64_t replay_once(const PageTrace& trace, std::span<const std::uint8_t> bits, EvictionKind kind,
                          std::uint32_t pages, std::uint64_t seed) {
  PLAIT_CHECK(pages >= 1 && (bits.empty() || bits.size() == trace.pages.size()), pages, bits.size());
  if (trace.pages.empty()) return 0;
  // A slot for each page of the trace, so that a page needs no other name; only `pages` of them are in use at a time.
  const std::uint32_t slots = trace.distinct();
  const auto policy = make_eviction_policy(kind, {.slots = slots, .capacity = std::min(pages, slots), .seed = seed});
  std::uint64_t faults = 0;
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    const PageKey page(trace.pages[i]);
    const bool done = !bits.empty() && bits[i] != 0;
    if (policy->holds(page)) {
      policy->touch(page, done);
      continue;
    }
    ++faults;
    if (policy->size() == pages) PLAIT_CHECK(policy->victim().has_value());
    policy->insert(page, ContentId(page.value()), done);
  }
  return faults;
}

double PolicyReplay::mean() const {
  return static_cast<double>(std::accumulate(faults.begin(), faults.end(), std::uint64_t{0})) /
         static_cast<double>(faults.size());
}
std::uint64_t PolicyReplay::least() const { return *std::ranges::min_element(faults); }
std::uint64_t PolicyReplay::most() const { return *std::ranges::max_element(faults); }

ReplayReport replay(const PageTrace& trace, const ReplayOptions& options) {
  PLAIT_CHECK(options.seeds >= 1 && options.pages >= 1, options.seeds, options.pages);
  OfflineOptimum best = offline_optimum(trace, options.pages);
  const RightBits right{std::move(best.discard), phase_bits(trace, options.pages)};
  const bool recorded = !options.errors && !trace.bits.empty();
  ReplayReport report{.requests = trace.pages.size(),
                      .distinct = trace.distinct(),
                      .pages = options.pages,
                      .recorded_bits = recorded,
                      .errors = options.errors.value_or(0),
                      .optimum = best.faults,
                      .policies = {}};
  for (const EvictionKind kind : options.kinds) {
    report.policies.push_back(replay_policy(trace, options, right, kind, recorded, static_cast<double>(best.faults)));
  }
  return report;
}

}  // namespace plait::engine
