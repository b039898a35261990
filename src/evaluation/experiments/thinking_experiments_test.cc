// SPDX-License-Identifier: Apache-2.0
//
// The experiments on ways to think, small and without a model: what holds at any size holds here.
#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>
#include <vector>

#include "evaluation/countdown.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/apr.h"
#include "evaluation/experiments/apr_runs.h"
#include "evaluation/experiments/backtrack.h"
#include "evaluation/experiments/expression_check.h"
#include "evaluation/experiments/ope.h"
#include "evaluation/experiments/ope_arms.h"
#include "evaluation/experiments/pdr.h"
#include "evaluation/experiments/product_threads.h"
#include "evaluation/experiments/scripted_thinking.h"
#include "evaluation/experiments/threadweaver.h"
#include "reasoning/arithmetic.h"
#include "reasoning/outline_grammar.h"
#include "reasoning/search_trace.h"

namespace plait::evaluation {
namespace {

class ThinkingExperiments : public ::testing::TestWithParam<Experiment (*)()> {};

TEST_P(ThinkingExperiments, HoldWithoutAModel) {
  const Experiment experiment = GetParam()();
  const auto report = experiment.run({.quick = true});
  ASSERT_TRUE(report) << report.error().chain();
  std::size_t exact = 0;
  for (const Gate& gate : report->gates) {
    EXPECT_TRUE(gate.holds() || !gate.exact) << gate.what << ": " << gate.value;
    exact += gate.exact ? 1 : 0;
  }
  EXPECT_GE(exact, 6U);
  EXPECT_EQ(report->json["experiment"], experiment.name);
  EXPECT_NE(report->text.find("no model is here"), std::string::npos);  // of the wall clock
  EXPECT_FALSE(report->chart.panels.empty());
  EXPECT_FALSE(to_svg(report->chart).empty());
}

INSTANTIATE_TEST_SUITE_P(All, ThinkingExperiments,
                         ::testing::Values(threadweaver_experiment, apr_experiment, pdr_experiment, ope_experiment,
                                           backtrack_experiment),
                         [](const auto& of) { return of.param().name; });

TEST(ScriptedThinking, ItsTokensAreTheTasks) {
  const auto tokenizer = make_unit_tokenizer(search_units());
  const auto problems = countdown_problems({.numbers = 4, .seed = 3}, 10).value();
  for (const CountdownProblem& problem : problems) {
    const std::string depth_first = depth_first_text(problem).text;
    EXPECT_EQ(count_tokens(*tokenizer, depth_first), count_task_tokens(depth_first));
    for (const SpawnedSegment& segment : spawned_search(problem, {.seed = 1}).segments) {
      EXPECT_EQ(count_tokens(*tokenizer, segment.text), count_task_tokens(segment.text));
    }
  }
}

TEST(ScriptedThinking, AnyTextComesBackFromItsTokens) {
  const auto tokenizer = make_unit_tokenizer(thread_tags());
  const std::string text = "a\t<Thread>\n \u00e9\u2026</Thread>";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), true), text);
}

TEST(ContextScripts, FollowOnlyWhatTheyKnowByEveryToken) {
  const auto tokenizer = make_unit_tokenizer({});
  ContextScripts scripts(*tokenizer);
  scripts.add("abcd");
  scripts.add("abce");
  const auto policy = scripts.policy();
  const auto next = [&](const std::string& seen) {
    std::vector<float> logits(tokenizer->size(), -100.0F);
    policy(tokenizer->encode(seen), logits);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] == 0) return tokenizer->decode(std::vector{base::TokenId(static_cast<std::int32_t>(i))}, true);
    }
    return std::string();
  };
  EXPECT_EQ(next("ab"), "c");
  EXPECT_EQ(next("abc"), "d");  // the earlier script
  EXPECT_EQ(next("xbc"), "<|end|>");
  EXPECT_EQ(next("abcd"), "<|end|>");
}

TEST(ProductThreads, KeepTheRulesAndAreRight) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const bool one_thread : {false, true}) {
      const ThreadTask task =
          sum_of_products({.products = 2 + seed % 5, .one_thread = one_thread, .checks_most = 3, .seed = seed});
      EXPECT_TRUE(reasoning::check_trajectory(task.whole())) << task.whole();
      const std::string sum = task.question.substr(8, task.question.size() - 9);  // What is …?
      EXPECT_EQ(reasoning::evaluate(sum).value().value, task.answer);
      EXPECT_TRUE(task.sequential().ends_with(task.conclusion));
    }
  }
}

TEST(FalseGoal, SaysThatItIsRightAndIsNot) {
  const auto problems = countdown_problems({.numbers = 4, .seed = 5}, 20).value();
  for (const CountdownProblem& problem : problems) {
    const std::string text = root_line(problem) + false_goal_text(problem);
    const auto path = reasoning::solution_path(text);
    ASSERT_TRUE(path);
    const auto steps = reasoning::path_steps(*path);
    ASSERT_TRUE(steps);
    EXPECT_FALSE(reasoning::check_countdown_steps(problem.numbers, *steps).legal);
  }
}

TEST(SecondOpinion, KnowsTheRules) {
  const std::vector<std::int64_t> numbers{3, 5, 6};
  EXPECT_EQ(expression_value(numbers, "(5-3)*6"), 12);
  EXPECT_EQ(expression_value(numbers, "6/3 + 5"), 7);
  EXPECT_EQ(expression_value(numbers, "3+5*6"), 33);
  for (const char* bad :
       {"", "3-5+6", "5/3*6", "3+5", "3+5+6+6", "(3+5+6", "3+5+6)", "3++5*6", "3 5 6", "3+5x6", "()"}) {
    EXPECT_FALSE(expression_value(numbers, bad)) << bad;
  }
  const Agreement agreement = compare_opinions(3000, 1);
  EXPECT_EQ(agreement.agreed, agreement.checked);
  EXPECT_GT(agreement.legal, 500U);
  EXPECT_LT(agreement.legal, 2500U);
}

TEST(OpeArms, WaysOfTheirOwnDiffer) {
  const auto problems = countdown_problems({.numbers = 4, .seed = 7}, 20).value();
  const ArmFigures independent = run_arm(problems, 2, 8, PathArm::independent, 1);
  const ArmFigures outlines = run_arm(problems, 2, 8, PathArm::outlines, 1);
  const ArmFigures one = run_arm(problems, 2, 8, PathArm::one_outline, 1);
  EXPECT_EQ(outlines.first_moves.value(), 8);
  EXPECT_EQ(one.first_moves.value(), 1);
  EXPECT_LT(independent.first_moves.value(), 4);
  EXPECT_EQ(outlines.filled_up, 0U);
  for (const std::size_t orders : {0U, 5U}) {
    double sum = 0;
    for (const double share : marginal_solves(independent, orders, 1)) sum += share;
    EXPECT_NEAR(sum, independent.pass.value(), 1e-9);
  }
}

}  // namespace
}  // namespace plait::evaluation
