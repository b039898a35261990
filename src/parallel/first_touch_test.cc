// SPDX-License-Identifier: Apache-2.0
#include "parallel/first_touch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <thread>

#include "os/topology.h"

namespace plait::parallel {
namespace {

TEST(FirstTouch, TargetsAreTheCoresOfThisThread) {
  std::vector<int> cores;
  for (const Target& target : targets()) {
    EXPECT_FALSE(target.cores.empty());
    cores.insert(cores.end(), target.cores.begin(), target.cores.end());
  }
  std::ranges::sort(cores);
  std::vector<int> expected;
  for (const os::Core& core : os::allowed_cores()) expected.push_back(core.id);
  EXPECT_EQ(cores, expected);
}

TEST(FirstTouch, NeighboursShareATargetAndTargetsFillEvenly) {
  const std::vector<Target> two = {{0, {0, 1, 4, 5}}, {1, {2, 3, 6, 7}}};
  EXPECT_EQ(cores_of_members(two, 1), (std::vector<int>{0}));
  EXPECT_EQ(cores_of_members(two, 2), (std::vector<int>{0, 2}));
  EXPECT_EQ(cores_of_members(two, 4), (std::vector<int>{0, 4, 2, 6}));
  EXPECT_EQ(cores_of_members(two, 8), (std::vector<int>{0, 1, 4, 5, 2, 3, 6, 7}));
  const std::vector<Target> small = {{0, {3}}};
  EXPECT_EQ(cores_of_members(small, 3), (std::vector<int>{3, 3, 3}));
}

TEST(FirstTouch, WorkersOfABoundTeamStayOnTheirCores) {
  const std::vector<int> cores = cores_of_members(targets(), 3);
  Team team(3, {.cores = cores});
  std::vector<std::vector<os::Core>> seen(3);
  team.run_on_own_threads([&](int member) { seen[static_cast<std::size_t>(member)] = os::allowed_cores(); });
  EXPECT_EQ(seen[0], os::allowed_cores());
  for (std::size_t member = 1; member < 3; ++member) {
    ASSERT_EQ(seen[member].size(), 1);
    EXPECT_EQ(seen[member][0].id, cores[member]);
  }
}

TEST(FirstTouch, EveryMemberHasItsOwnThread) {
  Team team(4, {.spin_us_max = 0});
  for (int round = 0; round < 100; ++round) {
    std::vector<std::thread::id> threads(4);
    team.run_on_own_threads(
        [&](int member) { threads[static_cast<std::size_t>(member)] = std::this_thread::get_id(); });
    std::ranges::sort(threads);
    EXPECT_EQ(std::ranges::adjacent_find(threads), threads.end());
  }
}

TEST(PlacedVector, ZerosOfAnyLengthMoveAndAreARange) {
  Team team(2);
  for (const std::size_t n : {std::size_t{1}, std::size_t{1000}, 5 * kLeaf<std::uint32_t> + 3}) {
    auto made = PlacedVector<std::uint32_t>::zeros(n, team);
    ASSERT_TRUE(made);
    PlacedVector<std::uint32_t> vector = *std::move(made);
    EXPECT_EQ(vector.size(), n);
    EXPECT_EQ(std::ranges::count(vector, 0U), static_cast<std::ptrdiff_t>(n));
    std::iota(vector.begin(), vector.end(), 1U);
    EXPECT_EQ(reduce(team, vector, std::uint64_t{0}), n * (n + 1) / 2);
  }
  EXPECT_EQ((PlacedVector<double>::zeros(0, team)->size()), 0);
}

TEST(PlacedVector, TooMuchIsAnError) {
  Team team(1);
  for (const std::size_t n : {std::size_t{1} << 58, ~std::size_t{0}}) {
    const auto vector = PlacedVector<double>::zeros(n, team);
    ASSERT_FALSE(vector);
    EXPECT_EQ(vector.error().code, base::ErrorCode::out_of_resources);
  }
}

}  // namespace
}  // namespace plait::parallel
