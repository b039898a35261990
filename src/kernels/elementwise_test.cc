// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/math.h"

namespace plait::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random(std::size_t n, std::uint64_t seed, double width = 3) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>((base::random_unit(seed, i) * 2 - 1) * width);
  return x;
}

/// The numbers that are special somewhere: borders of ranges, roundings to zero and infinity, no numbers.
std::vector<float> special() {
  std::vector<float> x = {0.0F,   -0.0F,    kInfinity, -kInfinity, kNan,   88.72F,  88.73F, 89.5F,
                          -87.3F, -87.4F,   -103.9F,   -104.1F,    1e-40F, -1e-40F, 1e30F,  -1e30F,
                          0.625F, 0.62499F, 9.1F,      -9.1F,      65504,  65520,   1e-8F};
  for (int i = -1100; i <= 920; ++i) x.push_back(static_cast<float>(i) * 0.0987F);
  return x;
}

/// Bits, with all NaNs alike.
std::vector<std::uint32_t> bits(const std::vector<float>& x) {
  std::vector<std::uint32_t> r;
  for (const float f : x) r.push_back(std::isnan(f) ? 0x7FC00000U : std::bit_cast<std::uint32_t>(f));
  return r;
}

/// Runs `f(isa, in, n, out)` for every Isa over sizes and misaligned arrays and compares bits with generic's; nothing
/// may be written beyond n.
using Kernel = std::function<void(Isa, const float*, std::size_t, float*)>;
void expect_same_bits(const Kernel& kernel, std::vector<float> in = special()) {
  const std::vector<float> more = random(200, 3);
  in.insert(in.end(), more.begin(), more.end());
  for (std::size_t n = 1; n <= in.size(); n += n < 70 ? 1 : 97) {
    for (const std::size_t offset : {0UZ, 1UZ, in.size() - n}) {
      if (offset + n > in.size()) continue;
      std::vector<float> want(n + 1, 42);
      kernel(Isa::generic, in.data() + offset, n, want.data());
      for (const Isa isa : usable_isas()) {
        std::vector<float> got(n + 2, 42);
        kernel(isa, in.data() + offset, n, got.data() + 1);
        ASSERT_EQ(got[0], 42);
        ASSERT_EQ(bits({got.begin() + 1, got.end()}), bits(want)) << name(isa) << " n " << n << " offset " << offset;
      }
    }
  }
}

TEST(Elementwise, EveryIsaGivesTheSameBits) {
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { exp(isa, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { tanh(isa, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { silu_mul(isa, x, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { gelu_mul(isa, x, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { clamped_swiglu(isa, x, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { add(isa, x, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { scale(isa, x, 0.3F, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { soft_cap(isa, x, 30, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { softmax(isa, x, n, out); });
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { softmax(isa, x, n, out); }, {});
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { rms_norm(isa, x, x, 1e-5F, n, out); }, {});
  expect_same_bits([](Isa isa, const float* x, std::size_t n, float* out) { rms_norm(isa, x, nullptr, 1, n, out); });
}

TEST(Elementwise, RotationsGiveTheSameBits) {
  const std::vector<float> x = random(7 * 256, 5);
  const std::vector<float> cos = random(129, 6, 1);
  const std::vector<float> sin = random(129, 7, 1);
  for (const auto rotate : {&rope_neox, &rope_norm}) {
    for (const std::size_t dim : std::vector<std::size_t>{2, 16, 32, 64, 80, 96, 128, 256}) {
      for (const std::size_t rotated : {dim, dim / 2 / 2 * 2, dim / 4 / 2 * 2}) {
        std::vector<float> want = x;
        rotate(Isa::generic, want.data() + 1, 6, dim, rotated, cos.data() + 1, sin.data() + 1);
        for (const Isa isa : usable_isas()) {
          std::vector<float> got = x;
          rotate(isa, got.data() + 1, 6, dim, rotated, cos.data() + 1, sin.data() + 1);
          ASSERT_EQ(bits(got), bits(want)) << name(isa) << " dim " << dim << " rotated " << rotated;
        }
      }
    }
  }
}

TEST(Elementwise, HalvesAreTheSame) {
  std::vector<float> x = special();
  for (std::size_t n = 1; n < x.size(); n += 13) {
    for (const Isa isa : usable_isas()) {
      std::vector<tensor::f16> got(n + 1, 42);
      to_f16(isa, x.data(), n, got.data());
      for (std::size_t i = 0; i < n; ++i) {
        if (!std::isnan(x[i])) {
          ASSERT_EQ(got[i], tensor::f32_to_f16(x[i]));
        }
      }
      ASSERT_EQ(got[n], 42);
      std::vector<float> back(n + 1, 42);
      from_f16(isa, got.data(), n, back.data());
      for (std::size_t i = 0; i < n; ++i) {
        if (!std::isnan(x[i])) {
          ASSERT_EQ(bits({back[i]}), bits({tensor::f16_to_f32(got[i])}));
        }
      }
      ASSERT_EQ(back[n], 42);
    }
  }
}

/// The largest error of `kernel` against `exact`, in units of the last place of the exact result.
double worst_ulps(const Kernel& kernel, double (*exact)(double), float from, float to) {
  constexpr std::size_t kCount = 200'000;
  std::vector<float> x(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    x[i] = from + (to - from) * static_cast<float>(i) / static_cast<float>(kCount);
  }
  std::vector<float> y(kCount);
  kernel(best_isa(), x.data(), kCount, y.data());
  double worst = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const double want = exact(static_cast<double>(x[i]));
    const auto near = std::abs(static_cast<float>(want));
    const double ulp = static_cast<double>(std::nextafter(near, kInfinity)) - static_cast<double>(near);
    worst = std::max(worst, std::abs(static_cast<double>(y[i]) - want) / ulp);
  }
  return worst;
}

TEST(Elementwise, ExpAndTanhAreAccurate) {
  const Kernel e = [](Isa isa, const float* x, std::size_t n, float* out) { exp(isa, x, n, out); };
  const Kernel t = [](Isa isa, const float* x, std::size_t n, float* out) { tanh(isa, x, n, out); };
  EXPECT_LE(worst_ulps(e, std::exp, -103.9F, 88.7F), 1.1);
  EXPECT_LE(worst_ulps(e, std::exp, -1, 1), 1.1);
  EXPECT_LE(worst_ulps(t, std::tanh, -12, 12), 2);
  EXPECT_LE(worst_ulps(t, std::tanh, -0.7F, 0.7F), 2);
  EXPECT_LE(worst_ulps(t, std::tanh, 1e-30F, 1e-4F), 1);
}

TEST(Elementwise, SpecialValues) {
  const std::vector<float> x = {0, -0.0F, kInfinity, -kInfinity, kNan, 89.0F, -105};
  std::vector<float> y(x.size());
  for (const Isa isa : usable_isas()) {
    exp(isa, x.data(), x.size(), y.data());
    EXPECT_EQ(bits(y), bits({1, 1, kInfinity, 0, kNan, kInfinity, 0}));
    tanh(isa, x.data(), x.size(), y.data());
    EXPECT_EQ(bits(y), bits({0, -0.0F, 1, -1, kNan, 1, -1}));
  }
}

TEST(Elementwise, NormsAndGatesFollowTheirDefinition) {
  const std::size_t n = 577;
  const std::vector<float> x = random(n, 1);
  const std::vector<float> w = random(n, 2);
  std::vector<float> norm(n);
  std::vector<float> silu(n);
  std::vector<float> gelu(n);
  std::vector<float> soft(n);
  rms_norm(best_isa(), x.data(), w.data(), 1e-5F, n, norm.data());
  silu_mul(best_isa(), x.data(), w.data(), n, silu.data());
  gelu_mul(best_isa(), x.data(), w.data(), n, gelu.data());
  softmax(best_isa(), x.data(), n, soft.data());
  double squares = 0;
  double total = 0;
  for (const float a : x) squares += static_cast<double>(a) * static_cast<double>(a);
  for (const float a : x) total += std::exp(static_cast<double>(a));
  for (std::size_t i = 0; i < n; ++i) {
    const auto a = static_cast<double>(x[i]);
    const auto b = static_cast<double>(w[i]);
    EXPECT_NEAR(static_cast<double>(norm[i]), a / std::sqrt(squares / n + 1e-5) * b, 3e-6);  // n / 16 roundings
    EXPECT_NEAR(static_cast<double>(silu[i]), a / (1 + std::exp(-a)) * b, 2e-6);
    const double u = std::sqrt(2 / 3.14159265358979) * (a + 0.044715 * a * a * a);
    EXPECT_NEAR(static_cast<double>(gelu[i]), a * (1 + std::tanh(u)) / 2 * b, 4e-6);
    EXPECT_NEAR(static_cast<double>(soft[i]) * total / std::exp(a), 1, 4e-6);
  }
}

TEST(Elementwise, ClampedGatesFollowTheirDefinition) {
  const std::size_t n = 577;
  const std::vector<float> gate = random(n, 1, 20);
  const std::vector<float> up = random(n, 2, 20);
  std::vector<float> y(n);
  clamped_swiglu(best_isa(), gate.data(), up.data(), n, y.data());
  for (std::size_t i = 0; i < n; ++i) {
    const double g = std::min(static_cast<double>(gate[i]), 7.0);
    const double u = std::clamp(static_cast<double>(up[i]), -7.0, 7.0);
    EXPECT_NEAR(static_cast<double>(y[i]), g / (1 + std::exp(-1.702 * g)) * (u + 1), 2e-5);
  }
}

TEST(Elementwise, RotationTurnsPairs) {
  const float c = 0.6F;
  const float s = 0.8F;
  std::vector<float> x = {1, 2, 3, 4, 9, 9};
  const std::vector<float> cos = {c, 1};
  const std::vector<float> sin = {s, 0};
  rope_neox(best_isa(), x.data(), 1, 6, 4, cos.data(), sin.data());
  EXPECT_FLOAT_EQ(x[0], 1 * c - 3 * s);
  EXPECT_FLOAT_EQ(x[2], 1 * s + 3 * c);
  EXPECT_EQ(x[1], 2);
  EXPECT_EQ(x[4], 9);
  x = {1, 2, 3, 4, 9, 9};
  rope_norm(best_isa(), x.data(), 1, 6, 4, cos.data(), sin.data());
  EXPECT_FLOAT_EQ(x[0], 1 * c - 2 * s);
  EXPECT_FLOAT_EQ(x[1], 1 * s + 2 * c);
  EXPECT_EQ(x[3], 4);
  EXPECT_EQ(x[5], 9);
}

}  // namespace
}  // namespace plait::kernels
