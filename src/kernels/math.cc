// SPDX-License-Identifier: Apache-2.0
#include "kernels/math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace plait::kernels {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRound = 0x1.8p52;  // adding it rounds to a whole number, for magnitudes below 2^51

/// 2^n, -1022 <= n <= 1023.
double power_of_two(std::int64_t n) { return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52); }

}  // namespace

double exp_double(double x) {
  if (std::isnan(x)) return x;
  if (x < -708) return 0;
  if (x > 709.78) return kInfinity;
  const double n = (x * 0x1.71547652b82fep0 + kRound) - kRound;
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;  // ln 2 in two parts
  double p = 1;  // Taylor; the first term left out is below 5e-18
  for (int k = 13; k >= 1; --k) p = p * r / k + 1;
  const auto power = static_cast<std::int64_t>(n);
  return p * power_of_two(power / 2) * power_of_two(power - power / 2);
}

double log_double(double x) {
  if (std::isnan(x) || x < 0) return kNan;
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  std::int64_t exponent = 0;
  if (x < 0x1p-1022) {  // subnormal
    x *= 0x1p54;
    exponent = -54;
  }
  const auto bits = std::bit_cast<std::uint64_t>(x);
  exponent += static_cast<std::int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0xFFFFFFFFFFFFFULL) | 0x3FF0000000000000ULL);
  if (m > 0x1.6a09e667f3bcdp0) {  // sqrt 2
    m *= 0.5;
    ++exponent;
  }
  // ln m = 2 atanh s, with the leading term f - f^2/2 kept apart
  const double f = m - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  double p = 0;
  for (int k = 23; k >= 3; k -= 2) p = p * z + 2.0 / k;
  const double half_square = 0.5 * f * f;
  const auto n = static_cast<double>(exponent);
  const double tail = s * (half_square + p * z);
  return n * 0x1.62e42fee00000p-1 + (f - (half_square - (tail + n * 0x1.a39ef35793c76p-33)));
}

double power_double(double base, double exponent) { return exp_double(exponent * log_double(base)); }

SinCos sin_cos_double(double x) {
  if (!(std::abs(x) <= 0x1p50)) return {kNan, kNan};
  const double n = (x * 0x1.45f306dc9c883p-1 + kRound) - kRound;  // 2 / pi
  // pi / 2 in three parts of 33, 33 and 53 bits: the first two products are exact for |n| < 2^20
  const double r = ((x - n * 0x1.921fb544p0) - n * 0x1.0b4611a6p-34) - n * 0x1.3198a2e037073p-69;
  const double z = r * r;
  double sin = 1;  // Taylor; the first terms left out are below 1e-17
  double cos = 1;
  for (int k = 17; k >= 3; k -= 2) {
    sin = 1 - sin * z / (k * (k - 1));
    cos = 1 - cos * z / ((k - 1) * (k - 2));
  }
  sin *= r;
  switch (static_cast<std::int64_t>(n) & 3) {
    case 0:
      return {sin, cos};
    case 1:
      return {cos, -sin};
    case 2:
      return {-sin, -cos};
    default:
      return {-cos, sin};
  }
}

}  // namespace plait::kernels
