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

}  // namespace
}  // namespace plait::os
