// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "base/ascii.h"
#include "base/check.h"
#include "base/id.h"
#include "base/random.h"
#include "base/result.h"
#include "base/units.h"

namespace plait::base {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ErrorCode::invalid_argument, "odd");
  return n / 2;
}

Result<int> quarter(int n) {
  PLAIT_TRY(const int first, half(n));
  PLAIT_TRY(const int second, half(first));
  return second;
}

Result<void> only_even(int n) {
  PLAIT_TRY_VOID(half(n));
  return {};
}

TEST(Ascii, CaseBlanksAndDigits) {
  EXPECT_TRUE(same_word("Content-TYPE", "content-type"));
  EXPECT_FALSE(same_word("content", "content-type"));
  EXPECT_FALSE(same_word("\xC3\x84", "\xC3\xA4"));  // no letters of ASCII
  EXPECT_EQ(trimmed(" \t a b\t "), "a b");
  EXPECT_EQ(trimmed(" \t"), "");
  for (int c = -128; c < 128; ++c) {
    const auto at = std::string_view("0123456789abcdefABCDEF").find(static_cast<char>(c));
    const int expected = at == std::string_view::npos ? -1 : static_cast<int>(at < 16 ? at : at - 6);
    EXPECT_EQ(hex_digit(static_cast<char>(c)), expected) << c;
  }
}

TEST(Result, TryPassesValuesAndErrorsOn) {
  EXPECT_EQ(quarter(12).value(), 3);
  EXPECT_EQ(quarter(6).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(only_even(2));
  EXPECT_FALSE(only_even(3));
}

TEST(Result, ContextIsAddedInnermostFirst) {
  const Error error = fail(fail(Error{ErrorCode::io, "cannot read"}, "tensor 3").error(), "model x").error();
  EXPECT_EQ(error.text(), "cannot read");
  EXPECT_EQ(error.context, (std::vector<std::string>{"tensor 3", "model x"}));
  EXPECT_NE(error.chain().find("model x"), std::string::npos);
}

TEST(Id, KindsDoNotMix) {
  static_assert(!std::is_convertible_v<int, TokenId>);
  static_assert(!std::is_convertible_v<TokenId, int>);
  EXPECT_LT(TokenId(1), TokenId(2));
}

TEST(Units, HumanBytes) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1536), "1.5 KiB");
  EXPECT_EQ(human_bytes(98'362'432), "93.8 MiB");
  EXPECT_EQ(human_bytes(~0ULL), "16.0 EiB");
}

TEST(Random, IsAPureFunctionAndUniform) {
  EXPECT_EQ(random_u64(7, 9), random_u64(7, 9));
  std::set<std::uint64_t> seen;
  double sum = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    seen.insert(random_u64(1, i));
    const double u = random_unit(2, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
  }
  EXPECT_EQ(seen.size(), 10'000U);
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);  // 7 standard deviations
  EXPECT_NE(child_seed(5, 0), child_seed(5, 1));
}

TEST(CheckDeathTest, PrintsOperandsAndAborts) {
  const int a = 3;
  EXPECT_DEATH(PLAIT_CHECK(a > 4, a), "a > 4.*a = 3");
}

}  // namespace
}  // namespace plait::base
