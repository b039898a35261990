// SPDX-License-Identifier: Apache-2.0
#include "models/answer_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "models/answer_parser_exercise.h"

namespace plait::models {
namespace {

struct Case {
  ToolFormat format;
  std::string text;
  std::string shown;  // see show()
};

AnswerSyntax with(ToolFormat format, bool thinks = false) {
  return {.tools = format, .names = {"sum", "get_time"}, .thinks = thinks};
}

/// Thoughts in ( ), calls in [ ] with ! where they break off, texts as they are.
std::string show(const std::vector<AnswerEvent>& events) {
  std::string out;
  bool open = false;
  const auto leave = [&] {
    if (std::exchange(open, false)) out += "!]";
  };
  for (const AnswerEvent& event : events) {
    switch (event.kind) {
      case AnswerEvent::Kind::text:
        leave();
        out += event.text;
        break;
      case AnswerEvent::Kind::thought:
        out += '(' + event.text + ')';
        break;
      case AnswerEvent::Kind::call:
        leave();
        open = true;
        out += '[' + event.text + ' ';
        break;
      case AnswerEvent::Kind::arguments:
        out += event.text;
        break;
      case AnswerEvent::Kind::call_end:
        open = false;
        out += ']';
        break;
    }
  }
  leave();
  return out;
}

std::vector<Case> cases() {
  const std::string sum = R"({"name": "sum", "arguments": {"a": [1, 2]}})";
  const std::string time = R"({"name": "get_time", "arguments": {}})";
  const std::string bare = R"({ "name":"sum","parameters":{"a":"}"} })";
  return {
      // Calls as models write them.
      {ToolFormat::hermes, "<tool_call>\n" + sum + "\n</tool_call>", R"([sum {"a": [1, 2]}])"},
      {ToolFormat::hermes, "Let me see.\n<tool_call>\n" + sum + "\n</tool_call>\n<tool_call>" + time + "</tool_call>\n",
       R"(Let me see.[sum {"a": [1, 2]}][get_time {}])"},
      {ToolFormat::hermes, "<tool_call>" + sum + "</tool_call> So.", R"([sum {"a": [1, 2]}]So.)"},
      {ToolFormat::llama, bare, R"([sum {"a":"}"}])"},
      {ToolFormat::llama, "<|python_tag|>" + bare + "; " + time, R"([sum {"a":"}"}][get_time {}])"},
      {ToolFormat::llama, R"({"type": "function", "name": "sum", "parameters": {}})", "[sum {}]"},
      {ToolFormat::mistral, "[TOOL_CALLS] [" + sum + ", " + time + "]", R"([sum {"a": [1, 2]}][get_time {}])"},
      {ToolFormat::mistral, R"([TOOL_CALLS][{"name": "sum", "arguments": {}, "id": "abcdefghi"}])", "[sum {}]"},
      {ToolFormat::mistral_named, "[TOOL_CALLS]sum[ARGS]{\"a\": 1}[TOOL_CALLS]get_time[CALL_ID]x1[ARGS]{}",
       R"([sum {"a": 1}][get_time {}])"},
      {ToolFormat::json, R"({"tool_calls": [)" + sum + ", " + time + "]}", R"([sum {"a": [1, 2]}][get_time {}])"},
      {ToolFormat::json, "\n{\n \"tool_calls\": [\n" + sum + "\n]\n}\n", R"([sum {"a": [1, 2]}])"},
      // Texts that are none.
      {ToolFormat::hermes, "a < b <tool", "a < b <tool"},
      {ToolFormat::hermes, "<tool_call>\nno</tool_call>", "<tool_call>\nno</tool_call>"},
      {ToolFormat::hermes, R"(<tool_call>{"name": "rm", "arguments": {}}</tool_call>)",
       R"(<tool_call>{"name": "rm", "arguments": {}}</tool_call>)"},
      {ToolFormat::hermes, R"(<tool_call>{"arguments": {}, "name": "sum"}</tool_call>)",
       R"(<tool_call>{"arguments": {}, "name": "sum"}</tool_call>)"},
      {ToolFormat::hermes, "<tool_call><tool_call>" + time, "<tool_call>[get_time {}]"},
      {ToolFormat::hermes, R"(<tool_call>{"name": "sum", "arguments": "{}"}</tool_call>)",
       R"(<tool_call>{"name": "sum", "arguments": "{}"}</tool_call>)"},
      {ToolFormat::hermes, R"(<tool_call>{"name": "sum", "argum)", R"(<tool_call>{"name": "sum", "argum)"},
      {ToolFormat::llama, R"({"name": "Ann", "age": 3})", R"({"name": "Ann", "age": 3})"},
      {ToolFormat::llama, "Look: " + bare, "Look: " + bare},
      {ToolFormat::llama, "\xC3\xA9t\xC3\xA9 " + bare, "\xC3\xA9t\xC3\xA9 " + bare},
      {ToolFormat::json, "See " + sum, "See " + sum},
      {ToolFormat::mistral, "[TOOL_CALLS] none [ARGS]", "[TOOL_CALLS] none [ARGS]"},
      {ToolFormat::hermes, " \n ", " \n "},
      {ToolFormat::hermes, "", ""},
      // Calls that break off, or whose end is missing.
      {ToolFormat::hermes, R"(<tool_call>{"name": "sum", "arguments": {"a": 1,)", R"([sum {"a": 1,!])"},
      {ToolFormat::hermes, R"(<tool_call>{"name": "sum", "arguments": {"a": 1,} oh)", R"([sum {"a": 1,!]} oh)"},
      {ToolFormat::hermes, R"(<tool_call>{"name": "sum", "arguments": {}} oh)", "[sum {}]oh"},
      {ToolFormat::hermes, R"(<tool_call>{"name": "sum", "arguments": {})", "[sum {}]"},
      {ToolFormat::mistral, "[TOOL_CALLS] [" + sum + ", oh", R"([sum {"a": [1, 2]}], oh)"},
      {ToolFormat::json, R"({"tool_calls": []})", R"({"tool_calls": []})"},
  };
}

TEST(AnswerParser, ReadsCallsInEveryFormatAndLeavesTheRest) {
  for (const Case& one : cases()) {
    EXPECT_EQ(show(whole(one.text, with(one.format))), one.shown) << one.text;
  }
}

TEST(AnswerParser, ReadsThoughts) {
  const std::string call = R"(<tool_call>{"name": "sum", "arguments": {}}</tool_call>)";
  AnswerSyntax syntax = with(ToolFormat::hermes, true);
  for (const auto& [text, shown] : std::initializer_list<std::pair<std::string, std::string>>{
           {"<think>\nWell < so.\n\n</think>\n\nYes.", "(Well < so.)Yes."},
           {"\n<think></think>\n" + call, "[sum {}]"},
           {"<think>" + call + "</think>" + call, '(' + call + ")[sum {}]"},
           {"<think>no end\n", "(no end)"},
           {"<think>no end</thi", "(no end</thi)"},
           {"Well <think>x</think>", "Well <think>x</think>"},
           {"<thin", "<thin"}}) {
    EXPECT_EQ(show(whole(text, syntax)), shown) << text;
    for_every_split(text, syntax);
  }
  syntax.thought_open = true;
  EXPECT_EQ(show(whole("\nSo.\n</think>\nYes.", syntax)), "(So.)Yes.");
  syntax = {};
  EXPECT_EQ(show(whole("<think>x</think> <tool_call>", syntax)), "<think>x</think> <tool_call>");
}

TEST(AnswerParser, TheEventsDoNotDependOnThePieces) {
  std::mt19937 random(1);  // NOLINT: the same pieces each time
  for (const Case& one : cases()) {
    for (const bool thinks : {false, true}) {
      const std::string text = (thinks ? "<think>\n hm \n</think>\n\n" : "") + one.text;
      const AnswerSyntax syntax = with(one.format, thinks);
      for_every_split(text, syntax);
      for (int round = 0; round < 50; ++round) in_pieces(text, syntax, [&] { return 1 + random() % 9; });
    }
  }
}

TEST(AnswerParser, LongSpaceAndLongNonsenseAreNotHeldBack) {
  const AnswerSyntax syntax = with(ToolFormat::hermes);
  AnswerParser parser(syntax);
  const std::string space(5000, ' ');
  EXPECT_EQ(parser.push(space).at(0).text.size(), 5000U - 1024);
  const std::string text = "<tool_call>" + space + "x";
  EXPECT_EQ(show(whole(text, syntax)), text);
  for (const std::size_t at : {1000U, 1024U, 1030U, 3000U}) {
    EXPECT_EQ(in_pieces(text, syntax, [&] { return at; }), whole(text, syntax));
    EXPECT_EQ(in_pieces(space + text, syntax, [&] { return at; }), whole(space + text, syntax));
  }
}

TEST(ToolFormat, IsSeenFromWhatATemplatePrints) {
  EXPECT_EQ(tool_format_of(R"(<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>)", "f"),
            ToolFormat::hermes);
  EXPECT_EQ(tool_format_of(R"({"name": "f", "parameters": {"x": 1}}<|eot_id|>)", "f"), ToolFormat::llama);
  EXPECT_EQ(tool_format_of(R"([TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}, "id": "a"}])", "f"),
            ToolFormat::mistral);
  EXPECT_EQ(tool_format_of(R"([TOOL_CALLS]f[ARGS]{"x": 1}</s>)", "f"), ToolFormat::mistral_named);
  EXPECT_EQ(tool_format_of("<tool_call>\n<function=f>\n<parameter=x>\n1", "f"), ToolFormat::json);
  EXPECT_EQ(tool_format_of("", "f"), ToolFormat::json);
}

TEST(ToolFormat, IdsDifferAndRepeat) {
  EXPECT_EQ(call_id(ToolFormat::hermes, 1, 0), call_id(ToolFormat::llama, 1, 0));
  EXPECT_NE(call_id(ToolFormat::hermes, 1, 0), call_id(ToolFormat::hermes, 1, 1));
  EXPECT_NE(call_id(ToolFormat::hermes, 1, 0), call_id(ToolFormat::hermes, 2, 0));
  EXPECT_TRUE(call_id(ToolFormat::json, 7, 3).starts_with("call_"));
  EXPECT_EQ(call_id(ToolFormat::mistral, 7, 3).size(), 9U);
}

}  // namespace
}  // namespace plait::models
