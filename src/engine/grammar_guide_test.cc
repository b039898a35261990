// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar_guide.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/text_answer.h"
#include "models/tokenizer.h"
#include "testing/scripted_runner.h"
#include "text/grammar/regex.h"

namespace plait::engine {
namespace {

using base::TokenId;

/// One token for each printable character of ASCII, one for `true`, and an end.
class GrammarGuideTest : public ::testing::Test, public Listener {
 protected:
  GrammarGuideTest() {
    std::vector<std::string> words;
    for (char c = '!'; c <= '~'; ++c) words.emplace_back(1, c);
    words.insert(words.end(), {"tr", "tru", "true", "<|end|>"});
    std::vector<std::int32_t> kinds(words.size(), 1);
    kinds.back() = 3;
    models::TokenizerSource source;
    source.tokens.assign(words.begin(), words.end());
    source.kinds = kinds;
    source.merges = {"t r", "tr u", "tru e"};
    source.eos = static_cast<std::int64_t>(words.size()) - 1;
    tokenizer_ = models::Tokenizer::make(source).value();
    table_ = std::make_shared<const models::TokenMaskTable>(*tokenizer_);
    runner_.emplace(testing::ScriptOptions{.vocabulary = words.size()}, clock_);
    engine_ = Engine::make(*runner_, {.kv_bytes = base::Bytes{1} << 20U}, clock_).value();
  }

  bool on_token(SequenceId /*sequence*/, const models::Sample& sample) override {
    tokens_.push_back(sample.token);
    return true;
  }
  void on_end(SequenceId /*sequence*/, const Ending& ending) override { ending_ = ending; }

  void generate(models::MaskCache& masks, std::size_t tokens_max, std::uint64_t seed) {
    GrammarGuide guide(masks, tokens_max);
    tokens_.clear();
    ending_.reset();
    const auto asked = engine_->submit({.prompt = {TokenId(static_cast<std::int32_t>(seed % 90)), TokenId(5)},
                                        .generate = {.sampler = {.temperature = 1, .seed = seed},
                                                     .tokens_max = tokens_max,
                                                     .stop = {tokenizer_->eos()},
                                                     .guide = &guide,
                                                     .listener = this}});
    ASSERT_TRUE(asked.has_value());
    while (engine_->step()) {
    }
    ASSERT_TRUE(ending_.has_value());
    text_ = tokenizer_->decode(tokens_);
    complete_ = guide.complete();
  }
  std::shared_ptr<const text::Grammar> grammar(const char* pattern) {
    return std::make_shared<const text::Grammar>(text::regex_grammar(pattern).value());
  }

  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::shared_ptr<const models::TokenMaskTable> table_;
  testing::VirtualClock clock_;
  std::optional<testing::ScriptedRunner> runner_;
  std::unique_ptr<Engine> engine_;
  std::vector<TokenId> tokens_;
  std::optional<Ending> ending_;
  std::string text_;
  bool complete_ = false;
};

TEST_F(GrammarGuideTest, GenerationsEndWithinTheirTokens) {
  models::MaskCache masks(grammar("^\\[(true,|[0-9]+,)*end\\]$"), table_);
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    generate(masks, 6 + seed, seed);
    EXPECT_EQ(ending_->reason, EndReason::stop) << text_;
    EXPECT_TRUE(complete_) << text_;
    EXPECT_TRUE(text_.starts_with("[") && text_.ends_with("end]")) << text_;
    EXPECT_LT(tokens_.size(), 6 + seed);
  }
}

TEST_F(GrammarGuideTest, WhatMustFollowIsNotSampled) {
  models::MaskCache masks(grammar("^(a|b)true!{20}(x|y)$"), table_);
  generate(masks, 0, 1);
  EXPECT_EQ(text_.substr(1, 24), "true!!!!!!!!!!!!!!!!!!!!");
  EXPECT_EQ(tokens_.size(), 1U + 1 + 20 + 1);
  EXPECT_EQ(tokens_[1], tokenizer_->find("true"));
  EXPECT_EQ(ending_->reason, EndReason::stop);
}

TEST_F(GrammarGuideTest, LogProbabilitiesAreThoseBeforeTheMask) {
  models::MaskCache masks(grammar("^(a|b)true!{3}(x|y)$"), table_);
  GrammarGuide guide(masks, 0);
  auto answer = TextAnswer::make(*tokenizer_, {}, {}).value();
  std::vector<TokenId> tokens{TokenId(7), TokenId(5)};
  ASSERT_TRUE(engine_->submit({.prompt = tokens,
                               .generate = {.sampler = {.temperature = 1, .seed = 3, .top_logprobs = 0},
                                            .stop = answer.stop_ids(),
                                            .guide = &guide,
                                            .listener = &answer}}));
  while (engine_->step()) {
  }
  ASSERT_EQ(answer.tokens().size(), 6U) << answer.text();
  ASSERT_EQ(answer.logprobs().size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    const bool forced = i > 0 && i < 5;
    const auto whole = models::log_probabilities(runner_->logits(tokens), answer.tokens()[i], 0);
    EXPECT_EQ(answer.logprobs()[i].chosen, forced ? 0 : whole->chosen) << i;
    tokens.push_back(answer.tokens()[i]);
  }
}

TEST_F(GrammarGuideTest, TooFewTokensCutTheText) {
  models::MaskCache masks(grammar("^abcdefgh$"), table_);
  generate(masks, 3, 1);
  EXPECT_EQ(text_, "abc");
  EXPECT_EQ(ending_->reason, EndReason::length);
  EXPECT_FALSE(complete_);
}

TEST_F(GrammarGuideTest, LimitsEndTheGeneration) {
  models::MaskCache masks(grammar("^[a-z]{3000}$"), table_, {.states = {.bytes_max = 30'000}});
  generate(masks, 0, 1);
  EXPECT_EQ(ending_->reason, EndReason::failed);
  EXPECT_EQ(ending_->error->code, base::ErrorCode::out_of_resources);
}

}  // namespace
}  // namespace plait::engine
