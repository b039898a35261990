// SPDX-License-Identifier: Apache-2.0
#include "text/json_prefix.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "text/json.h"

namespace plait::text {
namespace {

/// Bytes that were taken, and whether that was a whole object.
std::pair<std::size_t, bool> taken(std::string_view text) {
  JsonPrefix prefix;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const JsonPrefix::Step step = prefix.push(text[i]);
    if (step == JsonPrefix::Step::refused) return {i, false};
    if (step == JsonPrefix::Step::complete) return {i + 1, true};
  }
  return {text.size(), false};
}

TEST(JsonPrefix, TakesWholeObjectsAndStopsBehindThem) {
  for (const std::string_view text :
       {R"({})", R"({"a": [1, -0.5e+10, true, false, null, "x\n\u00e9\ud83d\ude00"], "b": {"c": {}}})",
        "{ \"a\" :\t[ ] ,\n\"b\": [[],[{}]]}", R"({"a":0,"b":10,"c":1E5,"d":1.25})"}) {
    EXPECT_EQ(taken(text), std::pair(text.size(), true)) << text;
    EXPECT_EQ(taken(std::string(text) + " }"), std::pair(text.size(), true)) << text;
    ASSERT_TRUE(parse_json(text)) << text;
  }
}

TEST(JsonPrefix, RefusesTheFirstByteThatDoesNotFit) {
  for (const auto& [text, at] :
       std::initializer_list<std::pair<std::string_view, std::size_t>>{{"[]", 0},
                                                                       {" {}", 0},
                                                                       {R"({,)", 1},
                                                                       {R"({"a" 1})", 5},
                                                                       {R"({"a": 01})", 7},
                                                                       {R"({"a": -})", 7},
                                                                       {R"({"a": 1.})", 8},
                                                                       {R"({"a": 1e})", 8},
                                                                       {R"({"a": 1e123})", 10},
                                                                       {R"({"a": tru3})", 9},
                                                                       {R"({"a": "\x"})", 8},
                                                                       {R"({"a": "\ud83dx"})", 13},
                                                                       {R"({"a": "\ude00"})", 12},
                                                                       {R"({"a": [1}})", 8},
                                                                       {R"({"a": 1,})", 8},
                                                                       {"{\"a\": \"\n\"}", 7}}) {
    EXPECT_EQ(taken(text), std::pair(at, false)) << text;
  }
  EXPECT_LT(taken("{\"a\": " + std::string(1000, '[')).first, 200U);
  EXPECT_LT(taken("{\"a\": " + std::string(1000, '9')).first, 200U);
}

// What it takes as a whole, the parser takes too, and the other way round.
TEST(JsonPrefix, AgreesWithTheParser) {
  std::mt19937 random(1);  // NOLINT: the same texts each time
  constexpr std::string_view kAlphabet = R"({}[]",:\ue01-.+ tfalsn)";
  const std::string seed = R"({"a": [1, -2.5e3, "b\u0041\n"], "c": {"d": true, "e": null}})";
  std::size_t whole = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed;
    for (std::size_t edits = random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      const char byte = kAlphabet[random() % kAlphabet.size()];
      if (random() % 2 == 0) {
        text[at] = byte;
      } else {
        text.insert(at, 1, byte);
      }
    }
    const auto [bytes, complete] = taken(text);
    const auto parsed = parse_json(text);
    const bool is_object = parsed && parsed->is_object() && text.front() == '{';
    if (complete && bytes == text.size()) {
      ++whole;
      EXPECT_TRUE(is_object) << text;
    }
    if (is_object && !text.ends_with(' ')) {
      EXPECT_TRUE(complete && bytes == text.size()) << text;
    }
  }
  EXPECT_GT(whole, 1000U);
}

}  // namespace
}  // namespace plait::text
