// SPDX-License-Identifier: Apache-2.0
#include "evaluation/experiments/ope_arms.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/random.h"
#include "evaluation/countdown_policy.h"
#include "evaluation/countdown_search.h"
#include "evaluation/experiments/planted_drafts.h"
#include "reasoning/aggregate.h"
#include "reasoning/arithmetic.h"

namespace plait::evaluation {
namespace {

std::vector<SampledPath> paths_of(const CountdownProblem& problem, double temperature, std::size_t paths, PathArm arm,
                                  std::uint64_t seed, std::size_t& filled_up) {
  const std::size_t moves = countdown_moves(countdown_root(problem)).size();
  std::vector<SampledPath> all;
  for (std::size_t i = 0; i < paths; ++i) {
    std::optional<std::size_t> first;
    if (arm == PathArm::one_outline) first = 0;
    if (arm == PathArm::outlines && i < moves) first = i;
    if (arm == PathArm::outlines && i >= moves) ++filled_up;
    all.push_back(sample_path(problem, temperature, base::child_seed(seed, i), first));
  }
  return all;
}

/// The answer of most paths, compared as votes are.
bool majority_is_right(const std::vector<SampledPath>& paths) {
  std::vector<reasoning::Candidate> candidates;
  for (const SampledPath& path : paths) {
    candidates.push_back({.index = candidates.size(), .answer = steps_answer(path.steps)});
  }
  const reasoning::Choice choice = reasoning::majority_vote(candidates);
  return choice.index && paths[*choice.index].solved;
}

/// The mean over pairs of paths of shared intermediate numbers / all of both.
double overlap(const std::vector<SampledPath>& paths) {
  std::vector<std::set<std::int64_t>> numbers;
  for (const SampledPath& path : paths) {
    numbers.emplace_back();
    for (std::size_t i = 0; i + 1 < path.steps.size(); ++i) numbers.back().insert(path.steps[i].result);
  }
  Mean mean;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const auto shared = std::ranges::count_if(numbers[i], [&](std::int64_t n) { return numbers[j].contains(n); });
      const auto both = static_cast<double>(numbers[i].size() + numbers[j].size()) - static_cast<double>(shared);
      mean.add(both > 0 ? static_cast<double>(shared) / both : 1);
    }
  }
  return mean.value();
}

void add(const CountdownProblem& problem, const std::vector<SampledPath>& paths, ArmFigures& figures) {
  const reasoning::SearchState root = countdown_root(problem);
  std::set<std::string> first_moves;
  std::set<std::int64_t> values;
  figures.solved.emplace_back();
  for (const SampledPath& path : paths) {
    figures.solved.back().push_back(path.solved);
    first_moves.insert(reasoning::step_text(path.steps.front()));
    values.insert(path.value);
    figures.tokens.add(static_cast<double>(count_task_tokens(path_text(root, "0", path.steps))));
  }
  figures.pass.add(std::ranges::any_of(paths, &SampledPath::solved));
  figures.majority.add(majority_is_right(paths));
  figures.first_moves.add(static_cast<double>(first_moves.size()));
  figures.values.add(static_cast<double>(values.size()));
  figures.overlap.add(overlap(paths));
}

bool any(const std::vector<bool>& solved) { return std::ranges::find(solved, true) != solved.end(); }

}  // namespace

ArmFigures run_arm(std::span<const CountdownProblem> problems, double temperature, std::size_t paths, PathArm arm,
                   std::uint64_t seed) {
  ArmFigures figures;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    add(problems[i], paths_of(problems[i], temperature, paths, arm, base::child_seed(seed, i), figures.filled_up),
        figures);
  }
  return figures;
}

Discordant compare(const ArmFigures& first, const ArmFigures& second) {
  Discordant discordant;
  for (std::size_t i = 0; i < std::min(first.solved.size(), second.solved.size()); ++i) {
    discordant.add(any(first.solved[i]), any(second.solved[i]));
  }
  return discordant;
}

std::vector<double> marginal_solves(const ArmFigures& arm, std::size_t orders, std::uint64_t seed) {
  const std::size_t paths = arm.solved.empty() ? 0 : arm.solved.front().size();
  const std::size_t rounds = std::max<std::size_t>(1, orders);
  const double share = 1 / static_cast<double>(rounds * std::max<std::size_t>(1, arm.solved.size()));
  std::vector<double> newly(paths, 0.0);
  std::vector<std::size_t> order(paths);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t i = paths; orders > 0 && i > 1; --i) {
      std::swap(order[i - 1], order[base::random_u64(base::child_seed(seed, round), i) % i]);
    }
    for (const std::vector<bool>& solved : arm.solved) {
      const auto at = std::ranges::find_if(order, [&](std::size_t path) { return solved[path]; });
      if (at != order.end()) newly[static_cast<std::size_t>(at - order.begin())] += share;
    }
  }
  return newly;
}

double mean_first_moves(std::span<const CountdownProblem> problems) {
  Mean moves;
  for (const CountdownProblem& problem : problems) {
    moves.add(static_cast<double>(countdown_moves(countdown_root(problem)).size()));
  }
  return moves.value();
}

}  // namespace plait::evaluation
