// SPDX-License-Identifier: Apache-2.0
//
// The sorted keys of a node, and where a key belongs among them.
//
// Compare and count, without a branch on what the keys are or how many: first a guide, a copy of every 16th key, which
// says in which group of 16 the place is, then the keys of that group. With 128 keys of 8 bytes that reads three cache
// lines (guide and group) in two waits. A plain count over all keys reads up to 16 lines, whose transfer from the
// last-level cache takes longer than to wait twice; a binary search waits four times.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "index/detail/cell.h"

namespace plait::index::detail {

/// Traits: kNodeKeys, and largest(), which stands in the places that are not in use, so that no step depends on how
/// many are. Whoever owns this knows the number. Concurrent reads give a mixture, as with a Cell.
template <Cellular Key, class Traits>
class SortedKeys {
 public:
  static constexpr std::size_t kKeys = Traits::kNodeKeys;
  static constexpr std::size_t kGroup = std::min<std::size_t>(16, kKeys);
  static_assert(kKeys % kGroup == 0);

  SortedKeys() { fill(0, kKeys); }

  [[nodiscard]] Key operator[](std::size_t i) const { return keys_[i].load(); }

  /// The first place of the group where `key` belongs.
  [[nodiscard]] std::size_t group(const Key& key) const {
    std::size_t groups = 0;
    for (const Cell<Key>& first : guide_) groups += at_most(first, key);
    return groups * kGroup;
  }
  /// How many keys are at most `key`, given its group; places that are not in use count when `key` is the largest.
  [[nodiscard]] std::size_t rank_in_group(std::size_t group, const Key& key) const {
    std::size_t rank = group;
    for (std::size_t i = 0; i < kGroup; ++i) rank += at_most(keys_[group + i], key);
    return rank;
  }

  void set(std::size_t i, const Key& key) {
    keys_[i].store(key);
    if constexpr (kKeys > kGroup) {
      if (i % kGroup == 0 && i > 0) guide_[i / kGroup - 1].store(key);
    }
  }
  /// Moves the keys from i on up by one and puts `key` at i. Requires: i ≤ count < kKeys.
  void insert(std::size_t i, std::size_t count, const Key& key) {
    for (std::size_t j = count; j > i; --j) keys_[j].store(keys_[j - 1].load());
    keys_[i].store(key);
    for (std::size_t g = 0; g < guide_.size(); ++g) {
      const std::size_t first = (g + 1) * kGroup;
      if (i <= first && first <= count) guide_[g].store(keys_[first].load());
    }
  }
  /// Places [begin, end) are no longer in use.
  void fill(std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) set(i, Traits::largest());
  }

 private:
  static std::size_t at_most(const Cell<Key>& cell, const Key& key) {
    return static_cast<std::size_t>(!(key < cell.load()));
  }

  std::array<Cell<Key>, kKeys / kGroup - 1> guide_;  // [group − 1]: the first key of each group but the first
  alignas(64) std::array<Cell<Key>, kKeys> keys_;
};

}  // namespace plait::index::detail
