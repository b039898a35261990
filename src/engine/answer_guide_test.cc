// SPDX-License-Identifier: Apache-2.0
//
// Answers by chance, within what the guide allows: calls that come must be whole and fit.
#include "engine/answer_guide.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "models/answer_parser.h"
#include "models/tool_grammar.h"
#include "text/json.h"

namespace plait::engine {
namespace {

using base::TokenId;
using models::ToolFormat;

class AnswerGuideTest : public ::testing::Test {
 protected:
  AnswerGuideTest() {
    std::vector<std::string> words;
    std::vector<std::int32_t> kinds;
    const auto add = [&](const std::string& word, int kind) {
      words.push_back(word);
      kinds.push_back(kind);
    };
    for (char c = '!'; c <= '~'; ++c) add(std::string(1, c), 1);
    for (const char* word : {"\xC4\xA0", "\xC4\x8A", "ll>x", "ll>\xC4\x8A", "{\"", "\":", "name"}) add(word, 1);
    add("<tool_call>", 4);
    for (const char* word : {"<think>", "</think>", "[TOOL_CALLS]", "[ARGS]", "<|end|>"}) add(word, 3);
    models::TokenizerSource source;
    source.tokens.assign(words.begin(), words.end());
    source.kinds = kinds;
    source.eos = static_cast<std::int64_t>(words.size()) - 1;
    tokenizer_ = models::Tokenizer::make(source).value();
    table_ = std::make_shared<const models::TokenMaskTable>(*tokenizer_, models::answer_marks(*tokenizer_));
  }

  std::unique_ptr<models::MaskCache> masks(ToolFormat format, bool several = true) {
    const text::Json parameters = text::parse_json(R"({"type": "object", "properties": {"a": {"enum": [1, "x"]},
        "b": {"type": "array", "items": {"type": "boolean"}}}, "required": ["a"], "additionalProperties": false})")
                                      .value();
    const std::vector<models::ToolSchema> tools{{.name = "get", .parameters = parameters},
                                                {.name = "get_all", .parameters = parameters}};
    auto grammar = models::tool_grammar(format, tools, {.several = several, .behind_thought = true}).value();
    return std::make_unique<models::MaskCache>(std::make_shared<const text::Grammar>(std::move(grammar)), table_);
  }
  std::vector<TokenId> encoded(std::string_view text) { return tokenizer_->encode(text, {.add_special = false}); }

  bool allows(AnswerGuide& guide, std::string_view word) {
    const auto mask = guide.mask().value();
    const auto id = static_cast<std::size_t>(encoded_word(word).value());
    return mask.empty() || (mask[id / 64] >> (id % 64) & 1U) != 0;
  }
  TokenId encoded_word(std::string_view word) {
    for (std::size_t i = 0; i < tokenizer_->size(); ++i) {
      const TokenId id(static_cast<std::int32_t>(i));
      if (tokenizer_->piece(id) == word) return id;
    }
    ADD_FAILURE() << word;
    return {};
  }

  /// Writes `given`, then what comes by chance, up to the end or `tokens_max`.
  std::string write(AnswerGuide& guide, std::size_t tokens_max, std::string_view given, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const std::vector<TokenId> begin = encoded(given);
    std::string text;
    for (std::size_t count = 0; count < tokens_max;) {
      const auto mask = guide.mask().value();
      std::vector<TokenId> allowed;
      for (std::size_t i = 0; i < tokenizer_->size(); ++i) {
        if (mask.empty() || (mask[i / 64] >> (i % 64) & 1U) != 0) allowed.emplace_back(static_cast<std::int32_t>(i));
      }
      EXPECT_FALSE(allowed.empty()) << text;
      if (allowed.empty()) break;
      const TokenId token = count < begin.size() ? begin[count] : allowed[random() % allowed.size()];
      EXPECT_NE(std::ranges::find(allowed, token), allowed.end()) << text;
      if (token == tokenizer_->eos()) break;
      text += tokenizer_->piece(token);
      ++count;
      for (const TokenId forced : guide.accept(token)) {
        text += tokenizer_->piece(forced);
        ++count;
      }
    }
    return text;
  }
  static models::AnswerSyntax syntax(ToolFormat format, bool open = false) {
    return {.tools = format, .names = {"get", "get_all"}, .thinks = true, .thought_open = open};
  }

  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::shared_ptr<const models::TokenMaskTable> table_;
};

constexpr ToolFormat kFormats[] = {ToolFormat::hermes, ToolFormat::llama, ToolFormat::mistral,
                                   ToolFormat::mistral_named, ToolFormat::json};

TEST_F(AnswerGuideTest, FromItsOpeningOnACallFitsInEveryFormat) {
  for (const ToolFormat format : kFormats) {
    const models::ToolOpening opening = models::opening_of(format);
    const auto cache = masks(format);
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      AnswerGuide guide(*table_, cache.get(), {.grammar_at = GrammarAt::opening, .opening = opening}, 200);
      const std::string lead = opening.at_start ? "" : "Hi < [";
      const std::string text = write(guide, 200, lead + std::string(opening.text), seed);
      const models::Answer answer = models::read_answer(text, syntax(format));
      EXPECT_EQ(answer.text, lead) << text;
      ASSERT_FALSE(answer.calls.empty()) << text;
      for (const auto& call : answer.calls) {
        EXPECT_TRUE(call.complete) << text;
        EXPECT_TRUE(text::parse_json(call.arguments)->contains("a")) << text;
      }
    }
  }
}

TEST_F(AnswerGuideTest, SpaceBetweenTheMarksOfAnOpeningDoesNotMatter) {
  const auto cache = masks(ToolFormat::json);
  AnswerGuide guide(*table_, cache.get(),
                    {.grammar_at = GrammarAt::opening, .opening = models::opening_of(ToolFormat::json)}, 200);
  const std::string text = write(guide, 200, "\n{ \"tool_calls\":\n[", 1);
  EXPECT_FALSE(models::read_answer(text, syntax(ToolFormat::json)).calls.empty()) << text;
}

TEST_F(AnswerGuideTest, NoTokenLeadsAcrossTheOpeningIntoWhatDoesNotFit) {
  const auto cache = masks(ToolFormat::hermes);
  AnswerGuide guide(*table_, cache.get(),
                    {.grammar_at = GrammarAt::opening, .opening = models::opening_of(ToolFormat::hermes)}, 200);
  EXPECT_TRUE(guide.mask()->empty());
  for (const char c : std::string_view("<tool_ca")) static_cast<void>(guide.accept(encoded_word(std::string(1, c))));
  EXPECT_FALSE(allows(guide, "ll>x"));
  EXPECT_TRUE(allows(guide, "ll>\n") && allows(guide, "l") && allows(guide, "x"));
  EXPECT_FALSE(guide.accept(encoded_word("ll>\n")).empty());  // {"name": "get
}

TEST_F(AnswerGuideTest, ACallThatCouldNotEndIsNotBegun) {
  const auto cache = masks(ToolFormat::hermes);
  const std::size_t least = cache->tokens_to_end(cache->start());
  const AnswerGuideOptions options{.grammar_at = GrammarAt::opening, .opening = models::opening_of(ToolFormat::hermes)};
  AnswerGuide enough(*table_, cache.get(), options, least + 2);
  EXPECT_TRUE(allows(enough, "<tool_call>"));
  AnswerGuide few(*table_, cache.get(), options, least);
  EXPECT_FALSE(allows(few, "<tool_call>"));
  EXPECT_TRUE(allows(few, "<"));
}

TEST_F(AnswerGuideTest, OneCallIsOneCall) {
  for (const ToolFormat format : kFormats) {
    const auto cache = masks(format, false);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      AnswerGuide guide(*table_, cache.get(), {.grammar_at = GrammarAt::start}, 300);
      EXPECT_EQ(models::read_answer(write(guide, 300, "", seed), syntax(format)).calls.size(), 1U);
    }
  }
}

TEST_F(AnswerGuideTest, AThoughtEndsWithinItsBudget) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    AnswerGuide guide(*table_, nullptr, {.thinks = true, .thought_tokens_max = 10}, 40);
    const models::Answer answer = models::read_answer(write(guide, 40, "", seed), syntax(ToolFormat::json, true));
    EXPECT_LE(answer.thought.size(), 10 * std::string_view("[TOOL_CALLS]").size());
    AnswerGuide opened(*table_, nullptr, {.may_think = true, .thought_tokens_max = 0}, 40);
    EXPECT_TRUE(write(opened, 40, "<think>", seed).starts_with("<think>\n</think>\n\n"));
    AnswerGuide none(*table_, nullptr, {.thinks = true, .thought_tokens_max = 0}, 40);
    EXPECT_TRUE(write(none, 40, "", seed).starts_with("\n</think>\n\n"));
  }
}

TEST_F(AnswerGuideTest, AThoughtLeavesRoomForWhatIsRequired) {
  for (const ToolFormat format : kFormats) {
    const auto cache = masks(format);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      AnswerGuide guide(*table_, cache.get(), {.grammar_at = GrammarAt::start, .thinks = true}, 150);
      EXPECT_LT(guide.tokens_min(), 150U);
      const std::string text = write(guide, 150, "", seed);
      const models::Answer answer = models::read_answer(text, syntax(format, true));
      ASSERT_FALSE(answer.calls.empty()) << text;
      EXPECT_TRUE(answer.calls.back().complete && answer.text.empty()) << text;
      AnswerGuide may(*table_, cache.get(), {.grammar_at = GrammarAt::start, .may_think = true}, 150);
      EXPECT_TRUE(allows(may, "<think>"));
      const std::string chosen = write(may, 150, seed % 2 == 0 ? "<think>" : "", seed);
      EXPECT_FALSE(models::read_answer(chosen, syntax(format)).calls.empty()) << chosen;
    }
  }
}

}  // namespace
}  // namespace plait::engine
