// SPDX-License-Identifier: Apache-2.0
#include "os/topology.h"

#include <gtest/gtest.h>

#include <thread>

namespace plait::os {
namespace {

TEST(Topology, CoreLists) {
  EXPECT_EQ(parse_core_list("0"), (std::vector<int>{0}));
  EXPECT_EQ(parse_core_list("0-3,8"), (std::vector<int>{0, 1, 2, 3, 8}));
  EXPECT_EQ(parse_core_list("5-5,7-6"), (std::vector<int>{5}));
  EXPECT_EQ(parse_core_list(""), (std::vector<int>{}));
  EXPECT_EQ(parse_core_list("a,-1,3-,1,99999,0-99999999999,2x"), (std::vector<int>{1}));
}

TEST(Topology, AThreadBoundToACoreIsAllowedThatOneOnly) {
  const std::vector<Core> cores = allowed_cores();
  ASSERT_FALSE(cores.empty());
  std::jthread([&] {
    const int last[] = {cores.back().id};
    if (bind_this_thread(last)) {
      EXPECT_EQ(allowed_cores(), (std::vector<Core>{cores.back()}));
    }
  }).join();
  EXPECT_EQ(allowed_cores(), cores);
  EXPECT_FALSE(bind_this_thread({}));
}

}  // namespace
}  // namespace plait::os
