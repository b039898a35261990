// SPDX-License-Identifier: Apache-2.0
#include "store/lines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace plait::store {
namespace {

// In pieces of `piece` bytes.
std::vector<std::string> lines_of(std::string_view text, std::size_t piece, std::size_t bytes_max = 1000) {
  Lines lines([&](std::span<std::byte> into) -> base::Result<std::size_t> {
    const std::size_t count = std::min({piece, text.size(), into.size()});
    std::ranges::copy(std::as_bytes(std::span(text.substr(0, count))), into.begin());
    text.remove_prefix(count);
    return count;
  });
  std::vector<std::string> all;
  while (auto line = *lines.next(bytes_max)) all.push_back(*line);
  return all;
}

TEST(Lines, AreTheSameHoweverTheyCome) {
  for (const std::size_t piece : {1U, 2U, 3U, 100U}) {
    EXPECT_EQ(lines_of("ab\n\ncd\nefg", piece), (std::vector<std::string>{"ab", "", "cd", "efg"}));
    EXPECT_EQ(lines_of("", piece), std::vector<std::string>{});
    EXPECT_EQ(lines_of("\n", piece), std::vector<std::string>{""});
    EXPECT_EQ(lines_of("abcdef\ng\n", piece, 3), (std::vector<std::string>{"abcd", "g"}));
  }
}

TEST(Lines, HandOnErrors) {
  Lines lines([](std::span<std::byte>) -> base::Result<std::size_t> { return base::fail(base::ErrorCode::io, "x"); });
  EXPECT_EQ(lines.next(10).error().code, base::ErrorCode::io);
}

}  // namespace
}  // namespace plait::store
