// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/check.h"
#include "engine/eviction.h"

namespace plait::engine::detail {

/// A set of page keys as a dense array: everything in O(1), and a random member is a random index. The order is that of
/// insertions until the first removal, whose gap the last member fills. Allocates at construction only.
class IndexedSet {
 public:
  explicit IndexedSet(std::uint32_t slots) : position_(slots, kAbsent) { members_.reserve(slots); }

  [[nodiscard]] bool empty() const { return members_.empty(); }
  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(members_.size()); }
  [[nodiscard]] bool contains(PageKey page) const { return position_[page.value()] != kAbsent; }
  /// Requires: index < size().
  [[nodiscard]] PageKey operator[](std::size_t index) const { return members_[index]; }

  /// Requires: not contained.
  void add(PageKey page) {
    PLAIT_ASSERT(!contains(page), page.value());
    position_[page.value()] = size();
    members_.push_back(page);
  }
  /// Requires: contained.
  void remove(PageKey page) {
    PLAIT_ASSERT(contains(page), page.value());
    const std::uint32_t gap = position_[page.value()];
    members_[gap] = members_.back();
    position_[members_[gap].value()] = gap;
    position_[page.value()] = kAbsent;
    members_.pop_back();
  }

 private:
  static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();
  std::vector<PageKey> members_;
  std::vector<std::uint32_t> position_;  ///< [slot]: index in members_.
};

}  // namespace plait::engine::detail
