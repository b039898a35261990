// SPDX-License-Identifier: Apache-2.0
//
// Moves the pages of preempted sequences to a host tier and back while the others compute, and copies only what the
// tier does not have yet.
//
//   swap.swap_out(7, {.pages = pages, .tokens = 400});      // starts; the pages are read until it is done
//   pool.release(7);                                        // they may be promised to somebody at once ...
//   swap.wait_for_pages(fresh);                             // ... who waits, if need be, for those copies only
//   ...
//   swap.swap_in(7, other_pages);
//   for (const auto& event : swap.poll()) ...               // each step: left, returned, recompute_needed
//
// What the caller holds, state by state:
//   resident   The sequence has its pages and may append. The tier may have a copy of a part of them.
//   leaving    Its pages are being written. They must not change; whoever gets them calls wait_for_pages() first.
//   out        Everything is in the tier. The pages of before mean nothing any more.
//   returning  Its new pages are being filled, or will be when the writing is over. They must not be touched.
// A sequence that was never heard of, and one after recompute_needed, is resident without a copy.
//
// Source: FastSwitch (arXiv 2411.18424), the asynchronous swap manager and KV reuse. The order of steps and the
// choice of whose copy gives way are ours.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "engine/free_runs.h"
#include "engine/host_tier.h"
#include "engine/page_memory.h"

namespace plait::engine {

struct SwapOptions {
  std::uint32_t page_tokens = 16;
  /// One operation for each run of pages that are adjacent in memory and in the tier. false: one for each page, to
  /// compare with.
  bool join_pages = true;
  /// The copy in the tier outlives the return, and the next swap-out writes only what has changed. Costs slots, which
  /// others can claim.
  bool reuse = true;
  /// Slots kept free behind a copy, so that what the sequence appends lies next to it. They cost nothing: whoever needs
  /// slots takes them. 60 pages are about 1,000 tokens; in the trace of swap_manager_bench they make it 1.4 reads for
  /// each swap-in, while the mean growth between one swap-out and the next (nothing: that rule), of a page or two
  /// there, makes it 5.1.
  std::optional<std::uint32_t> reserve_pages = 60;
};

/// Since the beginning.
struct SwapCounters {
  std::uint64_t swap_outs = 0;
  std::uint64_t swap_ins = 0;
  std::uint64_t operations_out = 0;  ///< Writes that the tier got: one for each run.
  std::uint64_t operations_in = 0;
  base::Bytes bytes_out = 0;
  base::Bytes bytes_in = 0;
  base::Bytes bytes_done = 0;            ///< Of the operations, both ways, that have ended.
  base::Bytes bytes_reused = 0;          ///< Not written because the tier had them.
  std::uint64_t pages_contaminated = 0;  ///< Slots of copies that were given to sequences of higher priority.
  std::uint64_t waits = 0;               ///< wait_for_pages() and finish() that had to wait.
  std::uint64_t recomputes = 0;          ///< Sequences lost to I/O errors.
};

/// Invariants
///   S1  A slot belongs to one copy until no operation touches it: it is never given to another while one is in flight.
///   S2  A page p with busy(p) is the source or the destination of an operation in flight. Nobody else changes it.
///   S3  A sequence is read from the tier only after all its writes are done.
///   S4  Bytes of a copy are used only if they were written without an error, and since then neither trimmed away nor
///       taken nor edited.
/// Not thread-safe; it has no thread of its own, things happen inside its calls. Deterministic for a deterministic
/// tier.
class SwapManager {
 public:
  using Sequence = std::uint64_t;

  enum class State { resident, leaving, out, returning };

  struct Event {
    enum class Kind {
      left,              ///< Now out: all its pages are in the tier and idle.
      returned,          ///< Now resident: its new pages hold what the old ones held.
      recompute_needed,  ///< An I/O error: the tier has nothing of it, new pages that it was to return to are idle and
                         ///< hold rubbish. Old pages that were not given away hold what they held.
    };
    Kind kind;
    Sequence sequence;
    friend bool operator==(const Event&, const Event&) = default;
  };

  /// A sequence that gives way.
  struct Leaver {
    std::span<const std::uint32_t> pages;  ///< Page numbers of its tokens, in order. Read during the call only.
    std::uint32_t first_page = 0;          ///< How many pages were before pages[0] (behind a sliding window).
    std::uint64_t tokens = 0;              ///< Length of the sequence, what the window has left behind included.
    std::int64_t priority = 0;             ///< Its copy may push out copies of smaller numbers.
  };

  /// Requires: memory and tier outlive it; memory.page_bytes() == tier.slot_bytes(); nobody else uses the tier.
  SwapManager(PageMemory memory, HostTier& tier, const SwapOptions& options);
  /// Gives back all slots; waits for what is in flight.
  ~SwapManager();
  SwapManager(const SwapManager&) = delete;
  SwapManager& operator=(const SwapManager&) = delete;

  /// Starts writing what the tier does not have. Afterwards the sequence is leaving; event `left` follows, or
  /// recompute_needed. Errors: out_of_resources when the tier has no room, even after taking reserves and copies of
  /// resident sequences with smaller priority; the sequence stays resident then.
  /// Requires: resident; pages.size() == ceil(tokens / page_tokens) - first_page; trim() was told of every cut;
  /// first_page is not before copy_first_page().
  [[nodiscard]] base::Result<void> swap_out(Sequence sequence, const Leaver& leaver);

  /// Starts reading it into `pages`, of which there are tier_pages(sequence), as soon as its writes are done.
  /// Afterwards it is returning; event `returned` follows, or recompute_needed.
  /// Requires: state(sequence) is leaving or out, which wait_for_pages() may have changed; no page is busy.
  void swap_in(Sequence sequence, std::span<const std::uint32_t> pages);

  /// The sequence now ends after `tokens` tokens; what comes after is not in the tier any more. In any state.
  void trim(Sequence sequence, std::uint64_t tokens);
  /// What stands at `token` and after it was changed in place, by a fork or a join. Requires: resident.
  void invalidate_from(Sequence sequence, std::uint64_t token);
  /// Forgets it, in any state; no event of it will follow. Its pages may stay busy for a while.
  void forget(Sequence sequence);

  /// Takes note of what is done. Call it once in each step; does not wait. What has happened since the last call.
  [[nodiscard]] std::vector<Event> poll();
  /// The same, but sleeps up to `timeout` until the tier has done something, unless there is an event or nothing to do.
  [[nodiscard]] std::vector<Event> wait(std::chrono::nanoseconds timeout);
  /// Returns when none of these pages is busy: to be called before pages are given to somebody. Waits for the copies
  /// of these pages, not for the others. Events are kept for the next poll().
  void wait_for_pages(std::span<const PageRun> pages);
  /// Sleeps until something is done, up to `timeout`. Events are kept.
  void wait_for_any(std::chrono::nanoseconds timeout);
  /// Returns when the sequence is resident or out. Events are kept.
  void finish(Sequence sequence);

  [[nodiscard]] bool busy(std::uint32_t page) const { return page_uses_.at(page) > 0; }
  [[nodiscard]] State state(Sequence sequence) const;
  /// Pages that swap_in() needs. Requires: leaving, out or returning.
  [[nodiscard]] std::uint32_t tier_pages(Sequence sequence) const;
  /// What is still to be moved before the sequence is out or resident: for estimates of when that will be.
  [[nodiscard]] base::Bytes bytes_left(Sequence sequence) const;
  /// Where its copy begins, whatever its state; nothing for a sequence without a copy. A leaver whose pages begin
  /// before that has to be forgotten first.
  [[nodiscard]] std::optional<std::uint32_t> copy_first_page(Sequence sequence) const;
  [[nodiscard]] const SwapCounters& counters() const { return counters_; }

 private:
  struct Copy {
    RunAllocator::Owner owner = 0;  // of its slots; never used again for another copy
    State state = State::resident;
    std::uint32_t first_page = 0;
    std::vector<std::uint32_t> slots = {};  // [page - first_page]; kNoSlot: contaminated
    std::uint64_t clean_tokens = 0;         // pages with a slot are valid up to here
    std::uint64_t tokens = 0;               // at the last swap-out
    std::int64_t priority = 0;
    std::uint32_t operations = 0;  // in flight
    std::uint32_t pages_left = 0;  // of these operations, and of those to come
    bool failed = false;
    std::optional<std::vector<std::uint32_t>> destination = {};  // returning, but its writes come first
  };
  struct Operation {
    Sequence sequence;
    RunAllocator::Owner owner;  // tells the sequence's copy from a later one
    PageRun pages;
    PageRun slots;
  };
  struct Move {
    std::uint32_t page;
    std::uint32_t slot;
  };
  using Copies = std::map<Sequence, Copy>;

  [[nodiscard]] std::uint64_t pages_of(std::uint64_t tokens) const;
  [[nodiscard]] base::Result<void> make_room(std::uint32_t slots, std::int64_t priority, Sequence sequence);
  void contaminate(Copy& copy, std::uint32_t slots);
  std::vector<Move> assign_slots(Copy& copy, const Leaver& leaver, std::uint32_t missing);
  std::uint32_t reserve_after_turn(const Copy& copy, const Leaver& leaver);
  void start(Sequence sequence, Copy& copy, std::span<const Move> moves, bool write);
  void start_one(Sequence sequence, Copy& copy, PageRun pages, PageRun slots, bool write);
  void read_back(Copies::iterator at, std::span<const std::uint32_t> pages);
  void drop_slots(Copy& copy, std::size_t from, std::size_t to);
  void erase(Copies::iterator at);
  void take_completions();
  void complete(const HostTier::Completion& completion);
  void settle(Copies::iterator at);

  const PageMemory memory_;
  HostTier& tier_;
  const SwapOptions options_;
  Copies copies_;                                                  // sequences that are not plainly resident
  std::unordered_map<std::uint64_t, Operation> operations_;        // token → in flight
  std::vector<std::uint32_t> page_uses_;                           // [page]: operations in flight on it
  std::vector<bool> slot_busy_;                                    // [slot]: an operation is in flight on it
  std::unordered_map<std::uint32_t, RunAllocator::Owner> doomed_;  // busy slots to give back afterwards
  std::vector<Event> events_;
  std::vector<HostTier::Completion> completions_;  // scratch
  std::uint64_t next_token_ = 0;
  RunAllocator::Owner next_owner_ = 0;
  std::uint64_t turns_ = 0;       // for the mean turn
  std::uint64_t turn_pages_ = 0;  // same
  SwapCounters counters_;
};

}  // namespace plait::engine
