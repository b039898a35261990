// SPDX-License-Identifier: Apache-2.0
#include "kernels/probe.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/isa.h"

namespace plait::kernels {
namespace {

TEST(Probe, ReadsWithAtLeastFourVariants) {
  parallel::Team team(2);
  for (const base::Bytes footprint : {base::Bytes{1}, base::Bytes{100'000}, base::Bytes{3} << 20}) {
    const ReadLimit limit = probe_read(footprint, team, 0);
    EXPECT_GE(limit.footprint, footprint);
    EXPECT_EQ(limit.threads, 2);
    EXPECT_GE(limit.variants.size(), 4U);
    for (const ReadVariant& variant : limit.variants) {
      EXPECT_GT(variant.bytes_per_second, 0) << variant.name;
      EXPECT_LE(variant.bytes_per_second, limit.best.bytes_per_second) << variant.name;
    }
  }
}

TEST(Probe, MemoryThatCannotBeHadGivesNothing) {
  parallel::Team team(1);
  EXPECT_EQ(probe_read(base::Bytes{1} << 60, team, 0).best.bytes_per_second, 0);
}

TEST(Probe, EveryUsableInstructionSetHasAPeak) {
  parallel::Team team(1);
  const auto peaks = probe_peaks(team, 0);
  for (const Isa isa : usable_isas()) {
    if (isa == Isa::generic) continue;
    EXPECT_TRUE(std::ranges::any_of(peaks, [&](const PeakProbe& peak) { return peak.isa == name(isa); })) << name(isa);
  }
  for (const PeakProbe& peak : peaks) EXPECT_GT(peak.operations_per_second, 0) << peak.name;
}

}  // namespace
}  // namespace plait::kernels
