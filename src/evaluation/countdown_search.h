// SPDX-License-Identifier: Apache-2.0
//
// Searches over CountDown, written down in the language of reasoning/search_trace.h: what learners are trained on, and
// what scripted models say. Three of them:
//
//   depth first   "To Backtrack or Not to Backtrack" (arXiv 2504.07052): children in the order of their score, those
//                 with a score above the target left out
//   best first    "Learning Adaptive Parallel Reasoning" (arXiv 2504.15466), serial: a beam, and searches below a node
//                 written in place
//   spawned       the same search with those below a node done by children at the same time
//
// Pure functions of problem and options. Token counts are in the vocabulary of the task: count_task_tokens().
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/countdown.h"
#include "reasoning/arithmetic.h"
#include "reasoning/search_trace.h"
#include "reasoning/spawn_grammar.h"

namespace plait::evaluation {

/// The tokens of a text: each digit, each word, each other character but blanks; ends of lines are tokens.
[[nodiscard]] std::vector<std::string_view> task_tokens(std::string_view text);
[[nodiscard]] std::size_t count_task_tokens(std::string_view text);
/// The beginning of a text that has `tokens` tokens, or all of it.
[[nodiscard]] std::string_view first_task_tokens(std::string_view text, std::size_t tokens);

/// The line that all texts of a problem begin with: the state of the tree's root.
[[nodiscard]] std::string root_line(const CountdownProblem& problem);

/// The path from a state by these steps, as it stands behind a search: states, operations, moves, and a goal line.
/// `node` is the state's name. Requires: every step is one of countdown_moves() where it is taken.
[[nodiscard]] std::string path_text(const reasoning::SearchState& from, std::string_view node,
                                    std::span<const reasoning::Step> steps);

/// A search that was written down.
struct SearchText {
  std::string text = {};  ///< From the root's state line on. If solved, it ends with the path from the root.
  bool solved = false;
};

/// All of the tree below the root, with scores above the target left out (`prune`).
[[nodiscard]] SearchText depth_first_text(const CountdownProblem& problem, bool prune = true);

struct BestFirstOptions {
  std::size_t beam = 5;        ///< Children of a node that are kept, the best ones.
  std::size_t child_beam = 5;  ///< The same in searches below a node.
  /// That the children of a node are searched one by one to their end, not put on the list of open nodes: drawn where
  /// there are at least two, but not within such a search.
  double nested_probability = 0.9;
  std::size_t children_max = 10;   ///< That are searched so at one node; others are put on the list.
  std::size_t context_tokens = 0;  ///< Spawned: the window of parent and of each child; 0: no limit.
  std::uint64_t seed = 0;          ///< Of the draws.
};

/// The published policies. Serial: both beams the same, of 1 to 5, nested in half of the cases. Spawned: a beam of 1
/// to 10, nested in nine of ten. Children's beams are published as "up to 15"; 8 comes nearest to the sizes that were:
/// of 700 problems of four numbers, with windows of 4,096 tokens, .739 are solved with 5.9 children, 7.7k tokens in
/// all and 2.0k of them in a row; the serial policy solves .529.
[[nodiscard]] BestFirstOptions serial_policy(std::uint64_t seed);
[[nodiscard]] BestFirstOptions spawning_policy(std::uint64_t seed);

/// The serial search: nested searches stand in the text. context_tokens has no meaning here; see is_solved_within().
[[nodiscard]] SearchText best_first_text(const CountdownProblem& problem, const BestFirstOptions& options);

/// Whether a path takes the problem's numbers to its target.
[[nodiscard]] bool is_right_path(const CountdownProblem& problem, std::string_view path);
/// Whether a text's first tokens hold a path that is right.
[[nodiscard]] bool is_solved_within(const CountdownProblem& problem, std::string_view text, std::size_t tokens);

/// A child that was called.
struct SpawnedChild {
  reasoning::SpawnCall call = {};
  std::string prompt = {};  ///< What it is given,
  std::string text = {};    ///< and what it writes, cut where its window is full.
};

/// What the parent writes in one go, and whom it calls at its end.
struct SpawnedSegment {
  std::string text = {};
  std::vector<SpawnedChild> children = {};
};

struct SpawnedSearch {
  std::string prompt = {};  ///< The root's state line.
  std::vector<SpawnedSegment> segments = {};
  std::string text = {};               ///< The parent's at the end: prompt, segments, joins in place of blocks.
  bool solved = false;                 ///< The text holds a path that is right.
  std::size_t children = 0;            ///< That were called.
  std::size_t total_tokens = 0;        ///< Written by all.
  std::size_t sequential_tokens = 0;   ///< The parent's, and for each block the longest child's.
  std::size_t context_tokens_max = 0;  ///< The longest context, with prompts and joins.
};
[[nodiscard]] SpawnedSearch spawned_search(const CountdownProblem& problem, const BestFirstOptions& options);

}  // namespace plait::evaluation
