// SPDX-License-Identifier: Apache-2.0
#include "parallel/team.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>

#include "base/random.h"

namespace plait::parallel {
namespace {

class TeamOf : public testing::TestWithParam<int> {};

TEST_P(TeamOf, RunsEveryMemberOnceAndSeesItsWrites) {
  Team team(GetParam());
  std::vector<int> calls(static_cast<std::size_t>(GetParam()), 0);  // plain ints: the team must order them
  for (int round = 0; round < 2000; ++round) {
    team.run([&](int member) { ++calls[static_cast<std::size_t>(member)]; });
  }
  for (const int count : calls) EXPECT_EQ(count, 2000);
}

TEST_P(TeamOf, BarrierSeparatesPhases) {
  Team team(GetParam());
  const auto size = static_cast<std::size_t>(GetParam());
  std::vector<int> values(size, 0);
  std::vector<int> sums(size, 0);
  for (int round = 1; round <= 300; ++round) {
    team.run([&](int member) {
      const auto self = static_cast<std::size_t>(member);
      values[self] = round;
      team.barrier();
      sums[self] = std::accumulate(values.begin(), values.end(), 0);
      team.barrier();
      values[self] = -1;
    });
    for (const int sum : sums) ASSERT_EQ(sum, round * GetParam());
  }
}

TEST_P(TeamOf, LowestMembersExceptionIsRethrownAndTheTeamGoesOn) {
  Team team(GetParam());
  for (int round = 0; round < 50; ++round) {
    try {
      team.run([&](int member) { throw std::runtime_error(std::to_string(member)); });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "0");
    }
    std::atomic<int> calls{0};
    team.run([&](int) { ++calls; });
    EXPECT_EQ(calls, GetParam());
  }
}

TEST_P(TeamOf, AThrowingMemberReleasesThoseInTheBarrier) {
  Team team(GetParam());
  for (int round = 0; round < 50; ++round) {
    EXPECT_THROW(team.run([&](int member) {
      if (member == team.size() - 1) throw std::out_of_range("one");
      team.barrier();
      team.barrier();
    }),
                 std::out_of_range);
    std::vector<int> ok(static_cast<std::size_t>(team.size()), 0);
    team.run([&](int member) {
      team.barrier();
      ok[static_cast<std::size_t>(member)] = 1;
    });
    EXPECT_EQ(std::accumulate(ok.begin(), ok.end(), 0), team.size());
  }
}

TEST_P(TeamOf, NestedRegionsRunInline) {
  Team team(GetParam());
  std::atomic<int> calls{0};
  team.run([&](int) {
    const auto thread = std::this_thread::get_id();
    team.run([&](int) {
      EXPECT_EQ(std::this_thread::get_id(), thread);
      ++calls;
    });
  });
  EXPECT_EQ(calls, GetParam() * GetParam());
}

TEST_P(TeamOf, ParkedMembersWakeUp) {
  Team team(GetParam(), {.polls_max = 0});
  std::atomic<int> calls{0};
  for (int round = 0; round < 300; ++round) {
    team.run([&](int member) {
      const auto delay = base::random_u64(7, static_cast<std::uint64_t>(round * 8 + member)) % 60;
      if (delay < 20) std::this_thread::sleep_for(std::chrono::microseconds(delay));
      team.barrier();
      ++calls;
    });
  }
  EXPECT_EQ(calls, 300 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Sizes, TeamOf, testing::Values(1, 2, 3, 5));

TEST(Team, StartsAndStopsWithoutWork) {
  for (int i = 0; i < 20; ++i) Team team(3);
}

TEST(Part, CoversEverythingOnceInOrder) {
  for (std::size_t n : {0U, 1U, 5U, 31U, 32U, 33U, 1000U}) {
    for (int members = 1; members <= 7; ++members) {
      for (std::size_t granule : {1U, 4U, 32U}) {
        std::size_t at = 0;
        for (int member = 0; member < members; ++member) {
          const Range range = part(n, member, members, granule);
          EXPECT_EQ(range.begin, at);
          EXPECT_LE(range.begin, range.end);
          EXPECT_TRUE(range.end == n || range.end % granule == 0);
          at = range.end;
        }
        EXPECT_EQ(at, n);
      }
    }
  }
}

}  // namespace
}  // namespace plait::parallel
