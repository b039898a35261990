// SPDX-License-Identifier: Apache-2.0
#include "kernels/logits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace plait::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Random logits with ties, forbidden words and a NaN here and there.
std::vector<float> random(std::size_t n, std::uint64_t seed) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double u = base::random_unit(seed, i);
    x[i] = static_cast<float>(std::floor(20'000 * (u - 0.5) * u) / 500);
    if (base::random_u64(seed + 1, i) % 50 == 0) x[i] = -kInfinity;
    if (base::random_u64(seed + 2, i) % 500 == 0) x[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return x;
}

std::vector<Candidate> sorted(const std::vector<float>& x) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] > -kInfinity) all.push_back({static_cast<std::uint32_t>(i), x[i]});
  }
  std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  return all;
}

TEST(Logits, AgreeWithSortingEverything) {
  TopK top;
  for (const std::size_t n : std::vector<std::size_t>{1, 5, 16, 17, 100, 1000, 5003, 49'152}) {
    const std::vector<float> x = random(n, n);
    const std::vector<Candidate> all = sorted(x);
    for (const Isa isa : usable_isas()) {
      for (const std::size_t k : {0UZ, 1UZ, 2UZ, 40UZ, 700UZ, n / 3, n, n + 1}) {
        const auto got = top.select(isa, x, k);
        ASSERT_EQ(
            std::vector<Candidate>(got.begin(), got.end()),
            std::vector<Candidate>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(k, all.size()))))
            << name(isa) << " n " << n << " k " << k;
      }
      if (all.empty()) continue;
      EXPECT_EQ(argmax(isa, x), all[0].index);
      EXPECT_EQ(largest(isa, x), all[0].logit);
    }
  }
}

TEST(Logits, LogSumExpIsAccurateAndTheSameForEveryIsa) {
  for (const std::size_t n : std::vector<std::size_t>{1, 100, 49'152, 262'144}) {
    std::vector<float> x = random(n, 3);
    for (float& f : x) f = std::isnan(f) ? -kInfinity : f;
    for (const float factor : {1.0F, 0.1F, 5.0F}) {
      double sum = 0;
      for (const float f : x) sum += std::exp(static_cast<double>(f) * static_cast<double>(factor));
      const double got = log_sum_exp(Isa::generic, x, factor);
      EXPECT_NEAR(got, std::log(sum), 2e-6);
      for (const Isa isa : usable_isas()) EXPECT_EQ(log_sum_exp(isa, x, factor), got) << name(isa);
    }
  }
}

TEST(Logits, NothingAllowed) {
  const std::vector<float> x(100, -kInfinity);
  TopK top;
  for (const Isa isa : usable_isas()) {
    EXPECT_EQ(argmax(isa, x), 0U);
    EXPECT_EQ(largest(isa, x), -kInfinity);
    EXPECT_EQ(log_sum_exp(isa, x), -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(top.select(isa, x, 5).empty());
  }
}

}  // namespace
}  // namespace plait::kernels
