// SPDX-License-Identifier: Apache-2.0
#include "os/cpu.h"

#include <gtest/gtest.h>

#include <thread>

namespace plait::os {
namespace {

TEST(Cpu, WiderSetsIncludeNarrowerOnes) {
  const CpuFeatures& f = cpu_features();
  EXPECT_LE(f.avx512f || f.avx_vnni, f.avx2);
  EXPECT_LE(f.avx512_vnni, f.avx512f);
  EXPECT_LE(f.amx_int8, f.amx_tile);
  EXPECT_EQ(&cpu_features(), &f);
}

TEST(Cpu, TilesAreGrantedOnlyWhereTheyExist) {
  EXPECT_LE(enable_amx(), cpu_features().amx_tile);
  EXPECT_EQ(enable_amx(), enable_amx());
}

TEST(Cpu, UsableCoresIsBetweenOneAndTheMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace
}  // namespace plait::os
