// SPDX-License-Identifier: Apache-2.0
#include "evaluation/countdown_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "base/random.h"

namespace plait::evaluation {
namespace {

std::vector<CountdownProblem> problems(std::size_t count) { return countdown_problems({.seed = 31}, count).value(); }

TEST(MoveProbabilities, FollowTheSoftmax) {
  const auto moves = countdown_moves({24, {3, 6}, {}});  // scores 0 0 1 6
  const auto probabilities = move_probabilities(moves, 2);
  const double sum = 2 + std::exp(-0.5) + std::exp(-3);
  ASSERT_EQ(probabilities.size(), 4U);
  EXPECT_NEAR(probabilities[0], 1 / sum, 1e-12);
  EXPECT_NEAR(probabilities[1], 1 / sum, 1e-12);
  EXPECT_NEAR(probabilities[2], std::exp(-0.5) / sum, 1e-12);
  EXPECT_NEAR(probabilities[3], std::exp(-3) / sum, 1e-12);
  EXPECT_TRUE(move_probabilities({}, 1).empty());
}

TEST(MoveProbabilities, StandLargeScores) {
  const auto moves = countdown_moves({10, {9'000'000'000, 8'000'000'000}, {}});
  const auto probabilities = move_probabilities(moves, 1e-3);
  EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-12);
}

TEST(SamplePath, IsLegalAndComesBack) {
  for (const CountdownProblem& problem : problems(30)) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const SampledPath path = sample_path(problem, 4, seed);
      const auto check = reasoning::check_countdown_steps(problem.numbers, path.steps);
      EXPECT_TRUE(check.legal);
      EXPECT_EQ(check.value, path.value);
      EXPECT_EQ(path.solved, path.value == problem.target);
      EXPECT_EQ(sample_path(problem, 4, seed).steps, path.steps);
    }
  }
}

TEST(SamplePath, BeginsAsItIsTold) {
  for (const CountdownProblem& problem : problems(10)) {
    const auto moves = countdown_moves(countdown_root(problem));
    for (std::size_t first = 0; first < moves.size(); ++first) {
      EXPECT_EQ(sample_path(problem, 2, 9, first).steps.front(), moves[first].step);
    }
  }
}

TEST(SamplePath, IsDrawnByItsProbabilities) {
  const CountdownProblem problem = problems(1).front();
  const auto moves = countdown_moves(countdown_root(problem));
  const auto probabilities = move_probabilities(moves, 8);
  std::vector<double> counts(moves.size());
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    const auto first = sample_path(problem, 8, base::child_seed(1, static_cast<std::uint64_t>(i))).steps.front();
    for (std::size_t m = 0; m < moves.size(); ++m) counts[m] += moves[m].step == first ? 1 : 0;
  }
  for (std::size_t m = 0; m < moves.size(); ++m) {
    EXPECT_NEAR(counts[m] / kDraws, probabilities[m], 5 * std::sqrt(0.25 / kDraws));
  }
}

// The cause that outlines are a remedy for: cold samples repeat each other.
TEST(SamplePath, ColdSamplesRepeatEachOther) {
  const auto first_moves = [](double temperature) {
    std::size_t distinct = 0;
    for (const CountdownProblem& problem : problems(50)) {
      std::set<std::string> moves;
      for (std::uint64_t i = 0; i < 8; ++i) {
        moves.insert(reasoning::step_text(sample_path(problem, temperature, base::child_seed(2, i)).steps.front()));
      }
      distinct += moves.size();
    }
    return static_cast<double>(distinct) / 50;
  };
  EXPECT_LT(first_moves(2), 0.4 * 8);
  EXPECT_LT(first_moves(2), first_moves(16));
}

}  // namespace
}  // namespace plait::evaluation
