// SPDX-License-Identifier: Apache-2.0
//
// Elementary functions in double for tables and single numbers. Our own, in one unit without ISA flags, since those of
// C libraries differ from one machine to the next in the last bits.
#pragma once

namespace plait::kernels {

/// e^x to 2 ulp; 0 below -708, infinity above 709.78, NaN for NaN.
[[nodiscard]] double exp_double(double x);

/// The natural logarithm to 2 ulp; -infinity for 0, NaN below 0.
[[nodiscard]] double log_double(double x);

/// base^exponent = e^(exponent ln base). Requires: base > 0. Relative error below 1e-15 * (1 + |exponent ln base|).
[[nodiscard]] double power_double(double base, double exponent);

struct SinCos {
  double sin;
  double cos;
};

/// Absolute error below 4e-16 for |x| <= 1.6e6, growing to 1e-16 |x| beyond; NaN for |x| > 2^50, infinity and NaN.
[[nodiscard]] SinCos sin_cos_double(double x);

}  // namespace plait::kernels
