// SPDX-License-Identifier: Apache-2.0
#include "text/json.h"

#include <gtest/gtest.h>

namespace plait::text {
namespace {

using base::ErrorCode;

TEST(Json, KeepsOrderAndTheLastOfEqualKeys) {
  EXPECT_EQ(dump_json(*parse_json(R"({"b": 1, "a": [true, null, -0, 1.50, "é"], "b": {"z": {}}})")),
            R"({"b":{"z":{}},"a":[true,null,0,1.5,"é"]})");
}

TEST(Json, ManyMembersTakeLinearTimeAndEqualKeysAreFound) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += "\"k" + std::to_string(i % 100'000) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  const auto json = parse_json(text);
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(json->size(), 100'000U);
  EXPECT_EQ(json->begin().value(), 100'000);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\" 1}", "nul", "\"\xff\"", "1 2", "{\"a\":1}}", "\"\\ud800\"", "1e999", "'a'"}) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json.has_value()) << text;
    EXPECT_EQ(json.error().code, ErrorCode::invalid_data) << text;
  }
}

TEST(Json, Limits) {
  EXPECT_EQ(parse_json(std::string(1'000'000, '[')).error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(parse_json("[[[]]]", {.depth_max = 2}).error().code, ErrorCode::out_of_resources);
  EXPECT_TRUE(parse_json("[[]]", {.depth_max = 2}).has_value());
  EXPECT_EQ(parse_json("[1,2,3]", {.values_max = 3}).error().code, ErrorCode::out_of_resources);
  EXPECT_EQ(parse_json("[1,2,3]", {.bytes_max = 3}).error().code, ErrorCode::out_of_resources);
}

TEST(Json, DumpReplacesWhatIsNotUtf8) { EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xef\xbf\xbd\""); }

}  // namespace
}  // namespace plait::text
