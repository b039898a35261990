// SPDX-License-Identifier: Apache-2.0
#include "parallel/team.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>

#include "base/random.h"
#include "testing/environment.h"

namespace plait::parallel {
namespace {

class TeamOf : public ::testing::TestWithParam<int> {};

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

TEST_P(TeamOf, RunsInTurnWithEverythingBeforeDone) {
  Team team(GetParam());
  const auto size = static_cast<std::size_t>(GetParam());
  std::vector<int> values(size, 0);
  std::vector<int> sums(size, 0);
  int total = 0;
  for (int round = 1; round <= 2000; ++round) {
    const auto set = [&](int member) { values[static_cast<std::size_t>(member)] = round; };
    const auto sum = [&](int member) {
      sums[static_cast<std::size_t>(member)] = std::accumulate(values.begin(), values.end(), 0);
    };
    const auto add = [&](int member) {
      if (member == 0) total = std::accumulate(sums.begin(), sums.end(), 0);
    };
    team.run_in_turn(set, sum, add);
    ASSERT_EQ(total, round * GetParam() * GetParam());
    team.run_in_turn(set);
  }
}

TEST_P(TeamOf, NothingIsCalledInTurnBehindAnException) {
  Team team(GetParam());
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> calls{0};
    const auto fail = [&](int member) {
      if (member == team.size() - 1) throw std::out_of_range("one");
    };
    EXPECT_THROW(team.run_in_turn([&](int) { ++calls; }, fail, [&](int) { calls += 1000; }, [](int) {}),
                 std::out_of_range);
    EXPECT_EQ(calls, GetParam());
    team.run_in_turn([&](int) { ++calls; }, [&](int) { ++calls; });
    EXPECT_EQ(calls, 3 * GetParam());
  }
}

TEST_P(TeamOf, RunsInTurnInsideARegion) {
  Team team(GetParam());
  std::vector<int> order(static_cast<std::size_t>(GetParam()), 0);
  team.run([&](int outer) {
    int& calls = order[static_cast<std::size_t>(outer)];
    team.run_in_turn([&](int) { calls += calls < GetParam() ? 1 : 1000; }, [&](int) { calls -= 1; });
  });
  for (const int calls : order) EXPECT_EQ(calls, 0);
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
  Team team(GetParam(), {.spin_us_max = 0});
  std::atomic<int> calls{0};
  for (int round = 0; round < 300; ++round) {
    team.run([&](int member) {
      const auto delay =
          base::random_u64(7, static_cast<std::uint64_t>(round) * 8 + static_cast<std::uint64_t>(member)) % 60;
      if (delay < 20) std::this_thread::sleep_for(std::chrono::microseconds(delay));
      team.barrier();
      ++calls;
    });
  }
  EXPECT_EQ(calls, 300 * GetParam());
}

/// Spins for some number of polls that differs from member to member and from round to round, sometimes sleeps.
void delay(std::uint64_t seed, std::uint64_t round, int member) {
  const std::uint64_t draw = base::random_u64(seed, round * 64 + static_cast<std::uint64_t>(member));
  if (draw % 8 != 0) return;
  if (draw % 4096 == 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(draw / 4096 % 50));
  } else {
    for (std::uint64_t i = draw / 4096 % 128; i > 0; --i) std::atomic_signal_fence(std::memory_order_seq_cst);
  }
}

// A million with PLAIT_LONG.
TEST_P(TeamOf, ManyShortRegionsWithRandomDelays) {
  const std::uint64_t rounds = testing::long_run() ? 1'000'000 : 100'000;
  for (const int spin_us_max : {200, 1}) {
    Team team(GetParam(), {.spin_us_max = spin_us_max});
    std::vector<std::uint64_t> calls(static_cast<std::size_t>(GetParam()), 0);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      delay(1, round, 63);  // of the caller, between regions
      team.run([&](int member) {
        delay(2, round, member);
        ++calls[static_cast<std::size_t>(member)];
      });
    }
    EXPECT_EQ(calls, std::vector<std::uint64_t>(calls.size(), rounds));
  }
}

TEST_P(TeamOf, ChunksCoverEverythingOnce) {
  Team team(GetParam());
  for (const std::size_t n : {0U, 1U, 7U, 64U, 1000U}) {
    for (const std::size_t granule : {1U, 3U, 64U, 2000U}) {
      std::vector<int> calls(n, 0);
      team.for_chunks(n, granule, [&](Range chunk) {
        EXPECT_EQ(chunk.begin % granule, 0);
        EXPECT_EQ(chunk.end, std::min(n, chunk.begin + granule));
        for (std::size_t i = chunk.begin; i < chunk.end; ++i) ++calls[i];
      });
      EXPECT_EQ(calls, std::vector<int>(n, 1));
    }
  }
}

TEST_P(TeamOf, AHeldUpThreadHoldsUpOneChunk) {
  Team team(GetParam());
  std::atomic<int> done{0};
  team.for_chunks(100, 1, [&](Range chunk) {
    while (team.size() > 1 && chunk.begin == 0 && done < 99) std::this_thread::yield();
    ++done;
  });
  EXPECT_EQ(done, 100);
}

TEST_P(TeamOf, ChunksInsideARegionRunInlineInOrder) {
  Team team(GetParam());
  std::vector<std::vector<std::size_t>> begins(static_cast<std::size_t>(GetParam()));
  team.run([&](int member) {
    team.for_chunks(10, 4, [&](Range chunk) { begins[static_cast<std::size_t>(member)].push_back(chunk.begin); });
  });
  for (const auto& seen : begins) EXPECT_EQ(seen, (std::vector<std::size_t>{0, 4, 8}));
}

TEST_P(TeamOf, AChunksExceptionIsRethrown) {
  Team team(GetParam());
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(team.for_chunks(64, 1,
                                 [&](Range chunk) {
                                   if (chunk.begin == 40) throw std::out_of_range("forty");
                                 }),
                 std::out_of_range);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, TeamOf, ::testing::Values(1, 2, 3, 5));

TEST(Team, StartsAndStopsWithoutWork) {
  for (int i = 0; i < 20; ++i) Team team(3);
}

#if !defined(__SANITIZE_THREAD__)  // which holds signals back until the thread makes a system call

int stop_pipe[2];
std::atomic<bool> stopped{false};

void stop_until_told(int /*signal*/) {
  stopped = true;
  char byte = 0;
  while (read(stop_pipe[0], &byte, 1) != 1) {
  }
}

TEST(Team, AThreadThatDoesNotRunLosesItsShareToTheOthers) {
  ASSERT_EQ(pipe(stop_pipe), 0);
  struct sigaction action = {};
  action.sa_handler = stop_until_told;
  ASSERT_EQ(sigaction(SIGUSR1, &action, nullptr), 0);
  Team team(2);
  pthread_t worker = pthread_self();
  team.run([&](int member) {
    if (member == 1) worker = pthread_self();
    team.barrier();
  });
  ASSERT_EQ(pthread_kill(worker, SIGUSR1), 0);
  while (!stopped) std::this_thread::yield();
  std::vector<int> calls(2, 0);
  for (int round = 0; round < 100; ++round) {
    team.run([&](int member) { ++calls[static_cast<std::size_t>(member)]; });
  }
  std::size_t items = 0;
  team.for_chunks(1000, 10, [&](Range chunk) { items += chunk.end - chunk.begin; });
  ASSERT_EQ(write(stop_pipe[1], "x", 1), 1);
  EXPECT_EQ(calls, std::vector<int>(2, 100));
  EXPECT_EQ(items, 1000);
  team.run([&](int) { team.barrier(); });  // the thread is back, late, and does no harm
}

#endif

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
