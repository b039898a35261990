// SPDX-License-Identifier: Apache-2.0
#include "os/page_buffer.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace plait::os {
namespace {

TEST(PageBuffer, IsZeroedAlignedAndRoundedUp) {
  const PageBuffer buffer(5000);
  ASSERT_NE(buffer.data(), nullptr);
  EXPECT_GE(buffer.size(), 5000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096, 0U);
  for (std::size_t i = 0; i < buffer.size(); ++i) ASSERT_EQ(buffer.data()[i], std::byte{0});
}

TEST(PageBuffer, NothingAndTooMuchAreEmpty) {
  EXPECT_EQ(PageBuffer(0).data(), nullptr);
  EXPECT_EQ(PageBuffer(~base::Bytes{0}).data(), nullptr);
  EXPECT_EQ(PageBuffer(~base::Bytes{0} / 4).data(), nullptr);
}

TEST(PageBuffer, MovesItsMemory) {
  PageBuffer first(100);
  std::byte* memory = first.data();
  PageBuffer second(std::move(first));
  EXPECT_EQ(second.data(), memory);
  PageBuffer third;
  third = std::move(second);
  EXPECT_EQ(third.data(), memory);
}

TEST(HugeVector, GrowsAcrossTheBorderAndKeepsItsNumbers) {
  HugeVector<float> numbers;
  for (int i = 0; i < 400'000; ++i) numbers.push_back(static_cast<float>(i));
  for (int i = 0; i < 400'000; ++i) ASSERT_EQ(numbers[static_cast<std::size_t>(i)], static_cast<float>(i));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(numbers.data()) % (std::uintptr_t{2} << 20), 0U);
  const HugeVector<float> small(10, 1.0F);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small.data()) % 64, 0U);
  EXPECT_THROW(HugeVector<double>(std::size_t{1} << 58), std::bad_alloc);
}

}  // namespace
}  // namespace plait::os
