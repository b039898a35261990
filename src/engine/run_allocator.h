// SPDX-License-Identifier: Apache-2.0
//
// Pages for owners that grow: each owner gets runs of adjacent pages with a reserve at the end, so that what is later
// copied lies in few pieces; the reserve can be taken away again, so that no memory is lost to it.
//
//   engine::RunAllocator pool(pages, 60);
//   PLAIT_TRY(auto fresh, pool.grow(sequence, 3));     // runs of the three new pages, in order
//   pool.trim(sequence, 1);                            // the last one is not needed after all
//   pool.release(sequence);
//
// Source: block groups of FastSwitch (arXiv 2411.18424). Which run is chosen, and whose reserve is taken first, is
// ours.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/free_runs.h"

namespace plait::engine {

/// The pages first … first + length - 1 of one owner, of which the first `used` are in use and the others are reserve.
struct OwnedRun {
  std::uint32_t first = 0;
  std::uint32_t length = 0;
  std::uint32_t used = 0;

  friend bool operator==(const OwnedRun&, const OwnedRun&) = default;
};

/// What lies idle, and in how many pieces.
struct Fragmentation {
  std::uint32_t free_pages = 0;        ///< Nobody's.
  std::uint32_t free_runs = 0;         ///< Pieces that they lie in.
  std::uint32_t free_run_longest = 0;  ///< Pages of the longest one.
  std::uint32_t reserve_pages = 0;     ///< Unused tails of owners; anyone who needs them gets them.
  std::uint32_t reserves = 0;          ///< Owners that have a tail.
  /// [k]: free runs of 2^k to 2^(k+1) - 1 pages.
  std::array<std::uint32_t, 32> free_runs_by_length = {};
};

/// Invariants, after every call
///   R1  Every page is in one hand: free, or in exactly one run of one owner.
///   R2  Runs of an owner are in the order in which it got them; used ≥ 1 for each; only the last has a reserve; no run
///       begins where the one before it ends.
///   R3  available() pages can be given out: free ones and all reserves.
/// Deterministic: the same calls give the same pages. Not thread-safe. A call costs O(log) of free runs and owners for
/// every run it touches; release_pages() also looks through the owner's runs.
class RunAllocator {
 public:
  using Owner = std::uint64_t;

  /// `group_pages`: how many pages a new run should have at least, the part in reserve included. 1 is plain paging with
  /// best fit; 60 pages of 16 tokens are about 1,000 tokens. Requires: group_pages ≥ 1.
  RunAllocator(std::uint32_t pages, std::uint32_t group_pages);

  [[nodiscard]] std::uint32_t pages() const { return free_.pages(); }
  /// What grow() can give to all owners together.
  [[nodiscard]] std::uint32_t available() const { return free_.free_pages() + reserve_pages_; }
  /// What is nobody's.
  [[nodiscard]] const FreeRuns& free_runs() const { return free_; }
  /// In order of growth; empty for an owner without pages. Valid until the next call that changes something.
  [[nodiscard]] std::span<const OwnedRun> runs(Owner owner) const;
  /// Pages in use by the owner, its reserve not counted.
  [[nodiscard]] std::uint32_t used_pages(Owner owner) const;
  [[nodiscard]] Fragmentation fragmentation() const;

  /// Puts `pages` more pages to use and returns them in order, adjacent ones as one run. First comes the owner's
  /// reserve; then the best fitting free run of max(group_pages, what is missing) pages, or the longest free run,
  /// whole; when nothing is free, the end of the longest reserve of any owner (of several the smallest owner's).
  /// `group_pages` 0: that of the constructor. Errors: out_of_resources if pages > available(); nothing has changed
  /// then.
  [[nodiscard]] base::Result<std::vector<PageRun>> grow(Owner owner, std::uint32_t pages,
                                                        std::uint32_t group_pages = 0);

  /// Gives back all that the owner has.
  void release(Owner owner);
  /// Gives back the owner's reserve.
  void release_reserve(Owner owner);
  /// Gives back these pages of the owner, wherever they lie; with the last used page of a run goes the reserve behind
  /// it.
  /// Requires: the owner uses all of them.
  void release_pages(Owner owner, PageRun pages);
  /// Gives back the owner's first `pages` pages: what lies behind a sliding window. Requires: pages ≤
  /// used_pages(owner).
  void release_front(Owner owner, std::uint32_t pages);
  /// The owner's last `pages` pages are no longer used. Up to `reserve_max` of the last run that is left stay with the
  /// owner as its reserve, the others are given back. Requires: pages ≤ used_pages(owner).
  void trim(Owner owner, std::uint32_t pages, std::uint32_t reserve_max = 0);

  /// Every page in one hand, sums, order, adjacency: R1 to R3, by looking at everything. For tests.
  void check_invariants() const;

 private:
  using Runs = std::vector<OwnedRun>;

  void set_reserve(Owner owner, OwnedRun& run, std::uint32_t length, std::uint32_t used);
  void drop_last(Owner owner, Runs& runs);
  PageRun steal(std::uint32_t pages);
  std::uint32_t release_within(Owner owner, Runs& runs, PageRun pages);
  void forget_if_empty(Owner owner);

  FreeRuns free_;
  std::uint32_t group_pages_;
  std::uint32_t reserve_pages_ = 0;
  std::unordered_map<Owner, Runs> owners_;                // owners with at least one run; never iterated for a choice
  std::set<std::pair<std::uint32_t, Owner>> by_reserve_;  // (2^32 - 1 - reserve, owner): the longest reserve first
};

}  // namespace plait::engine
