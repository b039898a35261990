// SPDX-License-Identifier: Apache-2.0
//
// Which page leaves a full cache: policies behind one interface, for the owner of a pool of pages (the prefix cache).
//
//   auto policy = make_eviction_policy(EvictionKind::guarded, {.slots = 4096, .capacity = 4096, .seed = seed});
//   hit:                policy->touch(page, done);
//   miss, pool full:    if (auto page = policy->victim()) release(*page);     // the policy has forgotten it
//   miss:               policy->insert(page, content, done);
//   in use / inner:     policy->set_evictable(page, false);   later           policy->set_evictable(page, true);
//   news, no request:   policy->set_done(page, true);                         // answered, cancelled, joined
//   gone otherwise:     policy->erase(page);
//
// The owner's side of the contract:
//   1. A PageKey is a slot of the pool, 0 to slots - 1; it is held from insert() until victim() returned it or erase().
//   2. A ContentId names what the page holds, whatever slot it is in, so that a policy recognises content that comes
//      back: a hash of the page's token prefix. Equal names of different content cost faults, never correctness.
//   3. Every request for a page is one touch() (it was there) or one insert() (it was not); nothing else counts as one.
//   4. Only evictable pages become victims. Clear the flag of pages in use and of inner nodes of the prefix tree (a
//      child is useless without its parent); set it when the last user leaves or the last child is gone. Victims then
//      leave from the leaves to the root by themselves. A page is evictable from insert() on.
//   5. `done` is the bit that comes with a request: true when the page is not expected back soon (answered, cancelled,
//      joined, the client says "done"), false when it is, or when nothing is known.
//
// The policies' side: at most one victim leaves with each call, also where the literature empties the cache at once; no
// call allocates; every call costs O(log slots) at worst, most O(1) (eviction_bench.cc); equal calls and equal seeds
// give equal victims. Bounds on faults are those of the paper when every page is evictable; with pins and trees they
// hold only roughly, as the capacity is then what is not pinned.
//
// Source: Antoniadis et al., Paging with Succinct Predictions, ICML 2023 (flush rule, Mark0, Mark&Predict); the guard
// is ours. Threads: none of its own; the owner's lock covers a policy.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/id.h"

namespace plait::engine {

/// A slot of the pool of pages.
using PageKey = base::Id<struct PageKeyTag, std::uint32_t>;
/// The name of what a page holds.
using ContentId = base::Id<struct ContentTag, std::uint64_t>;

enum class EvictionKind {
  lru,           ///< The least recently requested page. Ignores bits.
  marking,       ///< A random page of those not requested in this phase; a phase ends when all were. Ignores bits.
  flush,         ///< Done pages first; without any, everything here now is given up, oldest first, unless requested.
  mark0,         ///< A random done page; without any, as marking.
  mark_predict,  ///< As marking, but done pages first; here `done` means: not requested in the next phase.
  guarded,       ///< `EvictionOptions::guarded` while it is not much worse than LRU, else LRU.
};
inline constexpr std::array kEvictionKinds{EvictionKind::lru,   EvictionKind::marking,      EvictionKind::flush,
                                           EvictionKind::mark0, EvictionKind::mark_predict, EvictionKind::guarded};

/// "lru", "marking", "flush", "mark0", "mark_predict", "guarded".
[[nodiscard]] std::string_view name(EvictionKind kind);
/// The kind of a name; nothing for other texts.
[[nodiscard]] std::optional<EvictionKind> eviction_kind(std::string_view name);

struct EvictionOptions {
  std::uint32_t slots = 0;  ///< Keys are 0 to slots - 1; at most 2^29. Memory: 10 to 25 bytes each, guarded 200.
  std::uint32_t capacity =
      0;                   ///< Pages that the cache holds when full, at most `slots`; 0: `slots`. Only guarded looks.
  std::uint64_t seed = 0;  ///< Of the random choices; draws are counted, so runs repeat.
  EvictionKind guarded = EvictionKind::mark0;  ///< What is guarded. Not `guarded` itself.
  double guard_ratio = 1.1;                    ///< The leader changes when its faults exceed this times the other's …
  double guard_slack =
      2;  ///< … plus this times the capacity. Smaller: quicker to leave a policy that lies, and to err.
};

/// What a policy did so far.
struct EvictionCounters {
  std::uint64_t victims = 0;
  std::uint64_t leader_changes = 0;  ///< Guarded only.
  bool lru_leads = false;            ///< Guarded only: LRU chooses now; it does until the first done bit was seen.
};

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  /// A page that was not held is requested and now is. Requires: page < slots, not held.
  virtual void insert(PageKey page, ContentId content, bool done) = 0;
  /// A held page is requested; `done` replaces its bit. Requires: held.
  virtual void touch(PageKey page, bool done) = 0;
  /// Replaces the bit of a held page without a request. Requires: held.
  virtual void set_done(PageKey page, bool done) = 0;
  /// Whether a held page may become a victim. Requires: held.
  virtual void set_evictable(PageKey page, bool evictable) = 0;
  /// Chooses an evictable page, forgets the slot and returns it; nothing when no page is evictable. Call it only when a
  /// page is really needed: it may begin a new phase.
  [[nodiscard]] virtual std::optional<PageKey> victim() = 0;
  /// The page leaves for the owner's reasons and its content will not come back. Requires: held.
  virtual void erase(PageKey page) = 0;
  /// How many pages the cache holds when full, from now on: what others pinned is missing. Only guarded looks.
  /// Requires: 1 ≤ capacity ≤ slots.
  virtual void set_capacity(std::uint32_t capacity) = 0;

  [[nodiscard]] virtual std::uint32_t size() const = 0;  ///< Pages held, evictable or not.
  [[nodiscard]] virtual bool holds(PageKey page) const = 0;
  [[nodiscard]] virtual EvictionCounters counters() const = 0;
};

/// Allocates all that the policy will ever need. Requires: 1 ≤ slots ≤ 2^29, capacity ≤ slots, guarded != guarded.
[[nodiscard]] std::unique_ptr<EvictionPolicy> make_eviction_policy(EvictionKind kind, const EvictionOptions& options);

}  // namespace plait::engine
