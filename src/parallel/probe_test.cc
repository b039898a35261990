// SPDX-License-Identifier: Apache-2.0
#include "parallel/probe.h"

#include <gtest/gtest.h>

namespace plait::parallel {
namespace {

TEST(Probe, StreamComputesTheRecurrenceAtAnySize) {
  for (const int threads : {1, 2}) {
    Team team(threads);
    for (const base::Bytes bytes : {base::Bytes{8}, base::Bytes{100'000}, base::Bytes{3} << 20}) {
      const auto rates = probe_stream(bytes, team, 0);  // fails if a number is wrong
      ASSERT_TRUE(rates);
      ASSERT_EQ(rates->size(), 4);
      for (const StreamRate& rate : *rates) {
        EXPECT_EQ(rate.threads, threads);
        EXPECT_EQ(rate.array_bytes, bytes / 8 * 8);
        EXPECT_GT(rate.bytes_per_second, 0) << rate.name;
        EXPECT_GT(rate.native_bytes_per_second, 0) << rate.name;
        EXPECT_GT(rate.ratio, 0) << rate.name;
      }
    }
  }
}

TEST(Probe, ManyRoundsStayWithinADouble) {
  Team team(1);
  EXPECT_TRUE(probe_stream(64, team, 0.05));
}

TEST(Probe, MemoryThatCannotBeHadIsAnError) {
  Team team(1);
  const auto rates = probe_stream(base::Bytes{1} << 60, team, 0);
  ASSERT_FALSE(rates);
  EXPECT_EQ(rates.error().code, base::ErrorCode::out_of_resources);
}

TEST(Probe, RegionsAndBarriersTakeSomeTime) {
  Team team(2);
  const RegionCost cost = probe_regions(team, 0);
  EXPECT_EQ(cost.threads, 2);
  EXPECT_GT(cost.region_us, 0);
  EXPECT_GT(cost.barrier_us, 0);
  EXPECT_GT(cost.threads_us, 0);
}

}  // namespace
}  // namespace plait::parallel
