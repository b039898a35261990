// SPDX-License-Identifier: Apache-2.0
//
// What learners of CountDown are trained on: searches of evaluation/countdown_search.h, cut into what a model is given
// and what it is to write. The learners of "To Backtrack or Not to Backtrack" (arXiv 2504.07052: solutions alone, and
// whole depth-first searches) and of "Learning Adaptive Parallel Reasoning" (arXiv 2504.15466: parents and children of
// spawned searches). Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/countdown.h"
#include "evaluation/countdown_search.h"

namespace plait::evaluation {

enum class TrainingKind {
  direct,       ///< The path to a solution.
  depth_first,  ///< All of the search, then the path.
  spawned,      ///< What the parent writes up to each block, and what each child does.
};
/// "direct", "depth-first", "spawned"; nothing for another name.
[[nodiscard]] std::optional<TrainingKind> training_kind(std::string_view name);

struct TrainingText {
  std::string prompt = {};  ///< Given; nothing is learned from it.
  std::string text = {};    ///< To be written, and then the end.
};

/// The contexts of a spawned search, each once: what parent and children are given, and write from there on. `heading`
/// stands before the parent's first state.
[[nodiscard]] std::vector<TrainingText> spawned_texts(const SpawnedSearch& search, const std::string& heading);

/// The line that stands before the first state of a spawned search, and says how many children it has in all: a
/// learner's handle on how much it searches. Ten stands for more, too.
[[nodiscard]] std::string child_budget_line(std::size_t children);
inline constexpr std::size_t kChildBudgetMost = 10;

struct TrainingOptions {
  std::size_t context_tokens = 0;  ///< Spawned: the window of parent and of each child; 0: no limit.
  std::uint64_t seed = 0;          ///< Spawned: of the policy, and of how many children it may have at a node.
};

/// The texts of one problem. Direct: none where there is no solution.
[[nodiscard]] std::vector<TrainingText> training_texts(const CountdownProblem& problem, TrainingKind kind,
                                                       const TrainingOptions& options);

}  // namespace plait::evaluation
