// SPDX-License-Identifier: Apache-2.0
//
// 16-bit floats as bits: IEEE half precision (f16) and bfloat16. Portable and exact, so the reference for every
// instruction set; the hardware's own conversions give the same values, and the same bits except in the payload of a
// NaN.
#pragma once

#include <bit>
#include <cstdint>

#include "tensor/type.h"  // first: GCC 12 takes an enumerator f16 after a type f16 for a shadowing declaration

namespace plait::tensor {

using f16 = std::uint16_t;   ///< Bits of an IEEE 754 binary16.
using bf16 = std::uint16_t;  ///< Bits of a bfloat16: the upper half of a float.

/// The exact value. A signalling NaN comes back quiet.
[[nodiscard]] constexpr float f16_to_f32(f16 half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0x1F) {  // infinity, NaN
    const std::uint32_t quiet = mantissa != 0 ? 0x400000U : 0U;
    return std::bit_cast<float>(sign | 0x7F800000U | quiet | (mantissa << 13));
  }
  if (exponent == 0) {  // zero, subnormal: mantissa * 2^-24 is exact in float
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (mantissa << 13));
}

/// Rounds to nearest, ties to even. Too large becomes infinity, too small a subnormal or zero; NaN stays a quiet NaN.
[[nodiscard]] constexpr f16 f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint32_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<f16>(sign | 0x7E00U | ((magnitude >> 13) & 0x3FFU));
  if (magnitude >= 0x477FF000U) return static_cast<f16>(sign | 0x7C00U);  // 65520 and above round to infinity
  if (magnitude < 0x33000001U) return static_cast<f16>(sign);             // 2^-25 and below round to zero
  std::uint32_t kept = 0;                                                 // the result without sign, before rounding
  std::uint32_t lost = 0;  // the cut bits, shifted so that `half_way` is exactly one half
  std::uint32_t half_way = 0x1000;
  if (magnitude >= 0x38800000U) {  // a normal half
    kept = (magnitude - 0x38000000U) >> 13;
    lost = magnitude & 0x1FFFU;
  } else {
    const std::uint32_t shift = 126U - (magnitude >> 23);  // 14..24
    const std::uint32_t mantissa = (magnitude & 0x7FFFFFU) | 0x800000U;
    kept = mantissa >> shift;
    lost = mantissa & ((1U << shift) - 1U);
    half_way = 1U << (shift - 1U);
  }
  const bool up = lost > half_way || (lost == half_way && (kept & 1U) != 0);
  return static_cast<f16>(sign | (kept + (up ? 1U : 0U)));
}

/// The exact value.
[[nodiscard]] constexpr float bf16_to_f32(bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
}

/// 2^(exponent - 128) as a bf16, exactly: the scale of an MXFP4 block, half of what its byte says, because its codebook
/// holds twice the values.
[[nodiscard]] constexpr bf16 e8m0_to_bf16(std::uint8_t exponent) {
  return static_cast<bf16>(exponent < 2 ? 0x20U << exponent : (exponent - 1U) << 7);
}

/// Rounds to nearest, ties to even; NaN stays a quiet NaN.
[[nodiscard]] constexpr bf16 f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<bf16>((bits >> 16) | 0x40U);
  return static_cast<bf16>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

}  // namespace plait::tensor
