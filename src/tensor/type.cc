// SPDX-License-Identifier: Apache-2.0
#include "tensor/type.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace plait::tensor {
namespace {

constexpr std::array<TypeInfo, 16> kTypes{{
    {Type::f32, "F32", 1, 4},
    {Type::f16, "F16", 1, 2},
    {Type::bf16, "BF16", 1, 2},
    {Type::q4_0, "Q4_0", 32, 18},
    {Type::q4_1, "Q4_1", 32, 20},
    {Type::q5_0, "Q5_0", 32, 22},
    {Type::q5_1, "Q5_1", 32, 24},
    {Type::q8_0, "Q8_0", 32, 34},
    {Type::q2_k, "Q2_K", 256, 84},
    {Type::q3_k, "Q3_K", 256, 110},
    {Type::q4_k, "Q4_K", 256, 144},
    {Type::q5_k, "Q5_K", 256, 176},
    {Type::q6_k, "Q6_K", 256, 210},
    {Type::iq4_nl, "IQ4_NL", 32, 18},
    {Type::iq4_xs, "IQ4_XS", 256, 136},
    {Type::mxfp4, "MXFP4", 32, 17},
}};

// Numbers of the format that plait does not compute with, those that files no longer carry included.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 26> kOthers{{
    {4, "Q4_2"},      {5, "Q4_3"},   {9, "Q8_1"},   {15, "Q8_K"},       {16, "IQ2_XXS"},    {17, "IQ2_XS"},
    {18, "IQ3_XXS"},  {19, "IQ1_S"}, {21, "IQ3_S"}, {22, "IQ2_S"},      {24, "I8"},         {25, "I16"},
    {26, "I32"},      {27, "I64"},   {28, "F64"},   {29, "IQ1_M"},      {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
    {33, "Q4_0_8_8"}, {34, "TQ1_0"}, {35, "TQ2_0"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
    {40, "NVFP4"},    {41, "Q1_0"},
}};

}  // namespace

std::span<const TypeInfo> all_types() { return kTypes; }

const TypeInfo& info(Type type) {
  const auto found = std::ranges::find(kTypes, type, &TypeInfo::type);
  PLAIT_CHECK(found != kTypes.end(), static_cast<std::uint32_t>(type));
  return *found;
}

std::optional<Type> type_from_number(std::uint32_t number) {
  const auto found = std::ranges::find(kTypes, static_cast<Type>(number), &TypeInfo::type);
  if (found == kTypes.end()) return std::nullopt;
  return found->type;
}

std::string_view unsupported_type_name(std::uint32_t number) {
  const auto found = std::ranges::find(kOthers, number, [](const auto& entry) { return entry.first; });
  return found == kOthers.end() ? std::string_view{} : found->second;
}

std::size_t row_bytes(Type type, std::size_t elements) {
  const TypeInfo& type_info = info(type);
  PLAIT_ASSERT(elements % type_info.block_elements == 0, elements);
  return elements / type_info.block_elements * type_info.block_bytes;
}

}  // namespace plait::tensor
