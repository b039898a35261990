// SPDX-License-Identifier: Apache-2.0
#include "evaluation/training_texts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/countdown_search.h"
#include "evaluation/experiments/trace_command.h"
#include "reasoning/search_trace.h"
#include "reasoning/spawn_grammar.h"
#include "text/json.h"

namespace plait::evaluation {
namespace {

std::vector<CountdownProblem> problems(std::size_t numbers, std::size_t count) {
  return countdown_problems({.numbers = numbers, .seed = 77}, count).value();
}

TEST(TrainingTexts, HaveNames) {
  EXPECT_EQ(training_kind("direct"), TrainingKind::direct);
  EXPECT_EQ(training_kind("depth-first"), TrainingKind::depth_first);
  EXPECT_EQ(training_kind("spawned"), TrainingKind::spawned);
  EXPECT_EQ(training_kind("spawn"), std::nullopt);
}

TEST(TrainingTexts, OfSolutionsSolveTheProblem) {
  for (const CountdownProblem& problem : problems(3, 30)) {
    const auto texts = training_texts(problem, TrainingKind::direct, {});
    ASSERT_EQ(texts.size(), 1U);
    EXPECT_EQ(texts[0].prompt, root_line(problem));
    const auto steps = reasoning::path_steps(texts[0].prompt + texts[0].text);
    ASSERT_TRUE(steps);
    EXPECT_TRUE(reasoning::check_countdown_steps(problem.numbers, *steps).reaches(problem.target));
  }
  EXPECT_TRUE(training_texts({{2, 2, 2}, 99}, TrainingKind::direct, {}).empty());
}

TEST(TrainingTexts, OfDepthFirstSearchesAreThese) {
  for (const CountdownProblem& problem : problems(3, 30)) {
    const auto texts = training_texts(problem, TrainingKind::depth_first, {});
    ASSERT_EQ(texts.size(), 1U);
    EXPECT_EQ(texts[0].prompt + texts[0].text, depth_first_text(problem).text);
  }
}

// Put together again as the runtime does it, they are the whole search.
TEST(TrainingTexts, OfParentsGoOnFromTheirJoins) {
  std::size_t with_children = 0;
  std::size_t without = 0;
  for (std::uint64_t seed = 0; const CountdownProblem& problem : problems(4, 40)) {
    const auto texts = training_texts(problem, TrainingKind::spawned, {.context_tokens = 2048, .seed = ++seed});
    std::size_t children = 0;
    for (std::size_t i = 1; i < texts.size(); ++i) children += texts[i].prompt.starts_with("Moving") ? 1 : 0;
    EXPECT_TRUE(texts[0].prompt.starts_with(child_budget_line(children)));
    const std::size_t root = child_budget_line(children).size();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const bool is_child = texts[i].prompt.starts_with("Moving");
      const auto ending = reasoning::parse_spawn(texts[i].text, kChildBudgetMost).ending;
      if (is_child || i == 0) continue;
      EXPECT_NE(texts[i].prompt.find(reasoning::kJoinEnd), std::string::npos);
      EXPECT_EQ(texts[i].prompt.find(reasoning::kSpawnBegin), std::string::npos);
      EXPECT_EQ(texts[i].prompt.substr(0, root), texts[0].prompt.substr(0, root));
      if (i + 1 < texts.size()) continue;
      EXPECT_NE(ending, reasoning::SpawnBlock::Ending::closed);
    }
    ++(children > 0 ? with_children : without);
  }
  EXPECT_GT(with_children, 20U);
  EXPECT_GT(without, 0U);
  EXPECT_EQ(child_budget_line(37), "Child budget: 10\n");
}

TEST(TraceCommand, WritesALineForEachText) {
  std::string all;
  const auto write = [&](std::string_view line) { all += line; };
  ASSERT_TRUE(write_traces({"direct", "2", "--numbers", "4", "--seed", "9", "--part", "test"}, write));
  const auto problems = countdown_problems({.numbers = 4, .part = CountdownPart::test, .seed = 9}, 2).value();
  const auto first = text::parse_json(all.substr(0, all.find('\n')));
  ASSERT_TRUE(first);
  EXPECT_EQ((*first)["prompt"], training_texts(problems[0], TrainingKind::direct, {})[0].prompt);
  EXPECT_EQ(std::ranges::count(all, '\n'), 2);
}

TEST(TraceCommand, RefusesWhatItDoesNotKnow) {
  using Words = std::vector<std::string>;
  for (const Words& words :
       {Words{}, Words{"direct"}, Words{"guess", "3"}, Words{"direct", "x"}, Words{"direct", "3", "--numbers"},
        Words{"direct", "3", "--numbers", "7"}, Words{"direct", "3", "--numbers", "1"},
        Words{"direct", "3", "--part", "all"}, Words{"direct", "3", "--more", "1"}, Words{"refined", "3"}}) {
    const auto written = write_traces(words, [](std::string_view) {});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, base::ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace plait::evaluation
