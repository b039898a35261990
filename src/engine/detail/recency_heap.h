// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/check.h"
#include "engine/eviction.h"

namespace plait::engine::detail {

/// Page keys by the time of their last request, oldest first: a heap that knows where each key stands. A list in the
/// order of requests would be O(1), but a page that becomes evictable again belongs where its last request put it, not
/// at an end, and finding that place in a list means a scan. Four children for each node: half the levels of two, and
/// four entries of 16 bytes are one line of the cache. All changes O(log n); allocates at construction only.
class RecencyHeap {
 public:
  explicit RecencyHeap(std::uint32_t slots) : position_(slots, kAbsent) { entries_.reserve(slots); }

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }
  [[nodiscard]] bool contains(PageKey page) const { return position_[page.value()] != kAbsent; }
  /// The page with the smallest time. Requires: not empty.
  [[nodiscard]] PageKey oldest() const { return entries_.front().page; }

  /// Requires: not contained.
  void add(PageKey page, std::uint64_t time) {
    PLAIT_ASSERT(!contains(page), page.value());
    entries_.push_back({time, page});
    rise(entries_.size() - 1);
  }
  /// Requires: contained.
  void remove(PageKey page) {
    PLAIT_ASSERT(contains(page), page.value());
    const std::size_t gap = position_[page.value()];
    position_[page.value()] = kAbsent;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (gap == entries_.size()) return;
    entries_[gap] = last;
    rise(gap);
    sink(position_[last.page.value()]);
  }

 private:
  struct Entry {
    std::uint64_t time;
    PageKey page;
  };
  static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t kChildren = 4;

  void put(std::size_t at, const Entry& entry) {
    entries_[at] = entry;
    position_[entry.page.value()] = static_cast<std::uint32_t>(at);
  }
  void rise(std::size_t at) {
    const Entry entry = entries_[at];
    while (at > 0) {
      const std::size_t parent = (at - 1) / kChildren;
      if (entries_[parent].time <= entry.time) break;
      put(at, entries_[parent]);
      at = parent;
    }
    put(at, entry);
  }
  void sink(std::size_t at) {
    const Entry entry = entries_[at];
    while (true) {
      const std::size_t first = at * kChildren + 1;
      if (first >= entries_.size()) break;
      std::size_t least = first;
      const std::size_t end = std::min(first + kChildren, entries_.size());
      for (std::size_t child = first + 1; child < end; ++child) {
        if (entries_[child].time < entries_[least].time) least = child;
      }
      if (entries_[least].time >= entry.time) break;
      put(at, entries_[least]);
      at = least;
    }
    put(at, entry);
  }

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> position_;  ///< [slot]: index in entries_.
};

}  // namespace plait::engine::detail
