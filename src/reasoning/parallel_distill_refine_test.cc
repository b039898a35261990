// SPDX-License-Identifier: Apache-2.0
#include "reasoning/parallel_distill_refine.h"

#include <gtest/gtest.h>

#include <array>

#include "reasoning/thinking_test_fixture.h"

namespace plait::reasoning {
namespace {

TEST(PdrBudgetTest, IsTheClosedForm) {
  struct Golden {
    std::vector<std::size_t> rounds;
    std::array<std::array<std::size_t, 2>, 3> budgets;
  };
  const std::vector<Golden> goldens{{{8}, {{{1150, 4650}, {2200, 5700}, {4600, 8100}}}},
                                    {{16, 8}, {{{1800, 13850}, {4700, 16750}, {11900, 23950}}}},
                                    {{16, 8, 4}, {{{2450, 16450}, {6000, 20000}, {14400, 28400}}}}};
  for (const Golden& golden : goldens) {
    constexpr std::array<std::size_t, 3> kShown{0, 100, 400};
    for (std::size_t i = 0; i < 3; ++i) {
      const PdrBudget budget = pdr_budget(golden.rounds, 100, 400, 150, kShown[i], i > 0);
      EXPECT_EQ(budget.sequential, golden.budgets[i][0]);
      EXPECT_EQ(budget.total, golden.budgets[i][1]);
    }
  }
}

class PdrTest : public ThinkingTest {
 protected:
  PdrTest() {
    say("\"Answer:\".;[A]", "I think so.\nAnswer: 5");
    say("Next steps.", "none");
  }
};

TEST_F(PdrTest, RoundsOfDraftsAreDistilledIntoABoundedWorkspace) {
  speak_ = [](std::string_view text) -> std::optional<std::string> {
    if (text.find("Next steps.") == std::string_view::npos) return std::nullopt;
    std::string digest;
    for (int i = 0; i < 20; ++i) digest += "All agree on five. ";
    const std::string_view said = text.substr(text.rfind("[A]") + 3);
    return digest.substr(std::min(digest.size(), said.size()));
  };
  const auto thought = think(*make("pdr", {{"rounds", {3, 2}}, {"workspace_tokens", 64}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->answer, "I think so.\nAnswer: 5");
  ASSERT_EQ(thought->paths.size(), 6U);
  std::size_t drafts = 0;
  std::size_t distilled = 0;
  std::size_t longest = 0;
  for (const CallRecord& call : thought->calls) {
    drafts += call.role == CallRole::draft ? 1 : 0;
    distilled += call.role == CallRole::distiller ? 1 : 0;
    if (call.role == CallRole::distiller) {
      EXPECT_LE(call.generated_tokens, 64U);
    }
    if (call.role == CallRole::draft) longest = std::max(longest, call.prompt_tokens);
  }
  EXPECT_EQ(drafts, 5U);
  EXPECT_EQ(distilled, 2U);
  EXPECT_LT(longest, 64 + 230U);  // whatever the number of rounds
}

TEST_F(PdrTest, APrefixIsComputedOnceForAllDraftsOfARound) {
  const auto thought = think(*make("pdr", {{"rounds", 8}, {"distill", "top-k"}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  std::size_t prefilled = 0;
  std::size_t prompt = 0;
  for (const CallRecord& call : thought->calls) {
    if (call.role == CallRole::draft) {
      prefilled += call.prefilled_tokens;
      prompt = call.prompt_tokens;
    }
  }
  EXPECT_LE(prefilled, 8U);
  EXPECT_GT(prompt, 50U);
}

TEST_F(PdrTest, ItsLedgerHoldsTheBudgetOfThePaper) {
  for (const char* distiller : {"top-k", "random-k", "per-sample-top-k", "summary"}) {
    const auto thought = think(*make("pdr", {{"rounds", {4, 2}}, {"distill", distiller}}), question("q"));
    ASSERT_TRUE(thought) << thought.error().message;
    const PdrBudget budget = pdr_budget(thought->calls);
    EXPECT_GT(budget.total, budget.sequential);
    EXPECT_EQ(thought->paths.size(), 7U);
  }
}

TEST_F(PdrTest, RefiningIsOneCallAfterTheOther) {
  const auto thought = think(*make("refine", {{"rounds", 2}}), question("q"));
  ASSERT_TRUE(thought) << thought.error().message;
  EXPECT_EQ(thought->calls.size(), 3U);
  const PdrBudget budget = pdr_budget(thought->calls);
  EXPECT_EQ(thought->spending().critical_path_tokens, thought->spending().generated_tokens);
  EXPECT_GT(budget.total, 0U);
}

TEST_F(PdrTest, EndsWithWhatWasReachedWhenItIsCancelled) {
  const auto strategy = make("pdr", {{"rounds", {3, 2}}});
  for (std::size_t steps = 0; steps < 120; steps += 3) {
    const Value<Thought> thought = start(*strategy, question("q"));
    for (std::size_t i = 0; i < steps; ++i) step();
    thinking_->cancel();
    ASSERT_TRUE(thought.ready()) << steps;
    ASSERT_TRUE(thought.result()) << thought.result().error().message;
  }
}

}  // namespace
}  // namespace plait::reasoning
