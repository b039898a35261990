// SPDX-License-Identifier: Apache-2.0
//
// What the 4-bit quants of codebook formats stand for. Plain arrays, because units of several instruction sets include
// this.
#pragma once

#include <cstdint>

namespace plait::tensor {

/// IQ4_NL and IQ4_XS.
inline constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};
/// MXFP4: twice the numbers of E2M1 (a sign, two bits of exponent, one of mantissa).
inline constexpr std::int8_t kFp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace plait::tensor
