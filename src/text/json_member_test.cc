// SPDX-License-Identifier: Apache-2.0
#include "text/json_member.h"

#include <gtest/gtest.h>

namespace plait::text {
namespace {

TEST(JsonMember, WhatIsNotThereIsNothing) {
  const Json json = *parse_json(R"({"a": {"n": 2.5, "s": "x"}, "minus": -1, "huge": 1e300, "list": [1]})");
  const Json& a = member(json, "a");
  EXPECT_EQ(number_of(a, "n"), 2.5);
  EXPECT_EQ(count_of(a, "n"), 2U);
  EXPECT_EQ(text_of(a, "s"), "x");
  EXPECT_EQ(text_of(a, "n"), "");
  EXPECT_EQ(number_of(a, "s"), 0);
  EXPECT_EQ(count_of(json, "minus"), 0U);
  EXPECT_EQ(count_of(json, "huge"), 1'000'000'000'000'000U);
  EXPECT_TRUE(member(json, "b").is_null());
  EXPECT_TRUE(member(member(json, "list"), "a").is_null());
}

}  // namespace
}  // namespace plait::text
