// SPDX-License-Identifier: Apache-2.0
//
// The element types of a model file and the sizes of their blocks. Numbers are those of the GGUF format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace plait::tensor {

/// Element type of a stored tensor. Values are the GGUF type numbers.
enum class Type : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq4_nl = 20,
  iq4_xs = 23,
  bf16 = 30,
  mxfp4 = 39,
};

struct TypeInfo {
  Type type;
  std::string_view name;       ///< As in the format's documents: "Q4_1".
  std::size_t block_elements;  ///< Elements in one block; rows are whole blocks.
  std::size_t block_bytes;     ///< Bytes of one block.
};

/// Every supported type.
[[nodiscard]] std::span<const TypeInfo> all_types();
/// Requires: `type` is one of the enumerators.
[[nodiscard]] const TypeInfo& info(Type type);
/// The supported type with this GGUF number, or nothing.
[[nodiscard]] std::optional<Type> type_from_number(std::uint32_t number);
/// The name of a GGUF type number that exists in the format but is not supported here ("IQ2_XS", "NVFP4"), else empty.
[[nodiscard]] std::string_view unsupported_type_name(std::uint32_t number);

/// Bytes of a row of `elements`. Requires: elements is a multiple of the type's block_elements.
[[nodiscard]] std::size_t row_bytes(Type type, std::size_t elements);

}  // namespace plait::tensor
