// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/random.h"
#include "kernels/math.h"

namespace plait::kernels {
namespace {

TEST(Math, DoubleFunctionsAgreeWithTheLibrary) {
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const double u = base::random_unit(1, i);
    const double x = (u - 0.5) * 1400;
    EXPECT_NEAR(exp_double(x) / std::exp(x), 1, 5e-16) << x;
    const double y = std::exp(x);
    EXPECT_NEAR(log_double(y), std::log(y), 3e-16 * std::max(1.0, std::abs(std::log(y)))) << y;
    const double near_one = 0.5 + u;
    EXPECT_NEAR(log_double(near_one) / std::log(near_one), 1, 5e-16) << near_one;
    const double angle = (u - 0.5) * 3.2e6;
    EXPECT_NEAR(sin_cos_double(angle).sin, std::sin(angle), 4e-16) << angle;
    EXPECT_NEAR(sin_cos_double(angle).cos, std::cos(angle), 4e-16) << angle;
  }
}

TEST(Math, SpecialValues) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(exp_double(0), 1);
  EXPECT_EQ(exp_double(-infinity), 0);
  EXPECT_EQ(exp_double(infinity), infinity);
  EXPECT_TRUE(std::isnan(exp_double(std::nan(""))));
  EXPECT_EQ(log_double(1), 0);
  EXPECT_EQ(log_double(0), -infinity);
  EXPECT_EQ(log_double(infinity), infinity);
  EXPECT_TRUE(std::isnan(log_double(-1)));
  EXPECT_NEAR(log_double(5e-324), std::log(5e-324), 1e-12);
  EXPECT_EQ(sin_cos_double(0).sin, 0);
  EXPECT_EQ(sin_cos_double(0).cos, 1);
  EXPECT_TRUE(std::isnan(sin_cos_double(infinity).sin));
  EXPECT_TRUE(std::isnan(sin_cos_double(1e300).cos));
}

TEST(Rope, PlainFrequenciesAndTables) {
  const RopeTable table(rope_frequencies(64, 100'000));
  ASSERT_EQ(table.pairs(), 32U);
  std::vector<float> cos(32);
  std::vector<float> sin(32);
  for (const std::ptrdiff_t position : {0, 1, 17, 8191, 1'000'000}) {
    table.fill(position, cos.data(), sin.data());
    for (std::size_t i = 0; i < 32; ++i) {
      const double angle = static_cast<double>(position) * std::pow(1e5, -static_cast<double>(i) / 32);
      EXPECT_NEAR(static_cast<double>(cos[i]), std::cos(angle), 6.1e-8) << position << " " << i;
      EXPECT_NEAR(static_cast<double>(sin[i]), std::sin(angle), 6.1e-8) << position << " " << i;
    }
  }
}

TEST(Rope, LinearScalingAndFactorsDivideAngles) {
  const std::vector<float> factors = {1, 2, 4, 8};
  const auto plain = rope_frequencies(8, 10'000);
  const auto scaled = rope_frequencies(8, 10'000, {.kind = RopeScaling::Kind::linear, .factor = 4}, factors);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(scaled.radians[i], plain.radians[i] / 4 / static_cast<double>(factors[i]));
  }
  EXPECT_EQ(scaled.magnitude, 1);
}

TEST(Rope, YarnKeepsFastPairsAndInterpolatesSlowOnes) {
  // 128 dims, base 1e6, 32,768 tokens stretched four times: pairs below 24 turn more than 32 times, pairs from 40 on
  // less than once (the paper's formula by hand: 128 ln(32768 / (2 pi 32)) / (2 ln 1e6) = 23.6; 39.65 for one turn).
  const RopeScaling scaling{.kind = RopeScaling::Kind::yarn, .factor = 4, .original_context = 32'768};
  const auto plain = rope_frequencies(128, 1e6);
  const auto yarn = rope_frequencies(128, 1e6, scaling);
  EXPECT_DOUBLE_EQ(yarn.radians[0], plain.radians[0]);
  EXPECT_DOUBLE_EQ(yarn.radians[23], plain.radians[23]);
  EXPECT_DOUBLE_EQ(yarn.radians[40], plain.radians[40] / 4);
  EXPECT_DOUBLE_EQ(yarn.radians[63], plain.radians[63] / 4);
  const double ramp = (32.0 - 23) / (40 - 23);
  EXPECT_NEAR(yarn.radians[32] / plain.radians[32], (1 - ramp) + ramp / 4, 1e-15);
  EXPECT_NEAR(yarn.magnitude, 0.1 * std::numbers::ln2 * 2 + 1, 1e-15);
}

TEST(Rope, YarnFactorsMultiply) {
  RopeScaling scaling{.kind = RopeScaling::Kind::yarn, .factor = 4, .original_context = 4'096};
  scaling.attention_factor = 0.5;
  EXPECT_NEAR(rope_frequencies(64, 1e4, scaling).magnitude, 0.5 * (0.1 * std::numbers::ln2 * 2 + 1), 1e-15);
  scaling.extrapolation = 0;  // plain interpolation, and no correction of the magnitude
  const auto none = rope_frequencies(64, 1e4, scaling);
  EXPECT_EQ(none.magnitude, 0.5);
  EXPECT_DOUBLE_EQ(none.radians[0], 0.25);
}

}  // namespace
}  // namespace plait::kernels
