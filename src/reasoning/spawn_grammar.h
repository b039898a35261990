// SPDX-License-Identifier: Apache-2.0
//
// How a search hands parts of itself to children and gets their results: the blocks of "Learning Adaptive Parallel
// Reasoning" (arXiv 2504.15466), in the language of reasoning/search_trace.h. A parent's text ends with
//
//   <Calling Sub Searches>
//   0 at node #0,0
//   1 at node #0,3
//   <End Calling Sub Searches>
//
// Each child gets two lines, and nothing else of the parent: the move to its node and the state there. Then the block
// is replaced by what came out, in the order in which children were listed:
//
//   <Sub Searches>
//   0 at node #0,0: No solution
//   1 at node #0,3: Goal reached
//   (the path that the child has found)
//   <End Sub Searches>
//
// Only the runtime writes that. What a model invents, lists twice or leaves open is counted, never an error. Pure
// functions of any bytes; linear time.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reasoning/search_trace.h"

namespace plait::reasoning {

inline constexpr std::string_view kSpawnBegin = "<Calling Sub Searches>";
inline constexpr std::string_view kSpawnEnd = "<End Calling Sub Searches>";  ///< A stop string of the parent's.
inline constexpr std::string_view kJoinBegin = "<Sub Searches>";             ///< Another one.
inline constexpr std::string_view kJoinEnd = "<End Sub Searches>";

/// One line of a block.
struct SpawnCall {
  std::size_t index = 0;  ///< As it is written.
  std::string node = {};  ///< `0,3`.
  friend bool operator==(const SpawnCall&, const SpawnCall&) = default;
};

/// The block that calls these children, without the end of its last line: the model stops at its last tag.
[[nodiscard]] std::string spawn_block(std::span<const SpawnCall> calls);

/// What a text ends with.
struct SpawnBlock {
  enum class Ending {
    none,      ///< No block: the parent has ended.
    closed,    ///< A block. Its calls may be none.
    unclosed,  ///< A block begins and does not end.
    unopened,  ///< A block ends that has not begun.
  };
  Ending ending = Ending::none;
  std::size_t begin = 0;              ///< Closed and unclosed: the byte where it begins.
  std::vector<SpawnCall> calls = {};  ///< Closed: in their order, those that count.
  std::size_t doubled = 0;            ///< Dropped: a node or an index that was there before.
  std::size_t unreadable = 0;         ///< Dropped: lines that are no call.
  std::size_t beyond = 0;             ///< Dropped: more than were allowed.
};

/// The block at the end of a text; space may follow it. At most `calls_max` calls count.
[[nodiscard]] SpawnBlock parse_spawn(std::string_view text, std::size_t calls_max);

/// A child to run, or to count: an invented node has no state and no solution.
struct SpawnChild {
  SpawnCall call = {};
  std::optional<SearchState> state = {};
};
/// The block's children with their states, which are looked up in what stands before the block. Requires: `block` is of
/// this text, and closed.
[[nodiscard]] std::vector<SpawnChild> spawn_children(std::string_view text, const SpawnBlock& block);

/// All that a child is given: the move and its state.
[[nodiscard]] std::string child_prompt(std::string_view node, const SearchState& state);

/// If a text ends with the tag that begins a join: the text with the tag that begins a spawn block there.
[[nodiscard]] std::optional<std::string> spawn_instead_of_join(std::string_view text);

/// What a child has come to.
struct SubSearchResult {
  SpawnCall call = {};
  std::optional<std::string> path = {};  ///< Of a child that says it has reached the goal; see solution_path().
};
/// The block that the runtime writes, with the end of its last line.
[[nodiscard]] std::string join_block(std::span<const SubSearchResult> results);

/// The parent's text to go on from: what stands before the block, then the join. Requires: as spawn_children().
[[nodiscard]] std::string joined_text(std::string_view text, const SpawnBlock& block,
                                      std::span<const SubSearchResult> results);

}  // namespace plait::reasoning
