// SPDX-License-Identifier: Apache-2.0
#include "evaluation/countdown.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/random.h"
#include "evaluation/countdown_for_test.h"

namespace plait::evaluation {
namespace {

using Numbers = std::vector<std::int64_t>;

std::vector<CountdownProblem> problems_of(const CountdownOptions& options, std::size_t count) {
  auto made = countdown_problems(options, count);
  EXPECT_TRUE(made) << made.error().text();
  return made ? *std::move(made) : std::vector<CountdownProblem>{};
}

std::vector<std::int64_t> key_of(const CountdownProblem& problem) {
  Numbers key = problem.numbers;
  std::ranges::sort(key);
  key.push_back(problem.target);
  return key;
}

TEST(CountdownProblems, AreInRangeSolvableAndDistinct) {
  for (const std::size_t numbers : {2U, 3U, 4U, 5U}) {
    std::set<Numbers> keys;
    for (const CountdownProblem& problem : problems_of({.numbers = numbers, .seed = 7}, 40)) {
      EXPECT_EQ(problem.numbers.size(), numbers);
      for (const std::int64_t number : problem.numbers) EXPECT_TRUE(number >= 1 && number <= 99) << number;
      EXPECT_TRUE(problem.target >= 10 && problem.target <= 100) << problem.target;
      EXPECT_TRUE(for_test::is_reachable(problem.numbers, problem.target));
      EXPECT_EQ(part_of(problem), CountdownPart::training);
      keys.insert(key_of(problem));
    }
    EXPECT_EQ(keys.size(), 40U);
  }
}

TEST(CountdownProblems, ComeBackFromTheirSeed) {
  const auto few = problems_of({.seed = 1}, 10);
  const auto more = problems_of({.seed = 1}, 30);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), more.begin()));
  EXPECT_NE(few, problems_of({.seed = 2}, 10));
}

TEST(CountdownProblems, PartsShareNothingWhateverTheSeeds) {
  std::set<Numbers> training;
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    for (const auto& problem : problems_of({.numbers = 3, .solvable = false, .seed = seed}, 3000))
      training.insert(key_of(problem));
  }
  for (const auto part : {CountdownPart::validation, CountdownPart::test}) {
    for (const auto& problem : problems_of({.numbers = 3, .part = part, .solvable = false, .seed = 4}, 3000)) {
      EXPECT_EQ(part_of(problem), part);
      EXPECT_FALSE(training.contains(key_of(problem)));
      CountdownProblem turned = problem;
      std::ranges::reverse(turned.numbers);
      EXPECT_EQ(part_of(turned), part);
    }
  }
}

TEST(CountdownProblems, EightOfTenAreForTraining) {
  std::size_t training = 0;
  for (std::int64_t target = 10; target <= 100; ++target) {
    for (std::int64_t number = 1; number <= 99; ++number) {
      training += part_of({{number, 7, 50}, target}) == CountdownPart::training ? 1 : 0;
    }
  }
  EXPECT_NEAR(static_cast<double>(training) / (91 * 99), 0.8, 0.02);
}

TEST(CountdownProblems, WhatCannotBeIsAnError) {
  EXPECT_EQ(countdown_problems({.numbers = 1}, 1).error().code, base::ErrorCode::invalid_argument);
  EXPECT_EQ(countdown_problems({.numbers = 7}, 1).error().code, base::ErrorCode::invalid_argument);
  const auto too_many = countdown_problems({.numbers = 2, .part = CountdownPart::test}, 1'000'000);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().code, base::ErrorCode::out_of_resources);
  EXPECT_TRUE(problems_of({}, 0).empty());
}

TEST(CountdownScore, IsTheDistanceToDivisors) {
  EXPECT_EQ(countdown_score(Numbers{7, 9, 8}, 24), 2);  // of 2 3 4 6 8 12 24
  EXPECT_EQ(countdown_score(Numbers{24}, 24), 0);
  EXPECT_EQ(countdown_score(Numbers{0, 1, 100}, 24), 2 + 1 + 76);
  EXPECT_EQ(countdown_score(Numbers{50}, 13), 37);
  EXPECT_EQ(countdown_score({}, 13), 0);
}

TEST(CountdownMoves, AreAllThereOnceTheBestFirst) {
  const auto moves = countdown_moves({24, {3, 6}, {}});
  ASSERT_EQ(moves.size(), 4U);
  EXPECT_EQ(moves[0].step, (reasoning::Step{6, '-', 3, 3}));  // score 0, before 6/3=2 of score 0
  EXPECT_EQ(moves[1].step, (reasoning::Step{6, '/', 3, 2}));
  EXPECT_EQ(moves[2].step, (reasoning::Step{6, '+', 3, 9}));   // 1
  EXPECT_EQ(moves[3].step, (reasoning::Step{6, '*', 3, 18}));  // 6
  EXPECT_EQ(moves[3].state, (reasoning::SearchState{24, {18}, {{6, '*', 3, 18}}}));
  EXPECT_EQ(moves[3].score, 6);
  EXPECT_EQ(countdown_moves({24, {5, 0}, {}}).size(), 3U);     // nothing is divided by 0
  EXPECT_EQ(countdown_moves({24, {5, 5, 5}, {}}).size(), 4U);  // three pairs, the same steps
  EXPECT_TRUE(countdown_moves({24, {5}, {}}).empty());
}

TEST(CountdownMoves, OfFourNumbersAreTwentyFourAtMost) {
  for (const CountdownProblem& problem : problems_of({.seed = 3}, 100)) {
    const auto moves = countdown_moves(countdown_root(problem));
    EXPECT_LE(moves.size(), 24U);
    EXPECT_GE(moves.size(), 3U);
    EXPECT_TRUE(std::ranges::is_sorted(moves, {}, &CountdownMove::score));
    for (const CountdownMove& move : moves) {
      EXPECT_EQ(move.score, countdown_score(move.state.numbers, problem.target));
      EXPECT_EQ(move.state.numbers.size(), 3U);
      EXPECT_EQ(reasoning::apply(move.step.left, move.step.operation, move.step.right), move.step.result);
      EXPECT_GE(move.step.left, move.step.right);
    }
  }
}

TEST(SolveCountdown, FindsASolutionWhereverThereIsOne) {
  std::size_t solved = 0;
  for (const CountdownProblem& problem : problems_of({.solvable = false, .seed = 5}, 200)) {
    const auto steps = solve_countdown(problem);
    EXPECT_EQ(steps.has_value(), for_test::is_reachable(problem.numbers, problem.target));
    if (!steps) continue;
    ++solved;
    EXPECT_TRUE(reasoning::check_countdown_steps(problem.numbers, *steps).reaches(problem.target));
  }
  EXPECT_GT(solved, 10U);  // one of eight problems, as they are drawn, has a solution
  EXPECT_LT(solved, 100U);
}

/// Random answers, most of them nearly right.
class Answers {
 public:
  explicit Answers(std::uint64_t seed) : seed_(seed) {}

  std::string make(const CountdownProblem& problem) {
    std::string text = below(4) == 0 ? steps(problem.numbers) : expression(problem.numbers);
    for (std::uint64_t changes = below(4); changes > 1; --changes) change(text);
    return text;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return base::random_u64(seed_, draws_++) % n; }
  char operation() { return "+-*/"[below(4)]; }

  std::string expression(Numbers numbers) {
    std::vector<std::string> parts;
    for (const std::int64_t number : numbers) parts.push_back(std::to_string(number));
    while (parts.size() > 1) {
      std::swap(parts[below(parts.size())], parts.back());
      const std::string right = parts.back();
      parts.pop_back();
      std::string& left = parts[below(parts.size())];
      left = left + (below(5) == 0 ? " " : "") + operation() + right;
      if (below(2) == 0) left = "(" + left + ")";
    }
    return parts[0] + (below(5) == 0 ? " = " + std::to_string(below(100)) : "");
  }

  std::string steps(Numbers numbers) {
    std::string text;
    while (numbers.size() > 1) {
      std::swap(numbers[below(numbers.size())], numbers.back());
      const std::int64_t right = numbers.back();
      numbers.pop_back();
      std::int64_t& left = numbers[below(numbers.size())];
      const char drawn = operation();
      const auto step = for_test::combine(std::max(left, right), drawn, std::min(left, right));
      const char sign = step ? drawn : '+';
      const std::int64_t result = step ? static_cast<std::int64_t>(*step) : left + right;
      text += std::to_string(std::max(left, right)) + sign + std::to_string(std::min(left, right)) + "=" +
              std::to_string(result) + (below(3) == 0 ? ", " : "\n");
      left = result;
    }
    return text;
  }

  void change(std::string& text) {
    constexpr std::string_view kCharacters = "0123456789+-*/()= ,;\nx";
    const char c = kCharacters[below(kCharacters.size())];
    const std::size_t at = below(text.size() + 1);
    switch (below(3)) {
      case 0:
        text.insert(at, 1, c);
        break;
      case 1:
        text.erase(std::min(at, text.size() - 1), 1);
        break;
      default:
        text[std::min(at, text.size() - 1)] = c;
    }
  }

  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
};

// A hundred thousand answers, malformed ones included, judged twice.
TEST(CountdownCheck, AgreesWithBruteForce) {
  Answers answers(11);
  const auto some = problems_of({.solvable = false, .seed = 6}, 100);
  std::size_t legal = 0;
  for (int i = 0; i < 100'000; ++i) {
    const CountdownProblem& problem = some[static_cast<std::size_t>(i) % some.size()];
    const std::string answer = answers.make(problem);
    const auto check = reasoning::check_countdown(problem.numbers, answer);
    const auto expected = for_test::answer_value(problem.numbers, answer);
    ASSERT_EQ(check.legal, expected.has_value()) << answer << ": " << check.why;
    if (!check.legal) continue;
    ++legal;
    ASSERT_TRUE(*expected == check.value) << answer;
  }
  EXPECT_GT(legal, 10'000U);
  EXPECT_LT(legal, 80'000U);
}

}  // namespace
}  // namespace plait::evaluation
