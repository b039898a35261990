// SPDX-License-Identifier: Apache-2.0
#include "engine/paging_replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <list>
#include <map>
#include <set>
#include <string>

#include "base/random.h"

namespace plait::engine {
namespace {

struct NamedTrace {
  std::string name;
  PageTrace trace;
  std::uint32_t pages;
};

/// Traces of all shapes with caches that are too small for them.
std::vector<NamedTrace> traces(std::size_t requests, std::uint64_t seed) {
  std::vector<NamedTrace> all;
  for (const std::uint32_t k : {8U, 32U}) {
    all.push_back({"session", session_trace({.requests = requests, .seed = seed}), k});
    all.push_back({"zipf", zipf_trace(requests, 3 * k + 4, 0.8, seed), k});
    all.push_back({"loop", loop_trace(requests, k + k / 4), k});
  }
  for (const std::uint32_t k : {1U, 2U, 3U, 5U}) {
    all.push_back({"uniform", zipf_trace(requests / 4, k + 2, 0, seed + k), k});
    all.push_back({"steep", zipf_trace(requests / 4, 4 * k, 1.3, seed + k), k});
  }
  return all;
}

/// The least faults that any choice of victims gives, by trying all.
std::uint64_t least_faults(const PageTrace& trace, std::uint32_t k) {
  std::map<std::set<std::uint32_t>, std::uint64_t> best{{{}, 0}};
  for (const std::uint32_t page : trace.pages) {
    std::map<std::set<std::uint32_t>, std::uint64_t> next;
    const auto reach = [&](const std::set<std::uint32_t>& cache, std::uint64_t faults) {
      const auto [at, is_new] = next.emplace(cache, faults);
      if (!is_new) at->second = std::min(at->second, faults);
    };
    for (const auto& [cache, faults] : best) {
      std::set<std::uint32_t> with = cache;
      if (!with.insert(page).second) {
        reach(cache, faults);
      } else if (with.size() <= k) {
        reach(with, faults + 1);
      } else {
        for (const std::uint32_t victim : cache) {
          std::set<std::uint32_t> without = with;
          without.erase(victim);
          reach(without, faults + 1);
        }
      }
    }
    best = std::move(next);
  }
  std::uint64_t least = std::numeric_limits<std::uint64_t>::max();
  for (const auto& [cache, faults] : best) least = std::min(least, faults);
  return least;
}

TEST(PagingReplay, TheOptimumIsTheLeastOfAllChoices) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto k = static_cast<std::uint32_t>(1 + seed % 4);
    const PageTrace trace = zipf_trace(60, k + 2 + static_cast<std::uint32_t>(seed % 3), 0.4, seed);
    EXPECT_EQ(offline_optimum(trace, k).faults, least_faults(trace, k)) << seed;
  }
}

// Belady's rule by hand, ties included: never used again counts as farthest, and of those the larger number goes.
TEST(PagingReplay, DiscardBitsOfASmallTrace) {
  const PageTrace trace = page_trace({0, 1, 2, 0, 3, 0});
  const OfflineOptimum best = offline_optimum(trace, 2);
  EXPECT_EQ(best.faults, 4U);
  EXPECT_EQ(best.discard, (std::vector<std::uint8_t>{0, 1, 1, 0, 0, 0}));
}

TEST(PagingReplay, PhaseBitsOfASmallTrace) {
  // Phases for two pages: 0 1 0 | 2 1 | 3 3 0 | 1
  const PageTrace trace = page_trace({0, 1, 0, 2, 1, 3, 3, 0, 1});
  EXPECT_EQ(phase_bits(trace, 2), (std::vector<std::uint8_t>{1, 0, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(phase_bits(page_trace({0, 1, 2, 0, 2, 1}), 1), (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(phase_bits(page_trace({0, 1, 2, 0, 1, 2}), 2), (std::vector<std::uint8_t>{0, 1, 0, 1, 1, 1}));
}

TEST(PagingReplay, ErrorsTurnTheirShareRound) {
  const std::vector<std::uint8_t> bits(20000, 1);
  EXPECT_EQ(with_errors(bits, 0, 1), bits);
  EXPECT_EQ(wrong_bits(with_errors(bits, 1, 1), bits).zeros, bits.size());
  const WrongBits wrong = wrong_bits(with_errors(bits, 0.2, 1), bits);
  EXPECT_NEAR(static_cast<double>(wrong.zeros), 4000, 300);
  EXPECT_EQ(wrong.ones, 0U);
}

TEST(PagingReplay, RightBitsGiveTheOptimum) {
  int cases = 0;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    for (const NamedTrace& test : traces(4000, seed)) {
      const OfflineOptimum best = offline_optimum(test.trace, test.pages);
      for (const EvictionKind kind : {EvictionKind::flush, EvictionKind::mark0}) {
        EXPECT_EQ(replay_once(test.trace, best.discard, kind, test.pages, seed), best.faults)
            << name(kind) << ' ' << test.name << ' ' << test.pages << ' ' << seed;
        ++cases;
      }
    }
  }
  EXPECT_GE(cases, 200);
}

/// Means over the runs of one trace with one rate of errors.
struct Means {
  double faults = 0;
  double wrong_zeros = 0;
  double wrong_ones = 0;
};

TEST(PagingReplay, FlushNeverPassesItsBound) {
  int cases = 0;
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    for (const NamedTrace& test : traces(2000, seed)) {
      const OfflineOptimum best = offline_optimum(test.trace, test.pages);
      for (const double rate : {0.0, 0.05, 0.2, 0.5, 1.0}) {
        const auto bits = with_errors(best.discard, rate, seed + 500);
        const WrongBits wrong = wrong_bits(bits, best.discard);
        const auto faults = static_cast<double>(replay_once(test.trace, bits, EvictionKind::flush, test.pages, seed));
        const double bound = *fault_bound(EvictionKind::flush, test.pages, static_cast<double>(best.faults),
                                          static_cast<double>(wrong.zeros), static_cast<double>(wrong.ones));
        EXPECT_LE(faults, bound + test.pages) << test.name << ' ' << test.pages << ' ' << seed << ' ' << rate;
        ++cases;
      }
    }
  }
  EXPECT_GE(cases, 1000);
}

TEST(PagingReplay, RandomPoliciesKeepTheirBoundsInTheMean) {
  constexpr std::uint32_t kSeeds = 16;
  int cases = 0;
  for (const NamedTrace& test : traces(2000, 3)) {
    for (const double rate : {0.0, 0.05, 0.2, 0.5, 1.0}) {
      const ReplayReport report =
          replay(test.trace, {.kinds = {EvictionKind::mark0, EvictionKind::mark_predict, EvictionKind::marking},
                              .pages = test.pages,
                              .errors = rate,
                              .seeds = kSeeds,
                              .seed = 11});
      for (const PolicyReplay& policy : report.policies) {
        EXPECT_LE(policy.mean(), *policy.bound + test.pages) << name(policy.kind) << ' ' << test.name << ' ' << rate;
        cases += static_cast<int>(kSeeds);
      }
    }
  }
  EXPECT_GE(cases, 1000);
}

/// The flush rule as the paper has it, which empties the cache at once.
std::uint64_t eager_flush(const PageTrace& trace, const std::vector<std::uint8_t>& bits, std::uint32_t k) {
  std::map<std::uint32_t, bool> cache;
  std::list<std::uint32_t> order;  // least recent first, as ours chooses among done pages
  std::uint64_t faults = 0;
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    const std::uint32_t page = trace.pages[i];
    if (!cache.contains(page)) {
      ++faults;
      if (cache.size() == k) {
        const auto done = std::ranges::find_if(order, [&](std::uint32_t p) { return cache.at(p); });
        if (done == order.end()) {
          cache.clear();
          order.clear();
        } else {
          cache.erase(*done);
          order.erase(done);
        }
      }
    }
    cache[page] = bits[i] != 0;
    order.remove(page);
    order.push_back(page);
  }
  return faults;
}

TEST(PagingReplay, FlushInPiecesNeverHasMoreFaultsThanAtOnce) {
  std::uint64_t saved = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    for (const NamedTrace& test : traces(2000, seed)) {
      const OfflineOptimum best = offline_optimum(test.trace, test.pages);
      for (const double rate : {0.05, 0.5, 1.0}) {
        const auto bits = with_errors(best.discard, rate, seed);
        const std::uint64_t at_once = eager_flush(test.trace, bits, test.pages);
        const std::uint64_t in_pieces = replay_once(test.trace, bits, EvictionKind::flush, test.pages, seed);
        EXPECT_LE(in_pieces, at_once) << test.name << ' ' << test.pages << ' ' << seed << ' ' << rate;
        saved += at_once - in_pieces;
      }
    }
  }
  EXPECT_GT(saved, 0U);
}

std::uint64_t simple_lru(const PageTrace& trace, std::uint32_t k) {
  std::list<std::uint32_t> cache;
  std::uint64_t faults = 0;
  for (const std::uint32_t page : trace.pages) {
    if (const auto at = std::ranges::find(cache, page); at != cache.end()) {
      cache.erase(at);
    } else {
      ++faults;
      if (cache.size() == k) cache.pop_front();
    }
    cache.push_back(page);
  }
  return faults;
}

TEST(PagingReplay, LruEqualsASimpleOne) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (const NamedTrace& test : traces(4000, seed)) {
      EXPECT_EQ(replay_once(test.trace, {}, EvictionKind::lru, test.pages, 0), simple_lru(test.trace, test.pages));
    }
  }
}

TEST(PagingReplay, GuardedStaysNearLruWhenEveryBitLies) {
  for (const NamedTrace& test : traces(4000, 2)) {
    if (test.pages < 8) continue;
    const ReplayReport report =
        replay(test.trace, {.kinds = {EvictionKind::lru, EvictionKind::guarded}, .pages = test.pages, .errors = 1.0});
    EXPECT_LE(report.policies[1].mean(), 1.15 * report.policies[0].mean()) << test.name << ' ' << test.pages;
  }
}

TEST(PagingReplay, RecordedBitsAreUsedUnlessErrorsAreAskedFor) {
  PageTrace trace = zipf_trace(1000, 60, 0.8, 1);
  trace.bits = offline_optimum(trace, 16).discard;
  for (std::uint8_t& bit : trace.bits) bit = 1 - bit;
  const ReplayReport lies = replay(trace, {.kinds = {EvictionKind::mark0}, .pages = 16});
  EXPECT_TRUE(lies.recorded_bits);
  EXPECT_GT(lies.policies[0].least(), lies.optimum);
  EXPECT_EQ(lies.policies[0].wrong_zeros + lies.policies[0].wrong_ones, 1000);
  const ReplayReport right = replay(trace, {.kinds = {EvictionKind::mark0}, .pages = 16, .errors = 0.0});
  EXPECT_FALSE(right.recorded_bits);
  EXPECT_EQ(right.policies[0].most(), right.optimum);
}

TEST(PagingReplay, ACacheForEverythingFaultsOncePerPage) {
  const PageTrace trace = zipf_trace(500, 20, 0.5, 1);
  for (const PolicyReplay& policy : replay(trace, {.pages = 1000, .seeds = 1}).policies) {
    EXPECT_EQ(policy.faults[0], trace.distinct()) << name(policy.kind);
  }
}

}  // namespace
}  // namespace plait::engine
