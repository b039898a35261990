// SPDX-License-Identifier: Apache-2.0
#include "evaluation/countdown_policy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::evaluation {

std::vector<double> move_probabilities(std::span<const CountdownMove> moves, double temperature) {
  PLAIT_CHECK(temperature > 0, temperature);
  std::vector<double> probabilities;
  if (moves.empty()) return probabilities;
  const std::int64_t best = std::ranges::min(moves, {}, &CountdownMove::score).score;
  double sum = 0;
  for (const CountdownMove& move : moves) {
    probabilities.push_back(std::exp(-static_cast<double>(move.score - best) / temperature));
    sum += probabilities.back();
  }
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

SampledPath sample_path(const CountdownProblem& problem, double temperature, std::uint64_t seed,
                        std::optional<std::size_t> first) {
  reasoning::SearchState state = countdown_root(problem);
  for (std::uint64_t depth = 0; state.numbers.size() > 1; ++depth) {
    std::vector<CountdownMove> moves = countdown_moves(state);
    std::size_t chosen = 0;
    if (depth == 0 && first) {
      PLAIT_CHECK(*first < moves.size(), *first, moves.size());
      chosen = *first;
    } else {
      const std::vector<double> probabilities = move_probabilities(moves, temperature);
      double left = base::random_unit(seed, depth);
      while (chosen + 1 < moves.size() && left >= probabilities[chosen]) left -= probabilities[chosen++];
    }
    state = std::move(moves[chosen].state);
  }
  PLAIT_CHECK(!state.numbers.empty());
  return {std::move(state.steps), state.numbers.front(), state.numbers.front() == problem.target};
}

}  // namespace plait::evaluation
