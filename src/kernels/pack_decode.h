// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/pack_format.h"
#include "tensor/half.h"
#include "tensor/type.h"

namespace plait::kernels {

/// One block of a file in a form common to all block types: the parts of w = d * s * (q - offset) [+ min] as integers.
struct DecodedBlock {
  std::uint16_t d = 0;     ///< Bits of an f16, or of a bf16 if PanelFormat::wide_scale.
  tensor::f16 min = 0;     ///< m of Q4_1 and Q5_1, dmin of K formats; 0 otherwise.
  std::uint8_t q[256];     ///< As stored: offset added, or indices into the codebook; 32 or 256 of them.
  std::int8_t scales[16];  ///< K formats and IQ4_XS: per 32 (8 of them) or per 16.
  std::uint8_t mins[16];   ///< K formats with a minimum, likewise.
};

/// Decodes a block of a type that has blocks. `bytes`: its block_bytes bytes, unaligned.
void decode_block(tensor::Type type, const std::byte* bytes, DecodedBlock& out);

/// The weight's integer that a stored quant stands for.
template <PanelFormat F>
int weight_of(int stored) {
  if constexpr (F.codebook != Codebook::none) stored = kCodeBytes<F>.bytes[stored];
  return stored - F.offset;
}

/// How the numbers of one group become 8 bits, rows and weights alike: see matmul.h.
struct GroupScale {
  float scale = 0;   ///< NaN if a number is not finite.
  float factor = 0;  ///< 0: all quants are 0.
};
[[nodiscard]] GroupScale group_scale(std::span<const float> x);
/// In [-127, 127]. Requires: x is of the group that `by` was made for.
[[nodiscard]] int quantised(float x, const GroupScale& by);

/// The scale `d` of a block or panel as a float.
template <PanelFormat F>
float scale_of(std::uint16_t d) {
  return F.wide_scale ? tensor::bf16_to_f32(d) : tensor::f16_to_f32(d);
}

}  // namespace plait::kernels
