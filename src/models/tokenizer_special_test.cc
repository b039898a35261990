// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer_special.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

namespace plait::models {
namespace {

using Found = std::tuple<std::size_t, std::size_t, int>;

std::vector<Found> fast(const std::vector<std::string>& tokens, const std::string& text) {
  std::vector<SpecialTokens::Entry> entries;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    entries.push_back({tokens[i], base::TokenId(static_cast<std::int32_t>(i))});
  }
  std::vector<Found> out;
  for (const auto& match : SpecialTokens(entries).find(text))
    out.emplace_back(match.begin, match.end, match.id.value());
  return out;
}

/// The definition: the longest token first takes all its places, from the left, in what is left over.
std::vector<Found> by_turns(const std::vector<std::string>& tokens, const std::string& text) {
  std::vector<bool> taken(text.size());
  std::vector<Found> out;
  std::size_t longest = 0;
  for (const auto& token : tokens) longest = std::max(longest, token.size());
  for (std::size_t size = longest; size > 0; --size) {
    for (std::size_t at = 0; at + size <= text.size(); ++at) {  // all tokens of one size share a turn
      if (std::any_of(taken.begin() + static_cast<std::ptrdiff_t>(at),
                      taken.begin() + static_cast<std::ptrdiff_t>(at + size), [](bool b) { return b; })) {
        continue;
      }
      int id = -1;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i] == text.substr(at, size)) id = static_cast<int>(i);
      }
      if (id < 0) continue;
      out.emplace_back(at, at + size, id);
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(at), size, true);
    }
  }
  std::ranges::sort(out);
  return out;
}

TEST(SpecialTokens, EqualsTurnByTurn) {
  EXPECT_TRUE(rc::check("find == by turns", [] {
    const auto letters = rc::gen::element('a', 'b', 'c');
    const auto tokens = *rc::gen::container<std::vector<std::string>>(rc::gen::container<std::string>(letters));
    for (int i = 0; i < 10; ++i) {
      const auto text = *rc::gen::container<std::string>(letters);
      RC_ASSERT(fast(tokens, text) == by_turns(tokens, text));
    }
  }));
}

TEST(SpecialTokens, LongRunsOfOverlappingTokens) {
  std::vector<std::string> newlines;
  for (std::size_t n = 1; n <= 31; ++n) newlines.emplace_back(n, '\n');
  const auto found = fast(newlines, std::string(100'000, '\n'));
  ASSERT_EQ(found.size(), 100'000u / 31 + 1);
  EXPECT_EQ(found.front(), (Found{0, 31, 30}));
  EXPECT_EQ(found.back(), (Found{100'000 / 31 * 31, 100'000, 100'000 % 31 - 1}));
}

TEST(SpecialTokens, NothingToFind) {
  EXPECT_TRUE(fast({}, "text").empty());
  EXPECT_TRUE(fast({"", ""}, "text").empty());
  EXPECT_TRUE(fast({"<s>"}, "").empty());
}

}  // namespace
}  // namespace plait::models
