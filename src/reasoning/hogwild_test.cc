// SPDX-License-Identifier: Apache-2.0
#include "reasoning/hogwild.h"

#include <gtest/gtest.h>

#include "reasoning/aggregate.h"
#include "reasoning/thinking_test_fixture.h"

namespace plait::reasoning {
namespace {

TEST(Boxed, IsTheLastCompleteOne) {
  EXPECT_EQ(boxed("so \\boxed{1} no, \\boxed{\\frac{1}{2}} is it"), "\\frac{1}{2}");
  EXPECT_EQ(boxed("\\boxed{1} and \\boxed{2"), "1");
  EXPECT_EQ(boxed("\\boxed{"), std::nullopt);
  EXPECT_EQ(boxed("none"), std::nullopt);
}

TEST(EndsStep, AtAnEmptyLineBehindASentence) {
  EXPECT_TRUE(ends_step("It is done.\n\n"));
  EXPECT_TRUE(ends_step("Is it? \n\n"));
  EXPECT_FALSE(ends_step("It is done.\n"));
  EXPECT_FALSE(ends_step("first,\n\n"));
  EXPECT_FALSE(ends_step("\n\n"));
  EXPECT_FALSE(ends_step(""));
}

/// Hears nothing.
class EndlessListener final : public engine::Listener {
 public:
  bool on_token(engine::SequenceId /*sequence*/, const models::Sample& /*sample*/) override { return true; }
  void on_end(engine::SequenceId /*sequence*/, const engine::Ending& /*ending*/) override {}
};

class HogwildTest : public ThinkingTest {
 protected:
  HogwildTest() {
    say("**Alice [1]:**", " I find a code.\n\n");
    say("**Alice [2]:**", " It is \\boxed{42}");
    say("**Bob [1]:**", " I look on and on and on and on, for as long as somebody else needs to come to the end");
  }
};

TEST_F(HogwildTest, WhoeverFillsABoxEndsTheRun) {
  for (const char* layout : {"combined", "interleaved"}) {
    const auto thought = think(*make("hogwild", {{"layout", layout}}), question("q"));
    ASSERT_TRUE(thought) << thought.error().message;
    EXPECT_EQ(thought->answer, "42");
    EXPECT_EQ(thought->selector, "first box");
    ASSERT_EQ(thought->paths.size(), 2U);
    EXPECT_EQ(thought->paths[0].text, " I find a code.\n\n It is \\boxed{42}");
    EXPECT_TRUE(thought->paths[0].chosen);
    EXPECT_TRUE(thought->paths[1].text.starts_with(" I look on"));
    EXPECT_EQ(thought->reason, engine::EndReason::stop);
  }
}

// Bob says what he sees of Alice: by layout at once, when her step has ended, or both.
TEST_F(HogwildTest, WorkersReadEachOtherAsTheirLayoutSays) {
  const auto bob_sees = [this](const char* layout, std::string_view what) {
    std::size_t first = 0;
    std::size_t at = 0;
    speak_ = [&, what](std::string_view text) -> std::optional<std::string> {
      const std::size_t own = text.rfind("**Bob [1]:**");
      const std::size_t alice = text.rfind("**Alice [1]:**");
      if (own == std::string_view::npos || (alice != std::string_view::npos && text.rfind("**Alice [") > own)) {
        if (alice == std::string_view::npos) return std::nullopt;
        const std::string_view said = text.substr(alice + 14);
        constexpr std::string_view kStep = " one two three four.\n\n";
        return kStep.starts_with(said) ? std::string(kStep.substr(said.size())) : std::string();
      }
      ++at;
      if (first == 0 && text.substr(0, own).find(what) != std::string_view::npos) first = at;
      return at < 60 ? "." : "";
    };
    const auto thought = think(*make("hogwild", {{"layout", layout}, {"answer_tokens", 1}}), question("q"));
    EXPECT_TRUE(thought);
    return first;
  };
  const std::size_t combined = bob_sees("combined", " one tw");
  const std::size_t contiguous = bob_sees("contiguous", " one tw");
  const std::size_t interleaved = bob_sees("interleaved", " one tw");
  EXPECT_GT(combined, 0U);
  EXPECT_EQ(combined, contiguous);
  EXPECT_GT(interleaved, combined + 10);                          // only when the step has ended
  EXPECT_EQ(bob_sees("interleaved", " four.\n\n"), interleaved);  // and then all of it, its last token too
}

TEST_F(HogwildTest, ForcesAnAnswerWhereNobodyGivesOne) {
  say("**Alice [2]:**", " I do not know.");
  say("**Bob [1]:**", " Nor do I.");
  std::string read;
  speak_ = [&](std::string_view text) -> std::optional<std::string> {
    if (text.ends_with("The final answer is \\boxed{")) read = text;
    return std::nullopt;
  };
  say("The final answer is \\boxed{", "7}");
  const auto thought = think(*make("hogwild"), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->answer, "7");
  EXPECT_EQ(thought->selector, "forced answer");
  for (const char* said : {"I find a code.\n\n", "I do not know", "Nor do I"}) {
    EXPECT_NE(read.find(said), std::string::npos) << read;  // it has read all
  }
}

TEST_F(HogwildTest, AsksAboutRedundantWork) {
  ASSERT_TRUE(prompts_.replace("hogwild.question", "Redundant (yes/no):"));
  say("(yes/no):", " no. It is \\boxed{3}");
  const auto thought = think(*make("hogwild", {{"question_every", 10}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->counts.at("redundancy_questions"), 1U);
  EXPECT_EQ(thought->answer, "3");
}

TEST_F(HogwildTest, EndsWithWhatWasReachedWhenItIsCancelled) {
  const auto strategy = make("hogwild", {{"workers", 3}});
  for (std::size_t steps = 0; steps < 30; ++steps) {
    const Value<Thought> thought = start(*strategy, question("q"));
    for (std::size_t i = 0; i < steps; ++i) step();
    thinking_->cancel();
    ASSERT_TRUE(thought.ready()) << steps;
    ASSERT_TRUE(thought.result()) << thought.result().error().message;
    EXPECT_EQ(thought.result()->reason, engine::EndReason::cancelled);
  }
}

TEST_F(HogwildTest, BesideOthersAndWithoutMemoryItSaysTheSame) {
  const auto strategy = make("hogwild", {{"workers", 3}});
  const auto alone = think(*strategy, question("q"));
  ASSERT_TRUE(alone);
  open({}, 60);
  engine::GenerateOptions other{.sampler = {.temperature = 1, .seed = 5}, .tokens_max = 120};
  EndlessListener listener;
  other.listener = &listener;
  for (std::int32_t i = 0; i < 6; ++i) {
    std::vector<base::TokenId> prompt(150, base::TokenId(3 + i));
    ASSERT_TRUE(engine_->submit({.options = {.client = "other"}, .prompt = prompt, .generate = other}));
  }
  const auto beside = think(*strategy, question("q"));
  ASSERT_TRUE(beside) << beside.error().message;
  while (step()) {
  }
  for (std::size_t i = 0; i < alone->paths.size(); ++i) EXPECT_EQ(beside->paths[i].text, alone->paths[i].text);
  EXPECT_GT(engine_->counters().preemptions, 0U);
}

}  // namespace
}  // namespace plait::reasoning
