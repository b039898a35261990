// SPDX-License-Identifier: Apache-2.0
//
// CountDown: reach a target from whole numbers, each used once, by + - * / on whole numbers that are never negative:
// the larger minus the smaller, and division only where it is exact. The task of several papers on search by language
// models (arXiv 2504.15466, 2504.07052, 2602.08344), with their ranges: numbers 1 to 99, target 10 to 100.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "reasoning/arithmetic.h"
#include "reasoning/search_trace.h"

namespace plait::evaluation {

struct CountdownProblem {
  std::vector<std::int64_t> numbers = {};
  std::int64_t target = 0;
  friend bool operator==(const CountdownProblem&, const CountdownProblem&) = default;
};

/// The part of all problems that a problem belongs to, by its numbers, sorted, and its target: no problem is in two of
/// them, whatever the seeds. Eight of ten are for training.
enum class CountdownPart { training, validation, test };
[[nodiscard]] CountdownPart part_of(const CountdownProblem& problem);
/// A tenth of all hashes each for validation and test, the rest for training.
[[nodiscard]] CountdownPart part_of_hash(std::uint64_t hash);

struct CountdownOptions {
  std::size_t numbers = 4;  ///< 2 to 6.
  CountdownPart part = CountdownPart::training;
  bool solvable = true;  ///< Only such as have a solution; else as they are drawn.
  std::uint64_t seed = 0;
};

/// `count` problems of one part, no two with the same numbers and target. A prefix of what more of them would be. Time:
/// less than a millisecond for each with four numbers, of which one of eight drawn has a solution. Errors:
/// invalid_argument (numbers); out_of_resources (there are not so many: a hundred thousand draws brought nothing new).
[[nodiscard]] base::Result<std::vector<CountdownProblem>> countdown_problems(const CountdownOptions& options,
                                                                             std::size_t count);

/// One operation from a state, and where it leads.
struct CountdownMove {
  reasoning::Step step = {};
  reasoning::SearchState state = {};  ///< Behind it.
  std::int64_t score = 0;             ///< Of the numbers there; less is better.
};

/// How far numbers are from the divisors of a target: the sum of their distances to the nearest divisor of at least 2.
/// After "Stream of Search" (arXiv 2404.03683). Requires: target >= 2.
[[nodiscard]] std::int64_t countdown_score(std::span<const std::int64_t> numbers, std::int64_t target);

/// The problem's beginning: all numbers, no step.
[[nodiscard]] reasoning::SearchState countdown_root(const CountdownProblem& problem);

/// All moves from a state, the best score first, equal ones in the order of their numbers and of + - * /. The larger
/// number stands first in every step, and no two steps are the same. A state of four numbers has at most 24. Requires:
/// target >= 2.
[[nodiscard]] std::vector<CountdownMove> countdown_moves(const reasoning::SearchState& state);

/// The first solution that a depth-first search in the order of countdown_moves() finds; nothing if there is none.
[[nodiscard]] std::optional<std::vector<reasoning::Step>> solve_countdown(const CountdownProblem& problem);

}  // namespace plait::evaluation
