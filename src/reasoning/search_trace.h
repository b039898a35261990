// SPDX-License-Identifier: Apache-2.0
//
// The language in which searches over CountDown are written down, one line for each thing that happens. The kinds of
// lines are those of "Learning Adaptive Parallel Reasoning" (arXiv 2504.15466); the spelling is ours and stays as it
// is, since learners and recorded texts depend on it:
//
//   Current state: 24 from [3,5,7,9], operations []               where the search stands
//   Exploring operation: 3+5=8, resulting numbers [7,9,8]         what it looks at
//   Generated node #0,2: 24 from [7,9,8], operations [3+5=8]      what it may come back to: its parent's name, and
//   Moving to node #0,2                                           which child of it, from 0 on; the root is 0
//   Goal reached: 24 is 24
//   No solution: 7 is not 24
//
// After the goal the path to it is repeated without the search: states, operations and moves in turn, and a goal line.
// Functions that write return whole lines; those that read take a line with or without its end, and never fail on
// anything: they return nothing. All are pure, and linear in the text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "reasoning/arithmetic.h"

namespace plait::reasoning {

/// A place in a search.
struct SearchState {
  std::int64_t target = 0;
  std::vector<std::int64_t> numbers = {};  ///< That are left: given ones in their order, then results.
  std::vector<Step> steps = {};            ///< That led here from the given numbers.
  friend bool operator==(const SearchState&, const SearchState&) = default;
};

[[nodiscard]] std::string state_line(const SearchState& state);
[[nodiscard]] std::string explore_line(const Step& step, std::span<const std::int64_t> numbers);
[[nodiscard]] std::string node_line(std::string_view node, const SearchState& state);
[[nodiscard]] std::string move_line(std::string_view node);
[[nodiscard]] std::string goal_line(std::int64_t target);
[[nodiscard]] std::string dead_end_line(std::int64_t value, std::int64_t target);

[[nodiscard]] std::optional<SearchState> parse_state_line(std::string_view line);
[[nodiscard]] std::optional<Step> parse_explore_line(std::string_view line);
/// Whether a line says that the goal is reached. Saying so proves nothing: see check_countdown_steps().
[[nodiscard]] bool is_goal_line(std::string_view line);
/// Takes a node's name as `0,2,1` off the front; empty if there is none.
[[nodiscard]] std::string_view take_node(std::string_view& text);

/// The nodes that a text has generated, by their names. Views the text, which must outlive it.
class NodeTable {
 public:
  explicit NodeTable(std::string_view text);
  /// The state of a node, of two with one name the later one. Nothing: no such node, or its line cannot be read.
  [[nodiscard]] std::optional<SearchState> find(std::string_view node) const;

 private:
  std::unordered_map<std::string_view, std::string_view> lines_;  // what follows the name
};

/// The path behind a search that has reached its goal: what follows the last but one goal line, up to the last one.
/// Nothing if there are not two, or nothing between them. A part of `text`.
[[nodiscard]] std::optional<std::string_view> solution_path(std::string_view text);

/// All steps that a path takes: those of its first state, then those it explores. Nothing without a state at first.
[[nodiscard]] std::optional<std::vector<Step>> path_steps(std::string_view path);

}  // namespace plait::reasoning
