// SPDX-License-Identifier: Apache-2.0
#include "tensor/dequantise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "tensor/half.h"

namespace plait::tensor {
namespace {

std::vector<std::byte> bytes_of_hex(const std::string& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes.push_back(std::byte(std::stoul(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

const TypeInfo* type_named(const std::string& name) {
  for (const TypeInfo& type : all_types()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

// The file is written by tools/make_dequantise_golden.py.
TEST(Dequantise, EqualsAnIndependentImplementationBitForBit) {
  std::ifstream file(PLAIT_SOURCE_DIR "/src/tensor/testdata/dequantise.txt");
  std::set<Type> seen;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name, block_hex, value_hex;
    fields >> name >> block_hex >> value_hex;
    const TypeInfo* type = type_named(name);
    ASSERT_NE(type, nullptr) << name;
    const std::vector<std::byte> blocks = bytes_of_hex(block_hex);
    std::vector<float> values(blocks.size() / type->block_bytes * type->block_elements);
    ASSERT_EQ(value_hex.size(), values.size() * 8);
    dequantise(type->type, blocks, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto expected = static_cast<std::uint32_t>(std::stoul(value_hex.substr(i * 8, 8), nullptr, 16));
      ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), expected)
          << name << " element " << i << ": " << values[i] << " and " << std::bit_cast<float>(expected);
    }
    seen.insert(type->type);
  }
  EXPECT_EQ(seen.size(), all_types().size());
}

TEST(Dequantise, BlocksAreIndependentOfTheirNeighbours) {
  for (const TypeInfo& type : all_types()) {
    constexpr std::size_t kBlocks = 5;
    std::vector<std::byte> blocks(kBlocks * type.block_bytes);
    for (std::size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = std::byte(base::random_u64(3, i) & 0x3F);  // finite halves
    std::vector<float> together(kBlocks * type.block_elements);
    dequantise(type.type, blocks, together);
    for (std::size_t block = 0; block < kBlocks; ++block) {
      std::vector<float> alone(type.block_elements);
      dequantise(type.type, std::span(blocks).subspan(block * type.block_bytes, type.block_bytes), alone);
      for (std::size_t i = 0; i < alone.size(); ++i) {
        ASSERT_EQ(alone[i], together[block * type.block_elements + i]) << type.name;
      }
    }
  }
}

TEST(Dequantise, ValuesOfSmallExamplesByHand) {
  std::vector<std::byte> block(18);
  block[1] = std::byte{0x40};  // d = 2
  block[2] = std::byte{0xF0};  // element 0: 0, element 16: 15
  std::vector<float> out(32);
  dequantise(Type::q4_0, block, out);
  EXPECT_EQ(out[0], -16);
  EXPECT_EQ(out[16], 14);
  EXPECT_EQ(out[1], -16);
  dequantise(Type::f32, {}, {});
}

TEST(DequantiseDeathTest, ABufferOfTheWrongSizeIsABug) {
  std::vector<float> out(33);
  std::vector<std::byte> block(18);
  EXPECT_DEATH(dequantise(Type::q4_0, block, out), "check failed");
  EXPECT_DEATH(dequantise(Type::q4_0, block, std::span(out).first(0)), "check failed");
}

TEST(Type, NumbersNamesAndSizes) {
  for (const TypeInfo& type : all_types()) {
    EXPECT_EQ(type_from_number(static_cast<std::uint32_t>(type.type)), type.type);
    EXPECT_EQ(unsupported_type_name(static_cast<std::uint32_t>(type.type)), "");
    EXPECT_EQ(row_bytes(type.type, 3 * type.block_elements), 3 * type.block_bytes);
    EXPECT_EQ(&info(type.type), &type);
  }
  EXPECT_EQ(type_from_number(40), std::nullopt);
  EXPECT_EQ(unsupported_type_name(16), "IQ2_XXS");
  EXPECT_EQ(unsupported_type_name(40), "NVFP4");
  EXPECT_EQ(unsupported_type_name(42), "");
  EXPECT_EQ(unsupported_type_name(12345), "");
}

}  // namespace
}  // namespace plait::tensor
