// SPDX-License-Identifier: Apache-2.0
//
// Keys and values of preempted sequences in a host tier: both layer groups of a span go out and come back together.
//
//   KvSwap swap(memory, {.tiers = {&tier}}, clock);
//   swap.leave(7, span, span.first_own_page(), priority);   // starts; span.away()
//   ...                                                     // others compute
//   swap.come_back(7, span);                                // takes pages and starts reading them
//   for (const auto& event : swap.poll()) ...               // each step: returned, or lost: compute it again
//
// Pages that a transfer still touches are held here and count as in use, so that nobody can be given them: a page is
// free only after its copy is in the tier. Who waits for memory can ask how many are on their way (pages_coming()).
//
// Source: FastSwitch (arXiv 2411.18424). Not thread-safe; no thread of its own.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "engine/kv_memory.h"
#include "engine/swap_manager.h"

namespace plait::engine {

/// What becomes of a victim's pages.
enum class SwapChoice {
  cost,       ///< The cheaper of the two, by what the tier and the model have been measured to do; first the tier.
  swap,       ///< Always the tier, while it has room.
  recompute,  ///< Never.
};

/// Whether the engine stands still while a sequence comes back.
enum class SwapWait {
  adaptive,  ///< If that is shorter than what a step of the thinner batch loses.
  always,    ///< To compare with.
  never,     ///< As long as there is something else to do.
};

struct KvSwapOptions {
  /// One for each layer group that has layers; the caller's, and nobody else's at the time. None: every victim is
  /// computed again. slot_bytes() is at least the group's page and becomes the distance of its pages in memory, so that
  /// a tier may want them aligned.
  std::array<HostTier*, kLayerGroups> tiers = {};
  SwapChoice choice = SwapChoice::cost;
  SwapWait wait = SwapWait::adaptive;
  bool wait_out = false;  ///< Stand still while pages are written, too. To compare with.
  /// As in SwapOptions; page_tokens is not looked at.
  SwapOptions manager = {};
};

class KvSwap {
 public:
  using Id = SwapManager::Sequence;
  /// `here`: the span has its pages. `leaving` and `out`: it is away. `returning`: it has pages that must not be
  /// touched.
  using State = SwapManager::State;
  struct Event {
    bool lost = false;  ///< An I/O error: the tier has nothing of it, and what its pages hold is rubbish.
    Id id = 0;          ///< Else it is here again.
  };

  /// Requires: memory, clock and the tiers outlive it; every used group has a tier or none has; slot_bytes() of a tier
  /// is the group's page_bytes().
  KvSwap(KvMemory& memory, const KvSwapOptions& options, const base::Clock& clock);
  /// Waits for what is in flight.
  ~KvSwap();
  KvSwap(const KvSwap&) = delete;
  KvSwap& operator=(const KvSwap&) = delete;

  [[nodiscard]] bool on() const { return on_; }

  /// Starts writing the span's pages from `first` on; the span is away then. False if the tier has no room: nothing of
  /// it is in the tier then and the span is empty. Copies of larger `priority` may push out copies of smaller ones.
  /// Requires: on(); the state is resident; 0 ≤ first < number of pages, those from there on are only this span's.
  [[nodiscard]] bool leave(Id id, Span& span, std::size_t first, std::int64_t priority);
  /// Takes pages and starts reading. False, and nothing has changed, if there are not enough (span.pages_away()).
  /// Requires: span.away().
  [[nodiscard]] bool come_back(Id id, Span& span);
  /// Empties the span and forgets its copies, in any state. No event of it follows.
  void drop(Id id, Span& span);
  /// The span, here or away, was cut to `tokens` tokens. Requires: not returning.
  void trim(Id id, std::uint64_t tokens, bool away);
  /// Waits until it is resident or out.
  void finish(Id id);

  /// Takes note of what is done and frees pages. What has happened since the last call. Does not wait.
  [[nodiscard]] std::vector<Event> poll();
  /// The same, but sleeps until something is done, unless nothing moves.
  [[nodiscard]] std::vector<Event> wait();

  [[nodiscard]] State state(Id id) const;
  /// Whether transfers are in flight.
  [[nodiscard]] bool moving() const;
  [[nodiscard]] bool busy(std::size_t group, PageNumber page) const {
    return managers_[group] != nullptr && managers_[group]->busy(page);
  }
  /// Pages that will be free when the transfers that touch them are done.
  [[nodiscard]] PageCounts pages_coming() const;
  /// Adds one to counts[page] for every page that is held. For tests.
  void count_pages(std::size_t group, std::vector<std::uint32_t>& counts) const;
  [[nodiscard]] base::Bytes bytes_left(Id id) const;
  /// Measured over both directions, a moving average; nothing before the first transfer.
  [[nodiscard]] std::optional<double> bytes_per_second() const;
  /// Sums over the groups.
  [[nodiscard]] SwapCounters counters() const;

 private:
  void hold_busy(const Span& span);
  void release_idle();
  void measure();
  std::vector<Event> collect();

  KvMemory& memory_;
  const base::Clock& clock_;
  bool on_ = false;
  bool wait_out_;
  std::array<HostTier*, kLayerGroups> tiers_;
  std::array<std::unique_ptr<SwapManager>, kLayerGroups> managers_;
  std::array<std::vector<PageNumber>, kLayerGroups> held_;  ///< With a count of ours; still read or written.
  std::vector<Event> events_;                               ///< Not told yet.
  // Bytes that were moved in seconds during which something was in flight.
  bool was_moving_ = false;
  double measured_at_ = 0;
  base::Bytes bytes_done_ = 0;
  double bytes_ = 0;
  double seconds_ = 0;
};

}  // namespace plait::engine
