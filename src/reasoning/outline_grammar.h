// SPDX-License-Identifier: Apache-2.0
//
// The text of an answer that thinks in threads: "ThreadWeaver" (arXiv 2512.07843), format facts of its official code.
// Any number of blocks stand in ordinary text:
//
//   <Parallel>
//   <Outlines>
//   <Outline>1: what the first thread does</Outline>
//   <Outline>2: what the second one does</Outline>
//   </Outlines>
//   <Thread>
//   1: its text</Thread><Thread>
//   2: its text</Thread>
//   </Parallel>
//
// The runtime reads outlines as far as they can be read (outlines_behind); a text that is learned from must keep to
// all rules (check_trajectory). Pure functions of any bytes: none throws, all take linear time.
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plait::reasoning {

/// Outlines of one block, and of one plan; what comes behind them is left out.
inline constexpr std::size_t kOutlinesMax = 50;

struct Outline {
  std::size_t number = 0;
  std::string text = {};  ///< Behind the colon, trimmed.
  friend bool operator==(const Outline&, const Outline&) = default;
};

/// The outlines behind the last "<Outlines>", up to its end or the text's, in order. Of two with one number the first
/// counts; those without a number, or with one of more than nine digits, do not. At most kOutlinesMax. For the runtime:
/// the text ends with the "</Outlines>" that stopped the model.
[[nodiscard]] std::vector<Outline> outlines_behind(std::string_view text);

/// The first rule that a text breaks.
enum class TrajectoryFault {
  unbalanced,      ///< Some tag opens more or less often than it closes.
  nested,          ///< A tag opens within itself.
  crossed,         ///< Tags close in another order than they opened in.
  outside,         ///< A tag of blocks that is not in one.
  foreign,         ///< A tag in a block that has no place there, as <Conclusion> or <think>.
  order,           ///< Not one list of outlines and then the threads.
  loose_text,      ///< Something in a block is neither an outline nor a thread.
  tag_in_text,     ///< A tag within an outline's or a thread's text.
  no_outlines,     ///< A block without any.
  outline_number,  ///< Outlines are not numbered 1, 2, 3, …
  outlines_max,    ///< More than kOutlinesMax.
  thread_number,   ///< A thread does not begin with its outline's number and a colon.
  thread_count,    ///< Not one thread for each outline.
  thread_space,    ///< Space between one thread and the next.
};
/// "unbalanced", "nested", …
[[nodiscard]] std::string_view name(TrajectoryFault fault);
/// One sentence for people.
[[nodiscard]] std::string_view description(TrajectoryFault fault);

struct BadTrajectory {
  TrajectoryFault fault = TrajectoryFault::unbalanced;
  std::size_t at = 0;  ///< The byte where it shows.
  friend bool operator==(const BadTrajectory&, const BadTrajectory&) = default;
};

/// Whether a text keeps to all rules; one without blocks does. What stands outside blocks is free, but for their tags.
[[nodiscard]] std::expected<void, BadTrajectory> check_trajectory(std::string_view text);

/// Tokens by what had to wait for what: total = sequential + the sum of `threads`.
struct TrajectoryCount {
  std::size_t total = 0;
  std::size_t sequential = 0;                          ///< All but the text of threads: tags and outlines as well.
  std::vector<std::vector<std::size_t>> threads = {};  ///< [block][thread], the number and its colon included.

  /// The tokens that wait for each other if threads run side by side: sequential, and the longest thread of each block.
  [[nodiscard]] std::size_t critical() const;
  /// 1 - critical / total, from 0 up to but not 1; 0 of an empty text. Speaks of this text alone: it can be 0.2 while a
  /// text without threads would have been shorter.
  [[nodiscard]] double eta() const;
};

/// Counts a text that is given token by token; a token belongs to where its first byte stands. Tags that have no
/// meaning where they stand are text. A block that is not closed ends with the text, a thread with its block.
[[nodiscard]] TrajectoryCount account_trajectory(std::span<const std::string_view> tokens);

/// What a planner has answered.
struct Plan {
  std::vector<std::string> outlines = {};  ///< Squeezed, none empty, no two equal but for case. At most kOutlinesMax.
  std::size_t empty = 0;                   ///< Dropped: there was nothing in them.
  std::size_t repeated = 0;                ///< Dropped: they were there already.
  bool tagged = false;                     ///< Outlines came in tags; else as numbered lines.
};

/// Reads a plan for "Outline-Guided Path Exploration" (arXiv 2602.08344): the outlines in tags, those behind the last
/// "<Outlines>" if there is one; without any tag the lines that begin with a number, as in `1. text`, `2) text`,
/// `3: text` and `Outline 4: text`. Numbers need not be in order: only texts count.
[[nodiscard]] Plan parse_plan(std::string_view text);

}  // namespace plait::reasoning
