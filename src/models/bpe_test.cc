// SPDX-License-Identifier: Apache-2.0
#include "models/bpe.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace plait::models {
namespace {

using Table = std::map<std::pair<std::uint32_t, std::uint32_t>, Merge<std::uint32_t>>;

auto lookup_in(const Table& table) {
  return [&table](std::uint32_t left, std::uint32_t right) {
    const auto found = table.find({left, right});
    return found == table.end() ? Merge<std::uint32_t>{} : found->second;
  };
}

TEST(MergeSymbols, SearchAndHeapAgree) {
  EXPECT_TRUE(rc::check("merge_few == merge_many", [] {
    Table table;
    const auto merges = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(0, 12), rc::gen::inRange(0, 12)));
    std::uint32_t made = 3;
    for (const auto& [left, right] : merges) {  // ranks repeat, as equal scores do
      table.try_emplace({static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(right)},
                        Merge<std::uint32_t>{made / 2, made});
      ++made;
    }
    const auto start = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 3));
    std::vector<std::uint32_t> few = start;
    std::vector<std::uint32_t> many = start;
    MergeScratch<std::uint32_t> scratch;
    merge_few(few, lookup_in(table), scratch);
    if (!many.empty()) merge_many(many, lookup_in(table), scratch);
    RC_ASSERT(few == many);
  }));
}

TEST(MergeSymbols, EqualRanksMergeFromTheLeft) {
  const Table table = {{{0, 0}, {1, 1}}};
  MergeScratch<std::uint32_t> scratch;
  std::vector<std::uint32_t> symbols(5, 0);
  merge_symbols(symbols, lookup_in(table), scratch);
  EXPECT_EQ(symbols, (std::vector<std::uint32_t>{1, 1, 0}));
}

TEST(MergeSymbols, ALongRunOfOneLetter) {
  Table table;  // a doubling chain: 2^16 letters become one symbol
  for (std::uint32_t i = 0; i < 16; ++i) table[{i, i}] = {i, i + 1};
  MergeScratch<std::uint32_t> scratch;
  std::vector<std::uint32_t> symbols(1u << 16, 0);
  merge_symbols(symbols, lookup_in(table), scratch);
  EXPECT_EQ(symbols, std::vector<std::uint32_t>{16});
}

TEST(BytesOfByteLevel, KnowsTheAlphabet) {
  std::string bytes;
  ASSERT_TRUE(bytes_of_byte_level("\u0120the", bytes));
  EXPECT_EQ(bytes, " the");
  ASSERT_TRUE(bytes_of_byte_level("\u010A\u00C3\u00A9\u0143", bytes));
  EXPECT_EQ(bytes, "\n\xC3\xA9\xAD");
  EXPECT_FALSE(bytes_of_byte_level("a b", bytes));
  EXPECT_FALSE(bytes_of_byte_level("\u4E2D", bytes));
  EXPECT_FALSE(bytes_of_byte_level("\xFF", bytes));
}

}  // namespace
}  // namespace plait::models
