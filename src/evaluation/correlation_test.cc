// SPDX-License-Identifier: Apache-2.0
#include "evaluation/correlation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace plait::evaluation {
namespace {

using Numbers = std::vector<double>;

Numbers noise(std::uint64_t seed, std::size_t n) {
  Numbers numbers;
  for (std::size_t i = 0; i < n; ++i) numbers.push_back(base::random_unit(seed, i) - 0.5);
  return numbers;
}

TEST(Correlation, PearsonKnownValues) {
  EXPECT_DOUBLE_EQ(pearson(Numbers{1, 2, 3}, Numbers{10, 20, 30}), 1);
  EXPECT_DOUBLE_EQ(pearson(Numbers{1, 2, 3}, Numbers{3, 2, 1}), -1);
  EXPECT_NEAR(pearson(Numbers{1, 2, 3, 4}, Numbers{1, 3, 2, 4}), 0.8, 1e-12);
  EXPECT_TRUE(std::isnan(pearson(Numbers{1, 1, 1}, Numbers{1, 2, 3})));
  EXPECT_TRUE(std::isnan(pearson(Numbers{1}, Numbers{1})));
}

TEST(Correlation, PearsonIgnoresScaleAndPlace) {
  const Numbers x = noise(1, 50);
  const Numbers y = noise(2, 50);
  Numbers moved = x;
  for (double& value : moved) value = 3 * value + 1000;
  EXPECT_NEAR(pearson(x, y), pearson(moved, y), 1e-9);
}

TEST(Correlation, SpearmanSeesOnlyTheOrder) {
  EXPECT_DOUBLE_EQ(spearman(Numbers{1, 2, 3, 4}, Numbers{1, 10, 100, 1e9}), 1);
  EXPECT_NEAR(spearman(Numbers{1, 2, 2, 3}, Numbers{1, 2, 3, 4}), 4.5 / std::sqrt(4.5 * 5), 1e-12);
}

// The definition: correlate what lines in z leave over.
TEST(Correlation, PartialIsThatOfTheResiduals) {
  const Numbers z = noise(3, 200);
  const Numbers x_rest = noise(4, 200);
  const Numbers y_rest = noise(5, 200);
  Numbers x;
  Numbers y;
  for (std::size_t i = 0; i < z.size(); ++i) {
    x.push_back(10 * z[i] + x_rest[i]);
    y.push_back(-7 * z[i] + 0.5 * x_rest[i] + y_rest[i]);
  }
  const auto residuals = [&](const Numbers& of) {
    double zz = 0;
    double oz = 0;
    double z_mean = 0;
    double o_mean = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      z_mean += z[i] / 200;
      o_mean += of[i] / 200;
    }
    for (std::size_t i = 0; i < z.size(); ++i) {
      zz += (z[i] - z_mean) * (z[i] - z_mean);
      oz += (z[i] - z_mean) * (of[i] - o_mean);
    }
    Numbers left;
    for (std::size_t i = 0; i < z.size(); ++i) left.push_back(of[i] - oz / zz * z[i]);
    return left;
  };
  EXPECT_NEAR(partial_pearson(x, y, z), pearson(residuals(x), residuals(y)), 1e-9);
  EXPECT_NEAR(partial_pearson(x, y, Numbers(200, 4)), pearson(x, y), 1e-12);
  EXPECT_TRUE(std::isnan(partial_pearson(x, z, z)));
}

TEST(LeastSquares, FindsTheFactors) {
  const std::vector<Numbers> columns{noise(6, 100), noise(7, 100), noise(8, 100)};
  const Numbers rest = noise(9, 100);
  Numbers exact;
  Numbers noisy;
  for (std::size_t i = 0; i < 100; ++i) {
    exact.push_back(3 * columns[0][i] - 0.5 * columns[1][i] + 1000 * columns[2][i]);
    noisy.push_back(exact[i] + 0.1 * rest[i]);
  }
  const Numbers factors = least_squares(columns, exact);
  EXPECT_NEAR(factors[0], 3, 1e-9);
  EXPECT_NEAR(factors[1], -0.5, 1e-9);
  EXPECT_NEAR(factors[2], 1000, 1e-9);
  const Numbers nearly = least_squares(columns, noisy);
  Numbers left = noisy;
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(nearly[c], factors[c], 0.1);
    for (std::size_t i = 0; i < 100; ++i) left[i] -= nearly[c] * columns[c][i];
  }
  for (const Numbers& column : columns) {  // nothing of the columns is in what is left
    double together = 0;
    for (std::size_t i = 0; i < 100; ++i) together += left[i] * column[i];
    EXPECT_NEAR(together, 0, 1e-9);
  }
}

TEST(LeastSquares, AColumnThatSaysNothingNewGetsNothing) {
  const Numbers one = noise(6, 50);
  Numbers twice = one;
  for (double& value : twice) value *= 2;
  const Numbers factors = least_squares(std::vector<Numbers>{one, twice, Numbers(50, 0.0)}, twice);
  EXPECT_NEAR(factors[0], 2, 1e-9);
  EXPECT_EQ(factors[1], 0);
  EXPECT_EQ(factors[2], 0);
}

}  // namespace
}  // namespace plait::evaluation
