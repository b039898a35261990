// SPDX-License-Identifier: Apache-2.0
#include "reasoning/best_of.h"

#include <gtest/gtest.h>

#include <set>

#include "reasoning/outline_paths.h"
#include "reasoning/thinking_test_fixture.h"

namespace plait::reasoning {
namespace {

/// Samples whose answers the test counts out: the k-th row that begins says the k-th answer.
class BestOfTest : public ThinkingTest {
 protected:
  /// Any text at temperature 1, of so many tokens.
  [[nodiscard]] ThinkOptions free_samples(std::uint64_t seed) {
    if (!is_free_) open({.hashed = true});
    is_free_ = true;
    ThinkOptions options = question("q");
    options.sampler = {.temperature = 1, .seed = seed};
    options.sampler.logit_bias = {{tokenizer_->bos(), -100}, {tokenizer_->eos(), -100}};
    options.call_tokens = 12;
    return options;
  }

 private:
  bool is_free_ = false;
};

TEST_F(BestOfTest, SamplesShareThePromptAndRepeatWithTheirSeed) {
  std::vector<std::vector<std::string>> texts;
  for (int run = 0; run < 2; ++run) {
    const auto thought = think(*make("best-of", {{"n", 8}}), free_samples(7));
    ASSERT_TRUE(thought) << thought.error().message;
    ASSERT_EQ(thought->paths.size(), 8U);
    texts.emplace_back();
    std::size_t prefilled = 0;
    for (const ThoughtPath& path : thought->paths) texts.back().push_back(path.text);
    for (const CallRecord& call : thought->calls) prefilled += call.prefilled_tokens;
    EXPECT_LE(prefilled, thought->calls.front().prompt_tokens + 8);
    EXPECT_GT(std::set<std::string>(texts.back().begin(), texts.back().end()).size(), 6U);
    EXPECT_EQ(thought->spending().critical_path_tokens, 12U);
    EXPECT_EQ(thought->spending().generated_tokens, 96U);
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_F(BestOfTest, TheSelectorIsNamedAndMarksItsChoice) {
  say("[A]", "work\nAnswer: 42");
  const auto vote = think(*make("best-of", {{"n", 3}}), question("q"));
  ASSERT_TRUE(vote);
  EXPECT_EQ(vote->answer, "work\nAnswer: 42");
  EXPECT_EQ(vote->selector, "majority, 3 of 3");
  EXPECT_TRUE(vote->paths[0].chosen);
  const auto verified = think(*make("best-of", {{"n", 3}, {"verifier", "equals:42"}}), question("q"));
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->selector, "verifier equals");
  EXPECT_EQ(verified->paths[0].score, 1.0);
  const auto wrong = think(*make("best-of", {{"n", 3}, {"verifier", "equals:41"}}), question("q"));
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->paths[0].score, 0.0);
}

TEST_F(BestOfTest, AJudgeIsAskedAndMayFail) {
  say("[A]", "Answer: 42");
  say("Reply with its number alone.;[A]", "2");
  const auto judged = think(*make("best-of", {{"n", 3}, {"select", "judge"}}), question("q"));
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_EQ(judged->selector, "judge");
  EXPECT_TRUE(judged->paths[1].chosen);
  EXPECT_EQ(judged->calls.back().role, CallRole::judge);
}

TEST_F(BestOfTest, SaysWhatIsWrongWithOptions) {
  const auto code = [](const text::Json& options) {
    const auto made = all_strategies().make("best-of", options);
    return made ? base::ErrorCode::internal : made.error().code;
  };
  using enum base::ErrorCode;
  EXPECT_EQ(code({{"n", 0}}), invalid_argument);
  EXPECT_EQ(code({{"n", "many"}}), invalid_argument);
  EXPECT_EQ(code({{"m", 3}}), invalid_argument);
  EXPECT_EQ(code({{"select", "luck"}}), invalid_argument);
  EXPECT_EQ(code({{"select", "verifier"}}), invalid_argument);
  EXPECT_EQ(code({{"verifier", "command:rm"}}), unsupported);
  EXPECT_EQ(code(text::Json::array()), invalid_argument);
  EXPECT_FALSE(all_strategies().make("guess", {}));
}

TEST_F(BestOfTest, ABudgetIsKeptAndAnImpossibleOneRefused) {
  ThinkOptions options = free_samples(1);
  options.tokens_max = 40;
  const auto thought = think(*make("best-of", {{"n", 8}}), options);
  ASSERT_TRUE(thought);
  EXPECT_EQ(thought->spending().generated_tokens, 40U);
  options.tokens_max = 7;
  EXPECT_EQ(code(think(*make("best-of", {{"n", 8}}), options)), base::ErrorCode::invalid_argument);
  EXPECT_EQ(code(think(*make("best-of"), question(""))), base::ErrorCode::invalid_argument);
}

TEST_F(BestOfTest, EndsWithWhatWasReachedWhenItIsCancelledOrLate) {
  const auto strategy = make("best-of", {{"n", 4}});
  for (std::size_t steps = 0; steps < 8; ++steps) {
    const Value<Thought> thought = start(*strategy, free_samples(3));
    for (std::size_t i = 0; i < steps; ++i) step();
    thinking_->cancel();
    ASSERT_TRUE(thought.ready()) << steps;
    ASSERT_TRUE(thought.result()) << thought.result().error().message;
    EXPECT_EQ(thought.result()->reason, engine::EndReason::cancelled);
  }
  ThinkOptions options = free_samples(3);
  options.deadline = clock_.now() + 0.06;
  const auto late = think(*strategy, options);
  ASSERT_TRUE(late);
  EXPECT_EQ(late->reason, engine::EndReason::deadline);
  EXPECT_FALSE(late->answer.empty());
}

class OutlinePathsTest : public ThinkingTest {};

TEST_F(OutlinePathsTest, EachPathFollowsItsOwnOutline) {
  say("</Outlines>;[A]",
      "<Outlines><Outline>1: add</Outline><Outline>2: Multiply </Outline><Outline>3: add</Outline></Outlines>");
  say("give the final answer.;[A]", "Answer: 7");
  const auto thought = think(*make("outlines", {{"n", 3}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  ASSERT_EQ(thought->paths.size(), 3U);
  EXPECT_EQ(thought->paths[0].label, "path 1: add");
  EXPECT_TRUE(thought->paths[1].label.starts_with("path 2: "));
  EXPECT_EQ(thought->paths[2].label, "path 3");  // the planner gave no third one, also when asked again
  EXPECT_EQ(thought->counts.at("fallback_paths"), 1U);
  EXPECT_GE(thought->counts.at("repeated_outlines"), 1U);
  EXPECT_EQ(thought->answer, "Answer: 7");
  EXPECT_EQ(thought->selector, "majority, 3 of 3");
}

TEST_F(OutlinePathsTest, APathThatLeadsNowhereAbstains) {
  say("</Outlines>;[A]", "1. add\n2. multiply");
  speak_ = [](std::string_view text) -> std::optional<std::string> {
    if (text.find("in this way: add") == std::string_view::npos) return std::nullopt;
    constexpr std::string_view kLine = "This leads nowhere.";
    const std::string_view said = text.substr(text.rfind("[A]") + 3);
    return std::string(kLine.substr(said.size()));
  };
  say("give the final answer.;[A]", "Answer: 7");
  const auto thought = think(*make("outlines", {{"n", 2}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_TRUE(thought->paths[0].abstains);
  EXPECT_EQ(thought->counts.at("abstained"), 1U);
  EXPECT_EQ(thought->answer, "Answer: 7");
  say("\"Answer:\".;[A]", "Answer: 8");
  const auto synthesized = think(*make("outlines", {{"n", 2}, {"aggregate", "synthesize"}}), question("q"));
  ASSERT_TRUE(synthesized);
  EXPECT_EQ(synthesized->selector, "synthesis");
}

}  // namespace
}  // namespace plait::reasoning
