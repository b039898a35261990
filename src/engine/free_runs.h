// SPDX-License-Identifier: Apache-2.0
//
// Which pages of a pool are free, kept as runs of adjacent pages, so that what is taken lies together. It knows no
// owners and no reference counts: RunAllocator, or whoever counts, stands above it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace plait::engine {

/// The pages first, first + 1, ..., first + length - 1 of a pool.
struct PageRun {
  std::uint32_t first = 0;
  std::uint32_t length = 0;

  [[nodiscard]] std::uint32_t end() const { return first + length; }
  friend bool operator==(const PageRun&, const PageRun&) = default;
};

/// Adds `run` at the end of a list; joins it to the last one where they touch in this order.
void append_run(std::vector<PageRun>& runs, PageRun run);

/// Invariants, after every call
///   F1  Runs do not overlap and no two are adjacent.
///   F2  free_pages() is the sum of their lengths.
/// Deterministic: the same calls give the same pages. Not thread-safe. Each call costs O(log runs) for each run
/// touched.
class FreeRuns {
 public:
  /// All of 0 … pages - 1 are free. Requires: pages < 2^32 - 1.
  explicit FreeRuns(std::uint32_t pages);

  [[nodiscard]] std::uint32_t pages() const { return pages_; }            ///< Of the pool, free or not.
  [[nodiscard]] std::uint32_t free_pages() const { return free_pages_; }  ///< Sum over all runs.
  /// first → length, ascending.
  [[nodiscard]] const std::map<std::uint32_t, std::uint32_t>& runs() const { return by_start_; }

  /// The beginning of the shortest run of at least `wanted` pages (of several the first), cut to `wanted`; where there
  /// is none the longest run, whole. Nothing when no page is free. Requires: wanted ≥ 1.
  [[nodiscard]] std::optional<PageRun> take_run(std::uint32_t wanted);

  /// Runs of together at least `pages` pages, in the order in which they should be used: take_run(max(group, what is
  /// missing)) until it is enough, so the last run may hold up to `group` pages more than asked, which the caller may
  /// keep in reserve or give back. Nothing, and no change, when fewer than `pages` pages are free.
  [[nodiscard]] std::optional<std::vector<PageRun>> take(std::uint32_t pages, std::uint32_t group);

  /// Joins the run with its free neighbours. Any cut of what was taken may be given back in any order.
  /// Requires: the run lies in the pool and none of its pages is free.
  void give_back(PageRun run);

 private:
  void insert(PageRun run);
  void erase(PageRun run);

  std::uint32_t pages_;
  std::uint32_t free_pages_ = 0;
  std::map<std::uint32_t, std::uint32_t> by_start_;              // first → length
  std::set<std::pair<std::uint32_t, std::uint32_t>> by_length_;  // (length, first), the same runs
};

}  // namespace plait::engine
