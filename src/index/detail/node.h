// SPDX-License-Identifier: Apache-2.0
//
// One node of a B-skiplist: sorted keys with what belongs to each, and a copy of the next node's first key, so that
// nobody has to touch the neighbour to know whether to go there.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "index/detail/cell.h"
#include "index/detail/search.h"
#include "index/detail/version_lock.h"

namespace plait::index::detail {

/// One bit for each key of a node: set for a key that was removed.
template <std::size_t kKeys>
class Tombstones {
 public:
  [[nodiscard]] bool test(std::size_t i) const { return ((words_[i / 64].load() >> (i % 64)) & 1U) != 0; }
  void set(std::size_t i) { words_[i / 64].store(words_[i / 64].load() | std::uint64_t{1} << (i % 64)); }
  void clear(std::size_t i) { words_[i / 64].store(words_[i / 64].load() & ~(std::uint64_t{1} << (i % 64))); }

  /// Makes room for a new key at `i`, which is not removed.
  void insert(std::size_t i) {
    const std::size_t first = i / 64;
    for (std::size_t w = kWords - 1; w > first; --w)
      words_[w].store(words_[w].load() << 1 | words_[w - 1].load() >> 63);
    const std::uint64_t word = words_[first].load();
    const std::uint64_t below = (std::uint64_t{1} << (i % 64)) - 1;
    words_[first].store((word & below) | (word & ~below) << 1);
  }
  /// Clears all bits from `i` on.
  void truncate(std::size_t i) {
    for (std::size_t w = 0; w < kWords; ++w) {
      if (w > i / 64) words_[w].store(0);
      if (w == i / 64) words_[w].store(words_[w].load() & ((std::uint64_t{1} << (i % 64)) - 1));
    }
  }
  [[nodiscard]] std::size_t count() const {
    std::size_t sum = 0;
    for (const auto& word : words_) sum += static_cast<std::size_t>(std::popcount(word.load()));
    return sum;
  }

 private:
  static constexpr std::size_t kWords = (kKeys + 63) / 64;
  std::array<Cell<std::uint64_t>, kWords> words_;
};

/// A leaf (payload: the value) or an internal node (payload: the child whose first key this is). Everything but the
/// lock is written only after lock.begin_change(), and read either under the lock or between two looks at the version.
/// The first key of a node never changes, and a node never goes away before the whole structure does.
template <Cellular Key, Cellular Payload, class Traits>
struct alignas(64) Node {
  static constexpr std::size_t kKeys = Traits::kNodeKeys;

  mutable VersionLock lock;   // no part of the value
  Cell<std::uint32_t> count;  // keys in use
  Tombstones<kKeys> dead;     // internal nodes: none
  Cell<Node*> next;           // null at the end
  Cell<Key> next_header;      // first key of `next`; the largest key at the end
  alignas(64) SortedKeys<Key, Traits> keys;
  std::array<Cell<Payload>, kKeys> payloads;

  /// The last node of its level.
  Node() : next_header(Traits::largest()) {}
  /// The same, held alone and in the middle of a change.
  explicit Node(VersionLock::HeldAlone held) : lock(held), next_header(Traits::largest()) {}

  [[nodiscard]] std::size_t size() const { return count.load(); }
  [[nodiscard]] bool full() const { return size() == kKeys; }
  /// Whether `key` lies beyond this node.
  [[nodiscard]] bool ends_before(const Key& key) const { return !(key < next_header.load()); }
  [[nodiscard]] bool holds(std::size_t i, const Key& key) const {
    const Key here = keys[i];
    return !(here < key) && !(key < here);
  }

  /// How many keys are at most `key`; what belongs to the last of them is on its way into the cache.
  [[nodiscard]] std::size_t rank(const Key& key) const {
    const std::size_t group = keys.group(key);
    for (std::size_t i = 0; i < keys.kGroup; i += 64 / sizeof(Payload)) __builtin_prefetch(&payloads[group + i]);
    return std::min(keys.rank_in_group(group, key), size());
  }

  /// Requires: not full; the order stays.
  void append(const Key& key, const Payload& payload) {
    const std::size_t n = size();
    PLAIT_ASSERT(n < kKeys, n);
    keys.set(n, key);
    payloads[n].store(payload);
    count.store(static_cast<std::uint32_t>(n + 1));
  }
  /// Requires: not full; i ≤ size(); the order stays.
  void insert(std::size_t i, const Key& key, const Payload& payload) {
    const std::size_t n = size();
    PLAIT_ASSERT(n < kKeys && i <= n, n, i);
    keys.insert(i, n, key);
    for (std::size_t j = n; j > i; --j) payloads[j].store(payloads[j - 1].load());
    payloads[i].store(payload);
    dead.insert(i);
    count.store(static_cast<std::uint32_t>(n + 1));
  }
  /// Forgets removed keys, except the first.
  void drop_dead() {
    const std::size_t n = size();
    std::size_t kept = 1;
    for (std::size_t i = 1; i < n; ++i) {
      if (dead.test(i)) continue;
      keys.set(kept, keys[i]);
      payloads[kept].store(payloads[i].load());
      ++kept;
    }
    dead.truncate(1);
    keys.fill(kept, n);
    count.store(static_cast<std::uint32_t>(kept));
  }
  /// Appends the keys from `from` on, without removed ones, to `right` and puts it behind this node.
  /// Requires: from ≥ 1; `right` has room, a first key after this, and is in nobody's hands.
  void cut(std::size_t from, Node& right) {
    const std::size_t n = size();
    for (std::size_t i = from; i < n; ++i) {
      if (!dead.test(i)) right.append(keys[i], payloads[i].load());
    }
    dead.truncate(from);
    keys.fill(from, n);
    count.store(static_cast<std::uint32_t>(from));
    right.next.store(next.load());
    right.next_header.store(next_header.load());
    next.store(&right);
    next_header.store(right.keys[0]);
  }
};

}  // namespace plait::index::detail
