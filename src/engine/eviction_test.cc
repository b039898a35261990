// SPDX-License-Identifier: Apache-2.0
//
// Policies against the literature's rules, played literally: after every miss the victim must be one that the rules
// allow. Then long random lives with pins, against simple models. Faults and bounds: paging_replay_test.cc.
#include "engine/eviction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <vector>

#include "base/random.h"
#include "engine/page_trace.h"
#include "engine/paging_replay.h"

namespace plait::engine {
namespace {

using Pages = std::set<std::uint32_t>;

/// The state that the rules of the literature speak about.
struct Literal {
  Pages cache;
  Pages marked;    ///< Also pages that are no longer in the cache.
  Pages at_start;  ///< In the cache when the phase began.
  Pages given_up;  ///< Flush: what the literal rule would have thrown out at once.
  std::map<std::uint32_t, bool> done;

  [[nodiscard]] Pages in_cache(auto&& wanted) const {
    Pages found;
    for (const std::uint32_t page : cache) {
      if (wanted(page)) found.insert(page);
    }
    return found;
  }
  [[nodiscard]] Pages done_pages() const {
    return in_cache([&](std::uint32_t page) { return done.at(page); });
  }
  [[nodiscard]] Pages unmarked() const {
    return in_cache([&](std::uint32_t page) { return !marked.contains(page); });
  }
  void begin_phase() {
    marked.clear();
    at_start = cache;
  }
};

Pages allowed_marking(Literal& state) {
  if (state.unmarked().empty()) state.begin_phase();
  return state.unmarked();
}

Pages allowed_mark0(Literal& state, std::uint32_t requested) {
  if (Pages done = state.done_pages(); !done.empty()) return done;
  const auto unmarked_of_start = [&] {
    return state.in_cache([&](std::uint32_t p) { return state.at_start.contains(p) && !state.marked.contains(p); });
  };
  if (unmarked_of_start().empty()) state.begin_phase();
  const bool thrown_out = state.at_start.contains(requested) && !state.marked.contains(requested);
  return thrown_out ? unmarked_of_start() : state.unmarked();
}

Pages allowed_mark_predict(Literal& state) {
  if (state.unmarked().empty()) state.begin_phase();
  const Pages unmarked = state.unmarked();
  Pages done;
  for (const std::uint32_t page : unmarked) {
    if (state.done.at(page)) done.insert(page);
  }
  return done.empty() ? unmarked : done;
}

Pages allowed_flush(Literal& state) {
  const auto kept = state.in_cache([&](std::uint32_t page) { return !state.given_up.contains(page); });
  if (kept.size() < state.cache.size()) return state.given_up;  // the literal cache has room
  if (Pages done = state.done_pages(); !done.empty()) return done;
  state.given_up = state.cache;
  return state.given_up;
}

Pages allowed(EvictionKind kind, Literal& state, std::uint32_t requested) {
  switch (kind) {
    case EvictionKind::marking:
      return allowed_marking(state);
    case EvictionKind::mark0:
      return allowed_mark0(state, requested);
    case EvictionKind::mark_predict:
      return allowed_mark_predict(state);
    case EvictionKind::flush:
      return allowed_flush(state);
    default:
      return state.cache;
  }
}

void play_literally(EvictionKind kind, const PageTrace& trace, const std::vector<std::uint8_t>& bits, std::uint32_t k,
                    std::uint64_t seed) {
  const auto policy = make_eviction_policy(kind, {.slots = trace.distinct(), .seed = seed});
  Literal state;
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    const std::uint32_t page = trace.pages[i];
    const bool done = bits[i] != 0;
    if (state.cache.contains(page)) {
      policy->touch(PageKey(page), done);
    } else {
      if (state.cache.size() == k) {
        const Pages may_go = allowed(kind, state, page);
        const auto victim = policy->victim();
        ASSERT_TRUE(victim);
        ASSERT_TRUE(may_go.contains(victim->value())) << name(kind) << " seed " << seed << " request " << i;
        state.cache.erase(victim->value());
        state.given_up.erase(victim->value());
      }
      policy->insert(PageKey(page), ContentId(page), done);
      state.cache.insert(page);
    }
    state.marked.insert(page);
    state.given_up.erase(page);
    state.done[page] = done;
  }
}

// Half the bits at random, so that done and kept pages, early returns and phases of all lengths come up.
TEST(Eviction, VictimsAreThoseThatTheRulesAllow) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const std::uint32_t k = 1 + static_cast<std::uint32_t>(base::random_u64(seed, 1) % 9);
    const PageTrace trace = zipf_trace(600, k + 1 + static_cast<std::uint32_t>(seed % 12), 0.5, seed);
    const double rate = std::array{0.5, 0.1, 0.02, 0.0}[seed % 4];
    const auto bits = with_errors(std::vector<std::uint8_t>(trace.pages.size(), 0), rate, seed + 1000);
    for (const EvictionKind kind :
         {EvictionKind::marking, EvictionKind::mark0, EvictionKind::mark_predict, EvictionKind::flush}) {
      play_literally(kind, trace, bits, k, seed);
      if (HasFatalFailure()) return;
    }
  }
}

void load(EvictionPolicy& policy, std::initializer_list<std::uint32_t> pages, bool done = false) {
  for (const std::uint32_t page : pages) policy.insert(PageKey(page), ContentId(page), done);
}

// The page whose miss began the phase is marked in it: with two places the next miss must take the other one. A policy
// that marks before it tests the phase loses the mark and takes either.
TEST(Eviction, ThePageThatBeginsAPhaseIsMarkedInIt) {
  for (const EvictionKind kind : {EvictionKind::marking, EvictionKind::mark0, EvictionKind::mark_predict}) {
    for (std::uint64_t seed = 0; seed < 64; ++seed) {
      const auto policy = make_eviction_policy(kind, {.slots = 4, .seed = seed});
      load(*policy, {0, 1});
      const auto first = policy->victim();
      load(*policy, {2});
      EXPECT_EQ(policy->victim(), PageKey(1 - first->value())) << name(kind) << seed;
    }
  }
}

// A page thrown out returns in the same phase, is marked, and outlives those of the phase's start.
TEST(Eviction, Mark0KeepsAPageThatReturnsInItsPhase) {
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    const auto policy = make_eviction_policy(EvictionKind::mark0, {.slots = 8, .seed = seed});
    load(*policy, {0, 1, 2});
    const auto thrown_out = policy->victim();
    load(*policy, {3});
    const auto second = policy->victim();
    load(*policy, {thrown_out->value()});
    const auto third = policy->victim();
    EXPECT_EQ((Pages{thrown_out->value(), second->value(), third->value()}), (Pages{0, 1, 2}));
    load(*policy, {4});  // the phase is over: 3, 4 and the page that returned are here, any may go now
    EXPECT_TRUE(policy->holds(*thrown_out) && policy->holds(PageKey(3)) && policy->holds(PageKey(4)));
  }
}

TEST(Eviction, ADonePageStaysUntilRoomIsNeeded) {
  for (const EvictionKind kind : {EvictionKind::flush, EvictionKind::mark0, EvictionKind::mark_predict}) {
    const auto policy = make_eviction_policy(kind, {.slots = 4, .seed = 3});
    load(*policy, {0, 1, 2});
    ASSERT_TRUE(policy->victim());  // a phase begins, so that pages are unmarked
    const std::uint32_t page = policy->holds(PageKey(0)) ? 0 : 1;
    policy->set_done(PageKey(page), true);
    EXPECT_TRUE(policy->holds(PageKey(page)));
    EXPECT_EQ(policy->size(), 2U);
    if (kind != EvictionKind::flush) {  // flush gives up what is left of its old cache first
      EXPECT_EQ(policy->victim(), PageKey(page)) << name(kind);
    }
  }
}

TEST(Eviction, AHitRenewsTheBit) {
  for (const EvictionKind kind : {EvictionKind::flush, EvictionKind::mark0}) {
    const auto policy = make_eviction_policy(kind, {.slots = 3, .seed = 1});
    load(*policy, {0, 1}, true);
    policy->touch(PageKey(0), false);
    EXPECT_EQ(policy->victim(), PageKey(1)) << name(kind);
  }
}

TEST(Eviction, RandomVictimsAreUniform) {
  constexpr std::uint32_t kPages = 8;
  constexpr int kRuns = 8000;
  for (const EvictionKind kind : {EvictionKind::marking, EvictionKind::mark0, EvictionKind::mark_predict}) {
    std::array<int, kPages> count{};
    for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
      const auto policy = make_eviction_policy(kind, {.slots = kPages, .seed = seed});
      load(*policy, {0, 1, 2, 3, 4, 5, 6, 7});
      ++count[policy->victim()->value()];
    }
    for (const int n : count) EXPECT_NEAR(n, kRuns / kPages, 150) << name(kind);  // 5 standard deviations
  }
}

TEST(Eviction, SeedsRepeat) {
  for (const EvictionKind kind : kEvictionKinds) {
    const PageTrace trace = zipf_trace(2000, 60, 0.8, 5);
    const auto bits = with_errors(std::vector<std::uint8_t>(trace.pages.size(), 0), 0.3, 1);
    EXPECT_EQ(replay_once(trace, bits, kind, 16, 7), replay_once(trace, bits, kind, 16, 7)) << name(kind);
  }
}

/// One random life: what happened to every slot, kept in the simplest way.
struct Life {
  struct Page {
    std::uint64_t time = 0;
    bool evictable = true;
  };
  std::map<std::uint32_t, Page> held;
  std::uint64_t now = 0;

  [[nodiscard]] std::optional<PageKey> least_recent_evictable() const {
    std::optional<PageKey> best;
    for (const auto& [page, state] : held) {
      if (state.evictable && (!best || state.time < held.at(best->value()).time)) best = PageKey(page);
    }
    return best;
  }
};

/// One random call on both; `is_lru`: the victim must be the model's.
void live_one_step(EvictionPolicy& policy, Life& life, std::uint64_t random, std::uint32_t slots, bool is_lru) {
  const auto page = static_cast<std::uint32_t>((random >> 8U) % slots);
  const bool flag = ((random >> 40U) & 1U) != 0;
  const ContentId content((random >> 48U) % (2 * slots));  // so that contents come back, and sometimes double
  const auto at = life.held.find(page);
  if (at == life.held.end()) {
    policy.insert(PageKey(page), content, flag);
    life.held[page] = {.time = ++life.now, .evictable = true};
  } else if (random % 16 < 6) {
    policy.touch(PageKey(page), flag);
    at->second.time = ++life.now;
  } else if (random % 16 < 10) {
    policy.set_evictable(PageKey(page), flag);
    at->second.evictable = flag;
  } else if (random % 16 < 11) {
    policy.set_done(PageKey(page), flag);
  } else if (random % 16 < 12) {
    policy.erase(PageKey(page));
    life.held.erase(at);
  } else if (random % 16 < 13) {
    policy.set_capacity(1 + page);
  } else {
    const auto expected = life.least_recent_evictable();
    const auto victim = policy.victim();
    ASSERT_EQ(victim.has_value(), expected.has_value());
    if (!victim) return;
    ASSERT_TRUE(life.held.contains(victim->value()));
    ASSERT_TRUE(life.held[victim->value()].evictable);
    ASSERT_TRUE(!is_lru || *victim == *expected);
    life.held.erase(victim->value());
  }
  ASSERT_EQ(policy.size(), life.held.size());
}

TEST(Eviction, PinnedPagesStayAndLruIsLru) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto slots = static_cast<std::uint32_t>(1 + base::random_u64(seed, 0) % 40);
    for (const EvictionKind kind : kEvictionKinds) {
      for (const EvictionKind guarded : {EvictionKind::mark0, EvictionKind::flush}) {
        if (kind != EvictionKind::guarded && guarded == EvictionKind::flush) continue;
        const auto policy = make_eviction_policy(kind, {.slots = slots, .seed = seed, .guarded = guarded});
        Life life;
        for (std::uint64_t i = 0; i < 3000; ++i) {
          live_one_step(*policy, life, base::random_u64(seed + 77, i), slots, kind == EvictionKind::lru);
          if (HasFatalFailure()) FAIL() << name(kind) << " seed " << seed << " step " << i;
        }
        for (std::uint32_t page = 0; page < slots; ++page) {
          EXPECT_EQ(policy->holds(PageKey(page)), life.held.contains(page));
        }
      }
    }
  }
}

// A chain of pages, each the parent of the next: only its end may go.
TEST(Eviction, ATreeLeavesFromItsLeaves) {
  for (const EvictionKind kind : kEvictionKinds) {
    const auto policy = make_eviction_policy(kind, {.slots = 50, .seed = 9});
    for (std::uint32_t page = 0; page < 50; ++page) {
      load(*policy, {page});
      if (page > 0) policy->set_evictable(PageKey(page - 1), false);
    }
    for (std::uint32_t page = 50; page-- > 0;) {
      ASSERT_EQ(policy->victim(), PageKey(page)) << name(kind);
      if (page > 0) policy->set_evictable(PageKey(page - 1), true);
    }
    EXPECT_EQ(policy->victim(), std::nullopt);
  }
}

// Two branches of one tree, used one after the other: LRU takes the whole older branch before the newer one, although
// its inner pages become evictable later than the newer branch's leaf.
TEST(Eviction, LruTakesTheOlderBranchToItsRoot) {
  const auto policy = make_eviction_policy(EvictionKind::lru, {.slots = 6});
  load(*policy, {0, 1, 2, 3, 4, 5});  // 0-1-2 and 3-4-5
  for (const std::uint32_t inner : {0U, 1U, 3U, 4U}) policy->set_evictable(PageKey(inner), false);
  std::vector<std::uint32_t> order;
  while (const auto page = policy->victim()) {
    order.push_back(page->value());
    if (page->value() % 3 > 0) policy->set_evictable(PageKey(page->value() - 1), true);
  }
  EXPECT_EQ(order, (std::vector<std::uint32_t>{2, 1, 0, 5, 4, 3}));
}

TEST(Eviction, GuardedIsLruUntilAHint) {
  const PageTrace trace = zipf_trace(3000, 100, 0.9, 4);
  EXPECT_EQ(replay_once(trace, {}, EvictionKind::guarded, 16, 1), replay_once(trace, {}, EvictionKind::lru, 16, 1));
}

TEST(Eviction, GuardedKnowsContentThatComesBackElsewhere) {
  // Slots are given to the next content that comes, and every bit lies: only who remembers contents sees that LRU would
  // do better.
  const auto policy = make_eviction_policy(EvictionKind::guarded, {.slots = 8, .seed = 1, .guard_slack = 1});
  const PageTrace trace = zipf_trace(4000, 40, 1.0, 2);
  const auto right = offline_optimum(trace, 8).discard;
  std::map<std::uint32_t, PageKey> where;
  for (std::size_t i = 0; i < trace.pages.size(); ++i) {
    const bool lie = right[i] == 0;
    if (const auto at = where.find(trace.pages[i]); at != where.end()) {
      policy->touch(at->second, lie);
      continue;
    }
    PageKey slot(static_cast<std::uint32_t>(where.size()));
    if (where.size() == 8) {
      slot = policy->victim().value();
      std::erase_if(where, [&](const auto& entry) { return entry.second == slot; });
    }
    policy->insert(slot, ContentId(trace.pages[i]), lie);
    where[trace.pages[i]] = slot;
  }
  EXPECT_TRUE(policy->counters().lru_leads);
  EXPECT_EQ(policy->counters().leader_changes, 1U);
}

TEST(Eviction, NamesComeBack) {
  for (const EvictionKind kind : kEvictionKinds) EXPECT_EQ(eviction_kind(name(kind)), kind);
  EXPECT_EQ(eviction_kind("fifo"), std::nullopt);
}

}  // namespace
}  // namespace plait::engine
