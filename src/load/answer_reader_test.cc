// SPDX-License-Identifier: Apache-2.0
#include "load/answer_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace plait::load {
namespace {

struct Heard {
  AnswerReader reader;
  std::string text;

  explicit Heard(std::initializer_list<std::string_view> events) {
    for (const std::string_view event : events) {
      reader.event(event, [this](std::size_t choice, std::string_view piece) {
        text += std::to_string(choice) + ":" + std::string(piece) + " ";
      });
    }
  }
};

TEST(AnswerReader, ReadsCompletionsAndChats) {
  const Heard completions{R"({"choices":[{"index":0,"text":"Hi"},{"index":1,"text":"Ho"},{"index":2,"text":""}]})",
                          R"({"choices":[{"index":0,"text":"","finish_reason":"length"}],"usage":null})",
                          R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,
                              "prompt_tokens_details":{"cached_tokens":5}}})",
                          "[DONE]"};
  EXPECT_EQ(completions.text, "0:Hi 1:Ho ");
  EXPECT_TRUE(completions.reader.done());
  EXPECT_FALSE(completions.reader.error());
  ASSERT_TRUE(completions.reader.usage());
  EXPECT_EQ(completions.reader.usage()->prompt_tokens, 7U);
  EXPECT_EQ(completions.reader.usage()->cached_tokens, 5U);
  EXPECT_EQ(completions.reader.usage()->generated_tokens, 3U);
  const Heard chat{R"({"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]})",
                   R"({"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]})",
                   R"({"choices":[{"index":0,"delta":{"content":"yes"}}]})"};
  EXPECT_EQ(chat.text, "0:hm 0:yes ");
  EXPECT_FALSE(chat.reader.done());
  EXPECT_FALSE(chat.reader.usage());
}

TEST(AnswerReader, ErrorsAreHeardInAllTheirShapes) {
  EXPECT_EQ(Heard{R"({"error":{"message":"no room","code":500}})"}.reader.error(), "no room");
  EXPECT_EQ(Heard{R"({"error":"plain"})"}.reader.error(), "plain");
  EXPECT_TRUE(Heard{R"({"error":{}})"}.reader.error());
  EXPECT_FALSE(Heard{R"({"error":null,"choices":[]})"}.reader.error());
  EXPECT_TRUE(Heard{"nonsense"}.reader.error());
  EXPECT_TRUE(Heard{"[1]"}.reader.error());
  EXPECT_FALSE(Heard{R"({"choices":7,"usage":"none"})"}.reader.error());
  EXPECT_FALSE(Heard{R"({"choices":[3,{"index":-1,"text":["x"],"delta":4}]})"}.reader.error());
  EXPECT_EQ(error_message(R"({"error":{"message":"two\nlines"}})"), "two lines");
  EXPECT_EQ(error_message("<html>"), "<html>");
  EXPECT_EQ(error_message(std::string(5000, 'x')).size(), 200U);
}

}  // namespace
}  // namespace plait::load
