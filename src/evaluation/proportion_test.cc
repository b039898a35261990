// SPDX-License-Identifier: Apache-2.0
#include "evaluation/proportion.h"

#include <gtest/gtest.h>

namespace plait::evaluation {
namespace {

TEST(Proportion, KnowsItsError) {
  Proportion proportion;
  for (int i = 0; i < 100; ++i) proportion.add(i % 5 == 0);
  EXPECT_DOUBLE_EQ(proportion.value(), 0.2);
  EXPECT_DOUBLE_EQ(proportion.standard_error(), 0.04);
  EXPECT_EQ(Proportion().value(), 0);
}

TEST(Mean, KnowsItsError) {
  Mean mean;
  for (const double value : {1.0, 2.0, 3.0, 4.0}) mean.add(value);
  EXPECT_DOUBLE_EQ(mean.value(), 2.5);
  EXPECT_NEAR(mean.standard_error(), 0.645497, 1e-6);
  EXPECT_EQ(Mean().standard_error(), 0);
}

// Values of Newcombe (Statistics in Medicine 17, 1998), table I.
TEST(WilsonInterval, IsThePublishedOne) {
  const Interval many = wilson_interval({81, 263});
  EXPECT_NEAR(many.low, 0.2553, 5e-5);
  EXPECT_NEAR(many.high, 0.3662, 5e-5);
  const Interval none = wilson_interval({0, 20});
  EXPECT_NEAR(none.low, 0, 1e-12);
  EXPECT_NEAR(none.high, 0.1611, 5e-5);
}

TEST(Discordant, IsTheSignTest) {
  EXPECT_DOUBLE_EQ(Discordant().p(), 1);
  EXPECT_DOUBLE_EQ((Discordant{5, 5}).p(), 1);
  EXPECT_NEAR((Discordant{0, 5}).p(), 2.0 / 32, 1e-12);
  EXPECT_NEAR((Discordant{8, 2}).p(), 2 * (1 + 10 + 45) / 1024.0, 1e-12);
  EXPECT_LT((Discordant{300, 100}).p(), 1e-20);
}

}  // namespace
}  // namespace plait::evaluation
