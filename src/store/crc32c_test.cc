// SPDX-License-Identifier: Apache-2.0
#include "store/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "base/random.h"

namespace plait::store {
namespace {

// Bit by bit, from the definition.
std::uint32_t crc32c_reference(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

TEST(Crc32c, KnownValues) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xe3069283U);
  const std::vector<std::byte> zeros(32);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(zeros), 0x8a9136aaU);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, EveryVersionEveryLengthAndAlignment) {
  std::vector<std::byte> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(base::random_u64(1, i));
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t length = 0; length <= 260; ++length) {
      const auto part = std::span(bytes).subspan(begin, length);
      const std::uint32_t expected = crc32c_reference(part);
      ASSERT_EQ(crc32c(part), expected) << begin << " " << length;
      ASSERT_EQ(crc32c_by_tables(part), expected) << begin << " " << length;
      const std::size_t cut = length * begin / 9;
      ASSERT_EQ(crc32c(part.subspan(cut), crc32c(part.first(cut))), expected);
      ASSERT_EQ(crc32c_by_tables(part.subspan(cut), crc32c_by_tables(part.first(cut))), expected);
    }
  }
}

}  // namespace
}  // namespace plait::store
