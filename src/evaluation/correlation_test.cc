// SPDX-License-Identifier: Apache-2.0
#include "evaluation/correlation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace plait::evaluation {
namespace {

using Columns = std::vector<double>;

Columns noise(std::uint64_t seed, std::size_t n) {
  Columns numbers;
  for (std::size_t i = 0; i < n; ++i) numbers.push_back(base::random_unit(seed, i) - 0.5);
  return numbers;
}

TEST(Correlation, PearsonKnownValues) {
  EXPECT_DOUBLE_EQ(pearson(Columns{1, 2, 3}, Columns{10, 20, 30}), 1);
  EXPECT_DOUBLE_EQ(pearson(Columns{1, 2, 3}, Columns{3, 2, 1}), -1);
  EXPECT_NEAR(pearson(Columns{1, 2, 3, 4}, Columns{1, 3, 2, 4}), 0.8, 1e-12);
  EXPECT_TRUE(std::isnan(pearson(Columns{1, 1, 1}, Columns{1, 2, 3})));
  EXPECT_TRUE(std::isnan(pearson(Columns{1}, Columns{1})));
}

TEST(Correlation, PearsonIgnoresScaleAndPlace) {
  const Columns x = noise(1, 50);
  const Columns y = noise(2, 50);
  Columns moved = x;
  for (double& value : moved) value = 3 * value + 1000;
  EXPECT_NEAR(pearson(x, y), pearson(moved, y), 1e-9);
}

TEST(Correlation, SpearmanSeesOnlyTheOrder) {
  EXPECT_DOUBLE_EQ(spearman(Columns{1, 2, 3, 4}, Columns{1, 10, 100, 1e9}), 1);
  EXPECT_NEAR(spearman(Columns{1, 2, 2, 3}, Columns{1, 2, 3, 4}), 4.5 / std::sqrt(4.5 * 5), 1e-12);
}

// The definition: correlate what lines in z leave over.
TEST(Correlation, PartialIsThatOfTheResiduals) {
  const Columns z = noise(3, 200);
  const Columns x_rest = noise(4, 200);
  const Columns y_rest = noise(5, 200);
  Columns x;
  Columns y;
  for (std::size_t i = 0; i < z.size(); ++i) {
    x.push_back(10 * z[i] + x_rest[i]);
    y.push_back(-7 * z[i] + 0.5 * x_rest[i] + y_rest[i]);
  }
  const auto residuals = [&](const Columns& of) {
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
    Columns left;
    for (std::size_t i = 0; i < z.size(); ++i) left.push_back(of[i] - oz / zz * z[i]);
    return left;
  };
  EXPECT_NEAR(partial_pearson(x, y, z), pearson(residuals(x), residuals(y)), 1e-9);
  EXPECT_NEAR(partial_pearson(x, y, Columns(200, 4)), pearson(x, y), 1e-12);
  EXPECT_TRUE(std::isnan(partial_pearson(x, z, z)));
}

TEST(LeastSquares, FindsTheFactors) {
  const std::vector<Columns> columns{noise(6, 100), noise(7, 100), noise(8, 100)};
  const Columns rest = noise(9, 100);
  Columns exact;
  Columns noisy;
  for (std::size_t i = 0; i < 100; ++i) {
    exact.push_back(3 * columns[0][i] - 0.5 * columns[1][i] + 1000 * columns[2][i]);
    noisy.push_back(exact[i] + 0.1 * rest[i]);
  }
  const Columns factors = least_squares(columns, exact);
  EXPECT_NEAR(factors[0], 3, 1e-9);
  EXPECT_NEAR(factors[1], -0.5, 1e-9);
  EXPECT_NEAR(factors[2], 1000, 1e-9);
  const Columns nearly = least_squares(columns, noisy);
  Columns left = noisy;
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(nearly[c], factors[c], 0.1);
    for (std::size_t i = 0; i < 100; ++i) left[i] -= nearly[c] * columns[c][i];
  }
  for (const Columns& column : columns) {  // nothing of the columns is in what is left
    double together = 0;
    for (std::size_t i = 0; i < 100; ++i) together += left[i] * column[i];
    EXPECT_NEAR(together, 0, 1e-9);
  }
}

TEST(LeastSquares, AColumnThatSaysNothingNewGetsNothing) {
  const Columns one = noise(6, 50);
  Columns twice = one;
  for (double& value : twice) value *= 2;
  const Columns factors = least_squares(std::vector<Columns>{one, twice, Columns(50, 0.0)}, twice);
  EXPECT_NEAR(factors[0], 2, 1e-9);
  EXPECT_EQ(factors[1], 0);
  EXPECT_EQ(factors[2], 0);
}

}  // namespace
}  // namespace plait::evaluation
