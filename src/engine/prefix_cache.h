// SPDX-License-Identifier: Apache-2.0
//
// Which computed pages begin which texts: a tree of full pages, each named by the hash of all tokens up to its end, so
// that whoever begins with the same tokens takes the pages instead of computing them, also while their owner still
// runs.
//
//   PrefixCache::Place place = cache.root(salt);
//   cache.adopt(place, prompt, span);                // takes over what is there; place stands behind it
//   ... compute ...
//   cache.publish(place, tokens, span);              // full pages become findable
//
// The cache holds a count of each of its pages. Pages that nobody else holds are given up, leaves first, when
// make_room() is asked for pages; which of them, the eviction policy says. The pages of layers with a window can be
// given up alone: a text is then found only up to where its window is complete.
//
// Names are 64-bit hashes; a hit also compares the tokens, page by page from the root, so that different texts never
// share pages. A salt keeps tenants apart: its hash is where their names begin, and who does not know it cannot find
// out what others have asked.
//
// Not thread-safe: one engine owns it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "engine/eviction.h"
#include "engine/kv_memory.h"
#include "index/skiplist.h"

namespace plait::engine {

struct PrefixCacheOptions {
  EvictionKind policy = EvictionKind::guarded;
  std::uint64_t seed = 0;  ///< Of the policy's choices, and of the names.
};

/// Since the beginning.
struct PrefixCounters {
  std::uint64_t lookups = 0;     ///< adopt() calls.
  std::uint64_t tokens_hit = 0;  ///< Taken over instead of computed.
  std::uint64_t pages_added = 0;
  std::uint64_t pages_evicted = 0;
};

class PrefixCache final : PageWatcher {
 public:
  /// A node of the tree: behind `pages` pages of a text.
  struct Place {
    std::uint64_t name = 0;      ///< Hash of salt and tokens so far.
    std::uint32_t node = kRoot;  ///< kLost: what comes before is not in the cache, so nothing behind it can be.
    std::size_t pages = 0;
  };

  /// Requires: memory outlives it and has no other watcher.
  PrefixCache(KvMemory& memory, const PrefixCacheOptions& options);
  ~PrefixCache() override;
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  [[nodiscard]] Place root(std::string_view salt) const;
  /// The name of the page behind `place`. Requires: tokens.size() ≥ 16 (place.pages + 1).
  [[nodiscard]] std::uint64_t next_name(const Place& place, std::span<const base::TokenId> tokens) const;

  /// Appends to `span` the pages of `tokens` behind `place` that are there, but leaves at least one token to compute.
  /// Returns how many tokens. `done`: whether they are expected back soon (see eviction.h).
  /// Requires: span.length() == 16 place.pages and all of it was computed for these tokens.
  std::size_t adopt(Place& place, std::span<const base::TokenId> tokens, Span& span, bool done = false);
  /// Enters the full pages of `span` behind `place`. Requires: span holds what was computed for the first span.length()
  /// of `tokens`, seeing nothing else.
  void publish(Place& place, std::span<const base::TokenId> tokens, const Span& span, bool done = false);
  /// Moves the place up the tree until at most `pages` pages are before it.
  void step_back(Place& place, std::size_t pages) const;

  /// Gives up pages until so many are free, or nothing is left to give up. Returns whether they are.
  bool make_room(const PageCounts& pages);
  /// Forgets pages at the end of `span` that only it and the cache have, so that they are the span's alone; the place
  /// moves up before them. Requires: place belongs to the span.
  void withdraw(Place& place, const Span& span);
  /// Forgets everything that nobody uses.
  void clear();

  /// Pages that make_room() could free. O(nodes).
  [[nodiscard]] PageCounts reclaimable() const;
  [[nodiscard]] std::size_t size() const { return nodes_used_; }  ///< Nodes.
  [[nodiscard]] const PrefixCounters& counters() const { return counters_; }
  /// Adds one to counts[page] for every page that the cache holds. For tests.
  void count_pages(std::size_t group, std::vector<std::uint32_t>& counts) const;
  /// Every node's page is counted, parents are there, the index agrees. For tests.
  void check_invariants() const;

  static constexpr std::uint32_t kRoot = 0xFFFFFFFF;
  static constexpr std::uint32_t kLost = 0xFFFFFFFE;

 private:
  struct Node {
    std::uint64_t name = 0;
    std::uint64_t parent_name = 0;
    std::uint32_t parent = kRoot;
    std::uint32_t children = 0;
    std::array<PageNumber, kLayerGroups> pages = {kNoPage, kNoPage};
    std::array<base::TokenId, kPageTokens> tokens = {};
    bool used = false;
  };

  void page_shared(PageNumber page) override { refresh(node_of_page_[page]); }
  void page_alone(PageNumber page) override { refresh(node_of_page_[page]); }
  [[nodiscard]] std::uint32_t find(const Place& place, std::span<const base::TokenId> tokens) const;
  [[nodiscard]] bool stands(const Place& place) const;
  [[nodiscard]] std::size_t usable(const Place& place, const Span& span, std::span<const std::uint32_t> chain) const;
  std::uint32_t add(const Place& place, std::uint64_t name, std::span<const base::TokenId> tokens);
  void hold(Node& node, std::uint32_t slot, std::size_t group, PageNumber page);
  void refresh(std::uint32_t node);
  void remove(std::uint32_t node);
  void drop_window_pages(std::uint32_t wanted);

  KvMemory& memory_;
  std::uint64_t seed_;
  std::vector<Node> nodes_;          ///< [slot]
  std::vector<std::uint32_t> free_;  ///< Slots.
  std::size_t nodes_used_ = 0;
  index::SkipList<std::uint64_t, std::uint32_t> names_;
  std::size_t removals_ = 0;  ///< From names_, since it was last rebuilt.
  std::unique_ptr<EvictionPolicy> policy_;
  std::size_t main_;                         ///< The group whose page every node has.
  std::vector<std::uint32_t> node_of_page_;  ///< [page of the main group] kRoot: none.
  std::vector<std::uint32_t> chain_;         ///< Scratch of adopt().
  std::uint32_t window_hand_ = 0;            ///< Where drop_window_pages() goes on.
  PrefixCounters counters_;
};

}  // namespace plait::engine
