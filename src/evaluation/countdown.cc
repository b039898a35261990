// SPDX-License-Identifier: Apache-2.0
#include "evaluation/countdown.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace plait::evaluation {
namespace {

using reasoning::SearchState;
using reasoning::Step;

constexpr std::size_t kNumbersMax = 6;
constexpr std::uint64_t kNumberMax = 99;
constexpr std::uint64_t kTargetMin = 10;
constexpr std::uint64_t kTargetMax = 100;
constexpr std::uint64_t kDrawsInVain = 100'000;

CountdownProblem draw(const CountdownOptions& options, std::uint64_t attempt) {
  const std::uint64_t seed = base::child_seed(options.seed, attempt);
  CountdownProblem problem;
  for (std::size_t i = 0; i < options.numbers; ++i) {
    problem.numbers.push_back(static_cast<std::int64_t>(1 + base::random_u64(seed, i) % kNumberMax));
  }
  const std::uint64_t targets = kTargetMax - kTargetMin + 1;
  problem.target = static_cast<std::int64_t>(kTargetMin + base::random_u64(seed, options.numbers) % targets);
  return problem;
}

/// Whether the first `count` numbers reach a target. No allocation: most problems that are drawn have no solution, and
/// all their states are seen. Six numbers of two digits stay far within 64 bits.
bool is_reachable(const std::array<std::int64_t, kNumbersMax>& numbers, std::size_t count, std::int64_t target) {
  if (count == 1) return numbers[0] == target;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = i + 1; j < count; ++j) {
      const std::int64_t larger = std::max(numbers[i], numbers[j]);
      const std::int64_t smaller = std::min(numbers[i], numbers[j]);
      std::array<std::int64_t, kNumbersMax> next = numbers;
      next[j] = numbers[count - 1];
      const auto reaches = [&](std::int64_t result) {
        next[i] = result;
        return is_reachable(next, count - 1, target);
      };
      if (reaches(larger + smaller) || reaches(larger - smaller) || reaches(larger * smaller)) return true;
      if (smaller != 0 && larger % smaller == 0 && reaches(larger / smaller)) return true;
    }
  }
  return false;
}

bool is_solvable(const CountdownProblem& problem) {
  std::array<std::int64_t, kNumbersMax> numbers{};
  std::ranges::copy(problem.numbers, numbers.begin());
  return is_reachable(numbers, problem.numbers.size(), problem.target);
}

/// What two problems share that are the same but for the order of their numbers.
std::vector<std::int64_t> key_of(const CountdownProblem& problem) {
  std::vector<std::int64_t> key = problem.numbers;
  std::ranges::sort(key);
  key.push_back(problem.target);
  return key;
}

/// The steps from two numbers, the larger one first, in the order + - * /.
std::vector<Step> steps_of(std::int64_t a, std::int64_t b) {
  std::vector<Step> steps;
  for (const char operation : {'+', '-', '*', '/'}) {
    const auto result = reasoning::apply(std::max(a, b), operation, std::min(a, b));
    if (result) steps.push_back({std::max(a, b), operation, std::min(a, b), *result});
  }
  return steps;
}

std::vector<std::int64_t> divisors_of(std::int64_t target) {
  PLAIT_CHECK(target >= 2, target);
  std::vector<std::int64_t> divisors;
  for (std::int64_t divisor = 2; divisor <= target; ++divisor) {
    if (target % divisor == 0) divisors.push_back(divisor);
  }
  return divisors;
}

std::int64_t score_of(std::span<const std::int64_t> numbers, std::span<const std::int64_t> divisors) {
  std::int64_t score = 0;
  for (const std::int64_t number : numbers) {
    std::int64_t nearest = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t divisor : divisors) nearest = std::min(nearest, std::abs(number - divisor));
    score += nearest;
  }
  return score;
}

/// The state behind a step from numbers i < j.
SearchState behind(const SearchState& state, std::size_t i, std::size_t j, const Step& step) {
  SearchState next{state.target, state.numbers, state.steps};
  next.numbers.erase(next.numbers.begin() + static_cast<std::ptrdiff_t>(j));
  next.numbers.erase(next.numbers.begin() + static_cast<std::ptrdiff_t>(i));
  next.numbers.push_back(step.result);
  next.steps.push_back(step);
  return next;
}

std::optional<std::vector<Step>> solve(const SearchState& state) {
  if (state.numbers.size() == 1) {
    return state.numbers.front() == state.target ? std::optional(state.steps) : std::nullopt;
  }
  for (const CountdownMove& move : countdown_moves(state)) {
    if (auto steps = solve(move.state)) return steps;
  }
  return std::nullopt;
}

}  // namespace

CountdownPart part_of_hash(std::uint64_t hash) {
  switch (base::mix64(hash) % 10) {
    case 0:
      return CountdownPart::validation;
    case 1:
      return CountdownPart::test;
    default:
      return CountdownPart::training;
  }
}

CountdownPart part_of(const CountdownProblem& problem) {
  std::uint64_t hash = 0;
  for (const std::int64_t number : key_of(problem)) hash = base::mix64(hash + static_cast<std::uint64_t>(number) + 1);
  return part_of_hash(hash);
}

base::Result<std::vector<CountdownProblem>> countdown_problems(const CountdownOptions& options, std::size_t count) {
  if (options.numbers < 2 || options.numbers > kNumbersMax) {
    return base::fail(base::ErrorCode::invalid_argument,
                      fmt::format("CountDown with {} numbers; 2 to {} are possible", options.numbers, kNumbersMax));
  }
  std::vector<CountdownProblem> problems;
  std::set<std::vector<std::int64_t>> known;
  std::uint64_t in_vain = 0;
  for (std::uint64_t attempt = 0; problems.size() < count; ++attempt) {
    if (in_vain == kDrawsInVain) {
      return base::fail(base::ErrorCode::out_of_resources,
                        fmt::format("{} problems of this kind were asked for, {} were found", count, problems.size()));
    }
    ++in_vain;
    CountdownProblem problem = draw(options, attempt);
    if (part_of(problem) != options.part || !known.insert(key_of(problem)).second) continue;
    if (options.solvable && !is_solvable(problem)) continue;
    problems.push_back(std::move(problem));
    in_vain = 0;
  }
  return problems;
}

std::int64_t countdown_score(std::span<const std::int64_t> numbers, std::int64_t target) {
  return score_of(numbers, divisors_of(target));
}

SearchState countdown_root(const CountdownProblem& problem) { return {problem.target, problem.numbers, {}}; }

std::vector<CountdownMove> countdown_moves(const SearchState& state) {
  const std::vector<std::int64_t> divisors = divisors_of(state.target);
  std::vector<CountdownMove> moves;
  for (std::size_t i = 0; i < state.numbers.size(); ++i) {
    for (std::size_t j = i + 1; j < state.numbers.size(); ++j) {
      for (const Step& step : steps_of(state.numbers[i], state.numbers[j])) {
        const auto same = [&](const CountdownMove& move) { return move.step == step; };
        if (std::ranges::any_of(moves, same)) continue;
        SearchState next = behind(state, i, j, step);
        const std::int64_t score = score_of(next.numbers, divisors);
        moves.push_back({step, std::move(next), score});
      }
    }
  }
  std::ranges::stable_sort(moves, {}, &CountdownMove::score);
  return moves;
}

std::optional<std::vector<Step>> solve_countdown(const CountdownProblem& problem) {
  return solve(countdown_root(problem));
}

}  // namespace plait::evaluation
