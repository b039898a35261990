// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "engine/detail/content_table.h"
#include "engine/detail/indexed_set.h"
#include "engine/detail/recency_heap.h"
#include "engine/eviction.h"

namespace plait::engine::detail {

/// Plays two policies on names alone, each with a cache of its own, and lets the real cache follow the one that has had
/// fewer faults.
///
/// What is simulated are contents, not slots: each content in the real cache or in one of the two simulated ones has a
/// name, a small number that is the PageKey of the simulations. A name is given up when no cache holds it.
///
/// The victim is a page that the leader's simulated cache does not hold. In a full cache without pins such a page
/// exists as soon as the leader has made room for the page to come: either the two caches differ, or the leader gives
/// up one page, which the real cache then gives up, too. When pins leave none, the least recent evictable page goes.
class GuardedPolicy final : public EvictionPolicy {
 public:
  /// How many names there may be for so many slots: those of the real cache and of the two simulated ones, and one each
  /// for the moment between loading and making room.
  [[nodiscard]] static std::uint32_t names(std::uint32_t slots) { return 3 * slots + 3; }

  /// Requires: both policies are new and have names(options.slots) slots.
  GuardedPolicy(std::unique_ptr<EvictionPolicy> guarded, std::unique_ptr<EvictionPolicy> lru,
                const EvictionOptions& options);

  void insert(PageKey page, ContentId content, bool done) override;
  void touch(PageKey page, bool done) override;
  void set_done(PageKey page, bool done) override;
  void set_evictable(PageKey page, bool evictable) override;
  [[nodiscard]] std::optional<PageKey> victim() override;
  void erase(PageKey page) override;
  void set_capacity(std::uint32_t capacity) override;
  [[nodiscard]] std::uint32_t size() const override { return size_; }
  [[nodiscard]] bool holds(PageKey page) const override;
  [[nodiscard]] EvictionCounters counters() const override;

 private:
  using Name = PageKey;  ///< A page of the simulations.
  static constexpr std::size_t kGuarded = 0;
  static constexpr std::size_t kLru = 1;

  struct Simulation {
    std::unique_ptr<EvictionPolicy> policy;
    std::uint64_t faults = 0;
    IndexedSet outside;  ///< Real evictable pages whose content this simulated cache does not hold.
  };
  struct Slot {
    Name name = {};
    std::uint64_t time = 0;  ///< Of the last request.
    bool held = false;
    bool evictable = false;
  };
  struct Content {
    ContentId id = {};
    PageKey page = {};    ///< Its slot while `real`.
    bool real = false;    ///< In the real cache.
    bool listed = false;  ///< Found through `table_`; not so the second page of one content.
  };

  [[nodiscard]] Slot& held_slot(PageKey page);
  Name name_of(ContentId content);
  void forget_if_unused(Name name);
  void request(Simulation& simulation, Name name, bool done);
  void drop(Simulation& simulation, Name name);
  void allow(PageKey page);
  void forbid(PageKey page);
  void leave(PageKey page);
  void choose_leader(bool done);

  double guard_ratio_;
  double guard_slack_;
  std::uint32_t capacity_;
  std::array<Simulation, 2> simulations_;
  std::size_t leader_ = kLru;
  bool hints_seen_ = false;
  std::uint32_t size_ = 0;
  std::uint64_t now_ = 0;
  EvictionCounters counters_ = {};
  std::vector<Slot> slots_;
  std::vector<Content> contents_;  ///< [name]
  std::vector<Name> free_names_;
  ContentTable table_;
  RecencyHeap evictable_;
};

}  // namespace plait::engine::detail
