// SPDX-License-Identifier: Apache-2.0
//
// How a panel of 32 outputs is stored. A panel is one sequential stream of blocks in ascending K:
//
//   block  = header, then `groups` groups of 32 inputs
//   header = d f16[32] (MXFP4: bf16[32], which holds every power of two of its bytes), with a minimum also min f16[32]
//     (for K formats: d and dmin); IQ4_XS: then s i8[8 groups][32]
//   group  = sub-scales, then the planes of the quants
//     sub-scales  1: s u8[32], m u8[32]          2: s0 i8[32], s1 i8[32]; with a minimum also m u8[32][2]
//     planes      a quant q (offset added, so not negative) is cut into base_bits low and high_bits high bits.
//       In every plane the unit is a row of 64 bytes: 16 outputs x 4 inputs, byte 4c + b = output 16 t + c, input 4 r +
//       b, which is one VNNI operand and one row of an AMX tile. Rows are numbered r = 0..7, halves of the panel t =
//       0, 1. 8 bits: row (t, r) at 64 (8 t + r) 4 bits: row r at 64 r, low nibble t = 0, high nibble t = 1 2 bits: row
//       (t, r / 4) at 64 (2 t + r / 4), bits 2 (r % 4) and up 1 bit:  row t at 64 t, bit r
//   F32, F16, BF16: input k is one row of 32 elements.
// Formats with a codebook store indices, which kernels turn into the codebook's value plus the offset, a byte.
// Every piece is a multiple of 64 bytes. Outputs beyond the matrix have d = min = 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/codebook.h"
#include "tensor/type.h"

namespace plait::kernels {

enum class Codebook { none, iq4, fp4 };

struct PanelFormat {
  int groups = 1;     ///< Groups in a block: 1, or 8 for K formats.
  int base_bits = 8;  ///< 8, 4 or 2.
  int high_bits = 0;  ///< 0, 1 or 2.
  int offset = 0;     ///< Stored quant (with a codebook: what it stands for) minus this is the weight's integer.
  bool has_min = false;
  int sub_scales = 0;  ///< Per group: 0, 1 or 2.
  Codebook codebook = Codebook::none;
  bool wide_scale = false;  ///< d is bf16 instead of f16.

  // consteval: these units are compiled for several instruction sets and must leave no shared code behind.
  /// The one signed scale of each group, of all groups of the block: behind d instead of in their groups.
  consteval bool scales_in_header() const { return sub_scales == 1 && !has_min; }
  consteval std::size_t header_bytes() const {
    return has_min ? 128 : scales_in_header() ? 64 + static_cast<std::size_t>(groups) * 32 : 64;
  }
  consteval std::size_t scales_bytes() const {
    return sub_scales == 0 || scales_in_header() ? 0 : sub_scales == 2 && has_min ? 128 : 64;
  }
  /// Bits of an unpacked quant, the offset added.
  consteval int quant_bits() const {
    return codebook == Codebook::iq4 ? 8 : codebook == Codebook::fp4 ? 5 : base_bits + high_bits;
  }
  consteval std::size_t base_bytes() const { return static_cast<std::size_t>(base_bits) * 128; }
  consteval std::size_t high_bytes() const { return static_cast<std::size_t>(high_bits) * 128; }
  consteval std::size_t group_bytes() const { return scales_bytes() + base_bytes() + high_bytes(); }
  consteval std::size_t block_bytes() const {
    return header_bytes() + static_cast<std::size_t>(groups) * group_bytes();
  }
};

inline constexpr PanelFormat kQ4_0{.base_bits = 4, .offset = 8};
inline constexpr PanelFormat kQ4_1{.base_bits = 4, .has_min = true};
inline constexpr PanelFormat kQ5_0{.base_bits = 4, .high_bits = 1, .offset = 16};
inline constexpr PanelFormat kQ5_1{.base_bits = 4, .high_bits = 1, .has_min = true};
inline constexpr PanelFormat kQ8_0{.base_bits = 8, .offset = 128};
inline constexpr PanelFormat kQ2K{.groups = 8, .base_bits = 2, .has_min = true, .sub_scales = 2};
inline constexpr PanelFormat kQ3K{.groups = 8, .base_bits = 2, .high_bits = 1, .offset = 4, .sub_scales = 2};
inline constexpr PanelFormat kQ4K{.groups = 8, .base_bits = 4, .has_min = true, .sub_scales = 1};
inline constexpr PanelFormat kQ5K{.groups = 8, .base_bits = 4, .high_bits = 1, .has_min = true, .sub_scales = 1};
inline constexpr PanelFormat kQ6K{.groups = 8, .base_bits = 4, .high_bits = 2, .offset = 32, .sub_scales = 2};

inline constexpr PanelFormat kIq4Nl{.base_bits = 4, .offset = 128, .codebook = Codebook::iq4};
inline constexpr PanelFormat kIq4Xs{
    .groups = 8, .base_bits = 4, .offset = 128, .sub_scales = 1, .codebook = Codebook::iq4};
inline constexpr PanelFormat kMxfp4{.base_bits = 4, .offset = 16, .codebook = Codebook::fp4, .wide_scale = true};

struct CodeBytes {
  alignas(16) std::uint8_t bytes[16];  ///< Of each index: the codebook's value, the offset added.
};
consteval CodeBytes code_bytes(const std::int8_t (&values)[16], int offset) {
  CodeBytes out{};
  for (int i = 0; i < 16; ++i) out.bytes[i] = static_cast<std::uint8_t>(values[i] + offset);
  return out;
}
/// Requires: F has a codebook.
template <PanelFormat F>
inline constexpr CodeBytes kCodeBytes =
    code_bytes(F.codebook == Codebook::iq4 ? tensor::kIq4Values : tensor::kFp4Values, F.offset);

/// Calls f.template operator()<format>() for the format of a block type; f.template operator()<>() is not called for
/// others. Requires: `type` has blocks.
template <class F>
decltype(auto) with_format(tensor::Type type, F&& f) {
  using enum tensor::Type;
  switch (type) {
    case q4_0:
      return f.template operator()<kQ4_0>();
    case q4_1:
      return f.template operator()<kQ4_1>();
    case q5_0:
      return f.template operator()<kQ5_0>();
    case q5_1:
      return f.template operator()<kQ5_1>();
    case q2_k:
      return f.template operator()<kQ2K>();
    case q3_k:
      return f.template operator()<kQ3K>();
    case q4_k:
      return f.template operator()<kQ4K>();
    case q5_k:
      return f.template operator()<kQ5K>();
    case q6_k:
      return f.template operator()<kQ6K>();
    case iq4_nl:
      return f.template operator()<kIq4Nl>();
    case iq4_xs:
      return f.template operator()<kIq4Xs>();
    case mxfp4:
      return f.template operator()<kMxfp4>();
    default:
      return f.template operator()<kQ8_0>();
  }
}

}  // namespace plait::kernels
