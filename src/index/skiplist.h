// SPDX-License-Identifier: Apache-2.0
//
// An ordered map that many threads read, change and scan at once: a B-skiplist, that is, a skiplist whose nodes hold up
// to kNodeKeys keys. A search touches a handful of nodes, most changes lock one leaf, and there is no rebalancing.
//
//   index::SkipList<std::uint64_t, std::uint32_t> pages;
//   pages.insert_or_assign(hash, page);
//   if (const auto page = pages.find(hash)) use(*page);
//   pages.for_range(first, last, [](std::uint64_t hash, std::uint32_t page) { ... });   // may call the map itself
//
// Source: "Bridging Cache-Friendliness and Concurrency: A Locality-Optimized In-Memory B-Skiplist" (arXiv 2507.21492).
// A key's height comes from its hash, so an insertion knows at the top how many levels it will change: on its own level
// the key goes into a node, on each level below it begins a new node that takes over what followed it.
//
// Invariants
//   I1  The keys of a node ascend and lie below next_header, its copy of the next node's first key. Every level begins
//       with the smallest key, which no caller may use.
//   I2  A key of height h stands on the levels 0 to h; below h it is the first of its node, and on each level above 0
//       its child is the node of the level below that begins with it.
//   I3  A node that was split off because another was full has no parent; it is reached from its left.
//   I4  A node's first key never changes, keys move only to the right, and nodes stay until clear() or compact(). So
//       from any node whose first key is at most k, going right leads to the place of k.
//   I5  A thread holds at most one lock of a node that others can reach, beside those of nodes that it is building;
//       whoever waits for a node under construction has a larger key than its builder. So nobody waits in a circle.
//
// Where this differs from the paper: readers take no locks but check versions, and lock a node only after three
// failures; because of I4 and I5 locks are not handed over from node to node; heights come from a mixed and seeded
// hash; removed keys stay as tombstones until their leaf is full.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/result.h"
#include "index/detail/audit.h"
#include "index/detail/gate.h"
#include "index/detail/levels.h"
#include "index/skiplist_traits.h"

namespace plait::index {

/// Requires of Key: trivially copyable, at most 16 bytes, a total order by <. Of Value: trivially copyable, at most 8
/// bytes. Calls on one key are linearizable. Any thread may call anything, except from inside the function given to
/// update(). What allocates throws std::bad_alloc and leaves the map as it was.
/// Cost: finding among n keys reads about log_64(n) nodes; a node of 8-byte keys and values takes 2.1 KiB, and about
/// half of its places are in use.
template <class Key, class Value, class Traits = SkipListTraits<Key>>
class SkipList {
  static_assert(sizeof(Key) <= 16 && std::is_trivially_copyable_v<Key> && std::is_default_constructible_v<Key>);
  static_assert(sizeof(Value) <= 8 && std::is_trivially_copyable_v<Value> && std::is_default_constructible_v<Value>);
  using Levels = detail::Levels<Key, Value, Traits>;
  using Leaf = typename Levels::Leaf;
  using Pass = detail::Gate::Pass;
  using Closed = detail::Gate::Closed;

 public:
  /// Maps with the same seed have keys of the same heights. Choose one that is not known outside when keys come from
  /// there: who knows it can choose keys of one height, which make the map a list.
  explicit SkipList(std::uint64_t seed = 0) : seed_(seed), levels_(std::make_unique<Levels>(seed)) {}
  SkipList(const SkipList&) = delete;
  SkipList& operator=(const SkipList&) = delete;
  /// Requires: no thread is in a call.
  ~SkipList() = default;

  [[nodiscard]] std::optional<Value> find(const Key& key) const {
    const Pass inside(gate_);
    struct Seen {
      const Leaf* right;
      std::optional<Value> value;
    };
    for (const Leaf* leaf = &levels_->leaf_near(key);;) {
      const Seen seen = detail::read<Traits>(*leaf, [&]() -> Seen {
        if (leaf->ends_before(key)) return {leaf->next.load(), std::nullopt};
        const std::size_t after = leaf->rank(key);
        if (after == 0 || !leaf->holds(after - 1, key) || leaf->dead.test(after - 1)) return {nullptr, std::nullopt};
        return {nullptr, leaf->payloads[after - 1].load()};
      });
      if (seen.right == nullptr) return seen.value;
      leaf = seen.right;
    }
  }
  [[nodiscard]] bool contains(const Key& key) const { return find(key).has_value(); }

  /// Puts in a key that is not there; one that is there keeps its value. Returns whether it was put in.
  /// Requires: smallest < key < largest, here and below.
  bool insert(const Key& key, const Value& value) {
    return put(key, value, [](Value& /*old*/) {});
  }
  /// Puts in a key, or gives it another value. Returns whether it was not there before.
  bool insert_or_assign(const Key& key, const Value& value) {
    return put(key, value, [&](Value& old) { old = value; });
  }
  /// change(Value&) of the value of a key, under its leaf's lock: must be short and must not call this map. Returns
  /// whether the key was there.
  template <std::invocable<Value&> Change>
  bool update(const Key& key, Change change) {
    return at_key(key, [&](Leaf& leaf, std::size_t i) { change_value(leaf, i, change); });
  }
  /// Returns whether the key was there. Its place is used again when its leaf is full, or by the same key.
  bool remove(const Key& key) {
    return at_key(key, [&](Leaf& leaf, std::size_t i) {
      leaf.lock.begin_change();
      leaf.dead.set(i);
      leaf.lock.end_change();
    });
  }

  /// visit(key, value) of the entries with lo ≤ key < hi in ascending order, until it returns false if it returns bool.
  /// Each leaf is seen at one moment, the whole range is not. No lock is held while visit runs; it may call this map
  /// and wait. Returns how many entries were visited.
  template <std::invocable<const Key&, const Value&> Visit>
  std::size_t for_range(const Key& lo, const Key& hi, Visit visit) const {
    return scan(lo, hi, std::numeric_limits<std::size_t>::max(), visit);
  }
  /// The same for the first n entries with lo ≤ key.
  template <std::invocable<const Key&, const Value&> Visit>
  std::size_t for_count(const Key& lo, std::size_t n, Visit visit) const {
    return scan(lo, Traits::largest(), n, visit);
  }

  /// How many entries there are, counted leaf by leaf: exact only when nobody changes the map. Costs a cache line for
  /// each leaf.
  [[nodiscard]] std::size_t size() const {
    const Pass inside(gate_);
    std::size_t sum = 0;
    for (const Leaf* leaf = &levels_->first_leaf(); leaf != nullptr;) {
      struct Seen {
        std::size_t live;
        const Leaf* next;
      };
      const Seen seen =
          detail::read<Traits>(*leaf, [&] { return Seen{leaf->size() - leaf->dead.count(), leaf->next.load()}; });
      sum += seen.live;
      leaf = seen.next;
    }
    return sum;
  }
  /// Memory of the nodes.
  [[nodiscard]] std::size_t bytes() const {
    const Pass inside(gate_);
    return levels_->bytes();
  }

  /// Removes everything and frees its memory. Waits for the calls that have begun; those that come wait for it.
  void clear() {
    auto levels = std::make_unique<Levels>(seed_);
    const Closed alone(gate_);
    levels_.swap(levels);
  }
  /// Builds the map anew without removed keys and frees their memory: for maps whose keys come and go, in which a scan
  /// would walk over leaves of tombstones. Waits, and lets wait, as clear() does; takes some 20 ns for each entry, and
  /// memory for both forms.
  void compact() {
    auto levels = std::make_unique<Levels>(seed_);
    const Closed alone(gate_);
    for (const Leaf* leaf = &levels_->first_leaf(); leaf != nullptr; leaf = leaf->next.load()) {
      for (std::size_t i = 0; i < leaf->size(); ++i) {
        if (!leaf->dead.test(i)) levels->append(leaf->keys[i], leaf->payloads[i].load());
      }
    }
    levels_.swap(levels);
  }

  /// Compares everything with I1 to I3 while others wait, and tells the shape of each level, leaves first. Tests call
  /// it after each run. Errors: internal, naming the invariant.
  [[nodiscard]] base::Result<std::vector<detail::LevelShape>> audit() const {
    const Closed alone(gate_);
    return detail::Audit<Key, Value, Traits>(*levels_).run();
  }

 private:
  /// What a scan takes from one leaf.
  struct Batch {
    std::array<Key, Levels::kNodeKeys> keys;
    std::array<Value, Levels::kNodeKeys> values;
    std::size_t count;
    const Leaf* next;
    Key next_header;
  };

  template <class Merge>
  bool put(const Key& key, const Value& value, Merge merge) {
    PLAIT_CHECK(Traits::smallest() < key && key < Traits::largest());
    const Pass inside(gate_);
    bool revived = false;
    const bool fresh = levels_->put(key, value, [&](Leaf& leaf, std::size_t i) {
      revived = leaf.dead.test(i);
      if (!revived) return change_value(leaf, i, merge);
      leaf.lock.begin_change();
      leaf.payloads[i].store(value);
      leaf.dead.clear(i);
      leaf.lock.end_change();
    });
    return fresh || revived;
  }

  /// Requires: the leaf is locked.
  template <class Change>
  static void change_value(Leaf& leaf, std::size_t i, Change& change) {
    Value value = leaf.payloads[i].load();
    change(value);
    leaf.lock.begin_change();
    leaf.payloads[i].store(value);
    leaf.lock.end_change();
  }

  /// act(leaf, index) of a key under its leaf's lock. Returns whether it was there.
  template <class Act>
  bool at_key(const Key& key, Act act) {
    PLAIT_CHECK(Traits::smallest() < key && key < Traits::largest());
    const Pass inside(gate_);
    Leaf* leaf = &levels_->leaf_near(key);
    const auto lock = Levels::lock_place(leaf, key);
    const std::size_t i = leaf->rank(key) - 1;
    if (!leaf->holds(i, key) || leaf->dead.test(i)) return false;
    Traits::interleave();
    act(*leaf, i);
    return true;
  }

  template <class Visit>
  std::size_t scan(Key lo, const Key& hi, std::size_t n, Visit& visit) const {
    Batch batch;
    const Leaf* leaf = nullptr;
    std::uint64_t closings = 0;
    std::size_t visited = 0;
    while (visited < n && lo < hi) {
      {
        const Pass inside(gate_);
        // The nodes of before are gone when somebody was alone in between.
        if (leaf == nullptr || closings != gate_.closings()) leaf = &levels_->leaf_near(lo);
        closings = gate_.closings();
        while (const Leaf* right = copy(*leaf, lo, hi, n - visited, batch)) leaf = right;
      }
      if (batch.next != nullptr) detail::prefetch(batch.next);
      for (std::size_t i = 0; i < batch.count; ++i) {
        ++visited;
        if constexpr (std::is_same_v<decltype(visit(batch.keys[i], batch.values[i])), bool>) {
          if (!visit(batch.keys[i], batch.values[i])) return visited;
        } else {
          visit(batch.keys[i], batch.values[i]);
        }
      }
      if (batch.next == nullptr) break;
      leaf = batch.next;
      lo = batch.next_header;
    }
    return visited;
  }

  /// The entries lo ≤ key < hi of the leaf, at most n; or the next leaf, when lo belongs further right.
  static const Leaf* copy(const Leaf& leaf, const Key& lo, const Key& hi, std::size_t n, Batch& batch) {
    return detail::read<Traits>(leaf, [&]() -> const Leaf* {
      batch.count = 0;
      batch.next = leaf.next.load();
      batch.next_header = leaf.next_header.load();
      if (batch.next != nullptr && !(lo < batch.next_header)) return batch.next;
      const std::size_t end = leaf.size();
      std::size_t i = leaf.rank(lo);
      if (i > 0 && leaf.holds(i - 1, lo)) --i;
      for (; i < end && batch.count < n; ++i) {
        const Key key = leaf.keys[i];
        if (!(key < hi)) break;
        if (leaf.dead.test(i)) continue;
        batch.keys[batch.count] = key;
        batch.values[batch.count++] = leaf.payloads[i].load();
      }
      return nullptr;
    });
  }

  const std::uint64_t seed_;
  mutable detail::Gate gate_;
  std::unique_ptr<Levels> levels_;  // replaced while the gate is closed
};

}  // namespace plait::index
