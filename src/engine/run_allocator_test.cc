// SPDX-License-Identifier: Apache-2.0
#include "engine/run_allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <map>

#include "base/random.h"

namespace plait::engine {
namespace {

using Pages = std::vector<std::uint32_t>;

Pages pages_of(const std::vector<PageRun>& runs) {
  Pages pages;
  for (const PageRun& run : runs) {
    for (std::uint32_t page = run.first; page < run.end(); ++page) pages.push_back(page);
  }
  return pages;
}

Pages used_pages(const RunAllocator& pool, RunAllocator::Owner owner) {
  std::vector<PageRun> runs;
  for (const OwnedRun& run : pool.runs(owner)) runs.push_back({run.first, run.used});
  return pages_of(runs);
}

std::vector<OwnedRun> runs_of(const RunAllocator& pool, RunAllocator::Owner owner) {
  return {pool.runs(owner).begin(), pool.runs(owner).end()};
}

// Random numbers in a row.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(base::random_u64(seed_, counter_++) % n); }

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

TEST(FreeRuns, TakesTheBestFitThenTheLongest) {
  FreeRuns free(100);
  ASSERT_EQ(free.take(100, 1), (std::vector<PageRun>{{0, 100}}));
  free.give_back({10, 5});
  free.give_back({30, 8});
  free.give_back({50, 5});
  EXPECT_EQ(free.take_run(4), (PageRun{10, 4}));   // the first of the two that fit best
  EXPECT_EQ(free.take_run(6), (PageRun{30, 6}));   // only the longest is enough
  EXPECT_EQ(free.take_run(50), (PageRun{50, 5}));  // none is enough: the longest, whole
  EXPECT_EQ(free.take_run(50), (PageRun{36, 2}));
  EXPECT_EQ(free.take_run(1), (PageRun{14, 1}));
  EXPECT_EQ(free.take_run(1), std::nullopt);
}

TEST(FreeRuns, TakeIsAllOrNothingAndMayGiveAReserve) {
  FreeRuns free(20);
  EXPECT_EQ(free.take(3, 8), (std::vector<PageRun>{{0, 8}}));
  EXPECT_EQ(free.take(13, 1), std::nullopt);
  EXPECT_EQ(free.free_pages(), 12U);
  free.give_back({2, 2});
  EXPECT_EQ(free.take(14, 1), (std::vector<PageRun>{{8, 12}, {2, 2}}));
  EXPECT_EQ(free.take(0, 1), std::vector<PageRun>{});
  EXPECT_EQ(FreeRuns(0).take(1, 1), std::nullopt);
}

// A plain map of bits says which pages are free; runs must be its longest stretches.
TEST(FreeRuns, AgreesWithABitmap) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Draws draws(seed);
    const std::uint32_t pages = 1 + draws.below(200);
    FreeRuns free(pages);
    std::vector<bool> is_free(pages, true);
    std::vector<PageRun> held;
    for (int step = 0; step < 400; ++step) {
      if (draws.below(2) == 0) {
        const std::uint32_t wanted = draws.below(30);
        const std::uint32_t group = 1 + draws.below(20);
        const auto before = static_cast<std::uint32_t>(std::count(is_free.begin(), is_free.end(), true));
        const auto taken = free.take(wanted, group);
        ASSERT_EQ(taken.has_value(), wanted <= before);
        if (!taken) continue;
        const Pages got = pages_of(*taken);
        ASSERT_GE(got.size(), wanted);
        ASSERT_LE(got.size(), std::max(wanted, wanted + group));
        for (const std::uint32_t page : got) {
          ASSERT_TRUE(is_free[page]);
          is_free[page] = false;
        }
        held.insert(held.end(), taken->begin(), taken->end());
      } else if (!held.empty()) {
        // A part of a run goes back; what is left of it stays held in up to two pieces.
        const std::size_t chosen = draws.below(static_cast<std::uint32_t>(held.size()));
        const PageRun run = held[chosen];
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(chosen));
        const std::uint32_t skip = draws.below(run.length);
        const PageRun part{run.first + skip, 1 + draws.below(run.length - skip)};
        free.give_back(part);
        for (std::uint32_t page = part.first; page < part.end(); ++page) is_free[page] = true;
        if (skip > 0) held.push_back({run.first, skip});
        if (part.end() < run.end()) held.push_back({part.end(), run.end() - part.end()});
      }
      std::map<std::uint32_t, std::uint32_t> expected;
      for (std::uint32_t page = 0; page < pages; ++page) {
        if (!is_free[page]) continue;
        const std::uint32_t first = page;
        while (page + 1 < pages && is_free[page + 1]) ++page;
        expected[first] = page + 1 - first;
      }
      ASSERT_EQ(free.runs(), expected) << "seed " << seed << ", step " << step;
    }
  }
}

TEST(FreeRunsDeathTest, RefusesAPageThatIsFreeAlready) {
  FreeRuns free(10);
  ASSERT_TRUE(free.take(5, 1));
  EXPECT_DEATH(free.give_back({4, 2}), "run");
  EXPECT_DEATH(free.give_back({7, 1}), "run");
  EXPECT_DEATH(free.give_back({9, 2}), "run");
}

TEST(RunAllocator, UsesTheReserveFirst) {
  RunAllocator pool(100, 10);
  EXPECT_EQ(pool.grow(1, 3), (std::vector<PageRun>{{0, 3}}));
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{0, 10, 3}}));
  EXPECT_EQ(pool.grow(2, 1), (std::vector<PageRun>{{10, 1}}));
  EXPECT_EQ(pool.grow(1, 9), (std::vector<PageRun>{{3, 7}, {20, 2}}));
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{0, 10, 10}, {20, 10, 2}}));
  EXPECT_EQ(pool.grow(1, 25), (std::vector<PageRun>{{22, 25}}));  // touches the last run: one run
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{0, 10, 10}, {20, 27, 27}}));
  EXPECT_EQ(pool.used_pages(1), 37U);
}

TEST(RunAllocator, TakesTheLongestReserveWhenNothingIsFree) {
  RunAllocator pool(30, 10);
  ASSERT_TRUE(pool.grow(1, 4));
  ASSERT_TRUE(pool.grow(2, 1));
  ASSERT_TRUE(pool.grow(3, 1));
  EXPECT_EQ(pool.free_runs().free_pages(), 0U);
  EXPECT_EQ(pool.available(), 24U);
  EXPECT_EQ(pool.grow(4, 5), (std::vector<PageRun>{{15, 5}}));  // the end of owner 2's, who is before owner 3
  EXPECT_EQ(runs_of(pool, 2), (std::vector<OwnedRun>{{10, 5, 1}}));
  EXPECT_EQ(pool.grow(4, 15), (std::vector<PageRun>{{21, 9}, {4, 6}}));
  EXPECT_EQ(pool.grow(4, 5).error().code, base::ErrorCode::out_of_resources);
  EXPECT_EQ(pool.used_pages(4), 20U);
  EXPECT_EQ(pool.grow(1, 4), (std::vector<PageRun>{{11, 4}}));
  EXPECT_EQ(pool.available(), 0U);
  pool.check_invariants();
}

TEST(RunAllocator, GivesBackFrontMiddleAndEnd) {
  RunAllocator pool(64, 16);
  ASSERT_TRUE(pool.grow(1, 12));
  pool.release_front(1, 3);
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{3, 13, 9}}));
  pool.release_pages(1, {5, 2});
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{3, 2, 2}, {7, 9, 5}}));
  pool.trim(1, 2, 4);
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{3, 2, 2}, {7, 7, 3}}));
  pool.trim(1, 4);
  EXPECT_EQ(runs_of(pool, 1), (std::vector<OwnedRun>{{3, 1, 1}}));
  pool.release(1);
  EXPECT_EQ(pool.free_runs().runs(), (std::map<std::uint32_t, std::uint32_t>{{0, 64}}));
  EXPECT_TRUE(pool.runs(1).empty());
}

TEST(RunAllocator, CountsWhatLiesIdle) {
  RunAllocator pool(100, 10);
  ASSERT_TRUE(pool.grow(1, 4));
  ASSERT_TRUE(pool.grow(2, 10));
  ASSERT_TRUE(pool.grow(3, 10));
  pool.release(2);
  const Fragmentation numbers = pool.fragmentation();
  EXPECT_EQ(numbers.free_pages, 80U);
  EXPECT_EQ(numbers.free_runs, 2U);
  EXPECT_EQ(numbers.free_run_longest, 70U);
  EXPECT_EQ(numbers.reserve_pages, 6U);
  EXPECT_EQ(numbers.reserves, 1U);
  EXPECT_EQ(numbers.free_runs_by_length[3], 1U);  // 8 to 15
  EXPECT_EQ(numbers.free_runs_by_length[6], 1U);  // 64 to 127
}

// The model: the pages of every owner, in order, in plain vectors.
class ModelRun {
 public:
  explicit ModelRun(std::uint64_t seed)
      : draws_(seed), pages_(1 + draws_.below(150)), pool_(pages_, 1 + draws_.below(20)), user_(pages_, 0) {}

  void step() {
    const RunAllocator::Owner owner = 1 + draws_.below(6);
    Pages& used = used_[owner];
    const auto some = [&] { return draws_.below(static_cast<std::uint32_t>(used.size()) + 1); };
    switch (draws_.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3:
        grow(owner, draws_.below(draws_.below(4) == 0 ? 40 : 6), draws_.below(12));
        break;
      case 4: {
        const std::uint32_t count = some();
        pool_.trim(owner, count, draws_.below(10));
        drop(used, used.size() - count, count);
        break;
      }
      case 5: {
        const std::uint32_t count = some();
        pool_.release_front(owner, count);
        drop(used, 0, count);
        break;
      }
      case 6:
        release_some(owner, used);
        break;
      default:
        if (draws_.below(2) == 0) {
          pool_.release(owner);
          drop(used, 0, used.size());
        } else {
          pool_.release_reserve(owner);
        }
    }
  }

  void check() {
    pool_.check_invariants();
    std::size_t in_use = 0;
    for (const auto& [owner, used] : used_) {
      ASSERT_EQ(used_pages(pool_, owner), used);
      in_use += used.size();
    }
    ASSERT_EQ(pool_.available(), pages_ - in_use);  // no page is lost, and every idle one can be had
  }

 private:
  void grow(RunAllocator::Owner owner, std::uint32_t count, std::uint32_t group) {
    const std::uint32_t available = pool_.available();
    const auto fresh = pool_.grow(owner, count, group);
    ASSERT_EQ(fresh.has_value(), count <= available);
    if (!fresh) return;
    ASSERT_EQ(pages_of(*fresh).size(), count);
    for (const std::uint32_t page : pages_of(*fresh)) {
      ASSERT_EQ(user_[page], 0U);
      user_[page] = owner;
      used_[owner].push_back(page);
    }
  }

  // Pages that are adjacent by number, wherever they stand in the owner's order.
  void release_some(RunAllocator::Owner owner, Pages& used) {
    if (used.empty()) return;
    const std::uint32_t first = used[draws_.below(static_cast<std::uint32_t>(used.size()))];
    PageRun run{first, 1};
    while (run.length < 5 && run.end() < pages_ && user_[run.end()] == owner) ++run.length;
    pool_.release_pages(owner, run);
    std::erase_if(used, [&](std::uint32_t page) { return page >= run.first && page < run.end(); });
    for (std::uint32_t page = run.first; page < run.end(); ++page) user_[page] = 0;
  }

  void drop(Pages& used, std::size_t from, std::size_t count) {
    const auto begin = used.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    std::for_each(begin, end, [&](std::uint32_t page) { user_[page] = 0; });
    used.erase(begin, end);
  }

  Draws draws_;
  std::uint32_t pages_;
  RunAllocator pool_;
  std::map<RunAllocator::Owner, Pages> used_;
  std::vector<RunAllocator::Owner> user_;  // [page], 0: nobody
};

TEST(RunAllocator, AgreesWithPlainLists) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    ModelRun model(seed);
    for (int step = 0; step < 300; ++step) {
      model.step();
      model.check();
      if (::testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
  }
}

TEST(RunAllocator, TheSameCallsGiveTheSamePages) {
  const auto trace = [](std::uint64_t seed) {
    Draws draws(seed);
    RunAllocator pool(500, 8);
    std::vector<PageRun> all;
    for (int step = 0; step < 300; ++step) {
      const RunAllocator::Owner owner = draws.below(20) * 977;
      if (draws.below(5) == 0) pool.release(owner);
      const auto fresh = pool.grow(owner, draws.below(9));
      if (fresh) all.insert(all.end(), fresh->begin(), fresh->end());
    }
    return all;
  };
  EXPECT_EQ(trace(7), trace(7));
}

}  // namespace
}  // namespace plait::engine
