// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/half.h"
#include "tensor/type.h"

namespace plait::kernels {

/// One block of a file in a form common to all block types: the parts of w = d * s * (q - offset) [+ min] as integers.
struct DecodedBlock {
  tensor::f16 d = 0;
  tensor::f16 min = 0;     ///< m of Q4_1 and Q5_1, dmin of K formats; 0 otherwise.
  std::uint8_t q[256];     ///< Offset added; 32 or 256 of them.
  std::int8_t scales[16];  ///< K formats: per 32 (8 of them) or per 16.
  std::uint8_t mins[16];   ///< K formats with a minimum, likewise.
};

/// Decodes a block of a type that has blocks. `bytes`: its block_bytes bytes, unaligned.
void decode_block(tensor::Type type, const std::byte* bytes, DecodedBlock& out);

}  // namespace plait::kernels
