// SPDX-License-Identifier: Apache-2.0
//
// The levels of a B-skiplist and the steps on them (see skiplist.h for the idea, the source and the invariants).
//
// Because a first key never changes, keys only move to the right and nodes stay, any node of a level whose first key is
// at most k leads to the place of k by going right. So a search never has to hold what it came from: it reads one node
// after the other, each as one consistent state, and a writer holds one node that others know at a time. This is how
// B-link trees work (Lehman, Yao, TODS 1981); the paper instead locks the next node before it unlocks the last.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <utility>

#include "index/detail/arena.h"
#include "index/detail/node.h"

namespace plait::index::detail {

inline constexpr int kOptimisticTries = 3;
inline constexpr int kLevels = 5;  // 64^4 = 16.8 million nodes of the lowest level under one node of the highest

/// f() of the node as it was at one moment. f may run several times, and see a mixture when its result is not used.
template <class Traits, class NodeType, class Function>
auto read(const NodeType& node, Function&& f) {
  for (int i = 0; i < kOptimisticTries; ++i) {
    const std::uint32_t before = node.lock.version();
    if (!VersionLock::odd(before)) {
      auto result = f();
      Traits::interleave();
      if (node.lock.unchanged(before)) [[likely]]
        return result;
    }
    poll_pause();
  }
  const std::shared_lock lock(node.lock);
  return f();
}

/// Starts loading a node: its head and the guide to its keys.
inline void prefetch(const void* node) {
  const auto* bytes = static_cast<const char*>(node);
  __builtin_prefetch(bytes);
  __builtin_prefetch(bytes + 64);
}

template <class Key, class Value, class Traits>
class Levels {
 public:
  static constexpr std::size_t kNodeKeys = Traits::kNodeKeys;
  static_assert(std::has_single_bit(kNodeKeys) && kNodeKeys >= 4, "a power of two, so that p is one too");
  using Leaf = Node<Key, Value, Traits>;
  using Inner = Node<Key, void*, Traits>;  // payload: Leaf* on level 1, Inner* above

  explicit Levels(std::uint64_t seed) : seed_(seed) {
    Leaf* leaf = make<Leaf>();
    leaf->append(Traits::smallest(), Value{});
    leaf->dead.set(0);
    heads_[0] = last_[0] = leaf;
    for (std::size_t level = 1; level < heads_.size(); ++level) {
      Inner* inner = make<Inner>();
      inner->append(Traits::smallest(), heads_[level - 1]);
      heads_[level] = last_[level] = inner;
    }
  }

  /// On how many levels above the leaves the key appears: zero digits of its hash to the base 1/p, p = 2/kNodeKeys.
  [[nodiscard]] int height(const Key& key) const {
    constexpr int kDigitBits = std::countr_zero(kNodeKeys) - 1;
    return std::min(std::countr_zero(Traits::hash(key, seed_)) / kDigitBits, kLevels - 1);
  }

  /// A leaf whose first key is at most `key`, nearly always the one where the key belongs.
  [[nodiscard]] Leaf& leaf_near(const Key& key) const { return *static_cast<Leaf*>(node_near(0, key)); }
  [[nodiscard]] Leaf& first_leaf() const { return *static_cast<Leaf*>(heads_[0]); }
  [[nodiscard]] Inner& first_inner(int level) const { return *static_cast<Inner*>(heads_[at(level)]); }
  [[nodiscard]] std::size_t bytes() const { return arena_.bytes(); }

  /// Locks the node of this level where `key` belongs, coming from `node` at or left of it.
  template <class NodeType>
  [[nodiscard]] static std::unique_lock<VersionLock> lock_place(NodeType*& node, const Key& key) {
    std::unique_lock lock(node->lock);
    while (node->ends_before(key)) {
      NodeType* next = node->next.load();
      lock.unlock();
      Traits::interleave();
      node = next;
      lock = std::unique_lock(node->lock);
    }
    return lock;
  }

  /// Puts in a key that is not there. When it is there, calls present(leaf, index) under the leaf's lock instead and
  /// returns false; a removed key counts as there. Requires: smallest < key < largest. Throws std::bad_alloc, and then
  /// nothing has changed.
  template <class Present>
  bool put(const Key& key, const Value& value, Present present) {
    const int h = height(key);
    if (h == 0) return place(&leaf_near(key), key, value, present).second;
    Tower tower(*this, key, value, h);
    raise_top(h);
    const auto nothing = [](Inner&, std::size_t) {};
    auto [child, fresh] = place(static_cast<Inner*>(node_near(h, key)), key, tower.nodes[at(h - 1)], nothing);
    if (!fresh) {  // its tower stands, or another thread is still building it; the leaf at its foot begins with the key
      for (int level = h - 1; level > 0; --level) child = child_of(static_cast<Inner*>(child), key);
      return place(static_cast<Leaf*>(child), key, value, present).second;
    }
    for (int level = h - 1; level > 0; --level) {
      child = divide(static_cast<Inner*>(child), key, *static_cast<Inner*>(tower.nodes[at(level)]));
    }
    divide(static_cast<Leaf*>(child), key, *static_cast<Leaf*>(tower.nodes[0]));
    tower.height = 0;
    return true;
  }

  /// Puts in a key after all others. Requires: nobody else knows this structure; no put() before.
  void append(const Key& key, const Value& value) {
    const int h = height(key);
    void* below = append_at<Leaf>(0, h, key, value);
    for (int level = 1; level <= h; ++level) below = append_at<Inner>(level, h, key, below);
    raise_top(h);
  }

 private:
  static_assert(alignof(Leaf) == 64 && alignof(Inner) == 64);
  static constexpr std::size_t at(int level) { return static_cast<std::size_t>(level); }

  /// The nodes that a key of height h begins, below its own level: all held alone until they are in their places.
  struct Tower {
    Tower(Levels& levels_in, const Key& key, const Value& value, int h) : levels(levels_in) {
      Leaf* leaf = levels.make<Leaf>(VersionLock::HeldAlone{});
      nodes[at(height++)] = leaf;
      leaf->append(key, value);
      while (height < h) {
        Inner* inner = levels.make<Inner>(VersionLock::HeldAlone{});
        inner->append(key, nodes[at(height - 1)]);
        nodes[at(height++)] = inner;
      }
    }
    Tower(const Tower&) = delete;
    Tower& operator=(const Tower&) = delete;
    ~Tower() {
      while (height > 0) levels.arena_.give_back(nodes[at(--height)]);
    }
    Levels& levels;
    std::array<void*, kLevels - 1> nodes{};
    int height = 0;
  };

  template <class NodeType, class... Held>
  NodeType* make(Held... held) {
    return new (arena_.take()) NodeType(held...);
  }

  /// A node of `level` whose first key is at most `key`.
  void* node_near(int level, const Key& key) const {
    int here = std::max(top_.load(std::memory_order_relaxed), level);  // any start is correct, a lower one is slower
    void* node = heads_[at(here)];
    for (; here > level; --here) {
      node = child_of(static_cast<const Inner*>(node), key);
      prefetch(node);
    }
    return node;
  }

  static void* child_of(const Inner* node, const Key& key) {
    struct Step {
      const Inner* right;
      void* child;
    };
    for (;;) {
      const Step step = read<Traits>(*node, [&]() -> Step {
        if (node->ends_before(key)) {
          if (const Inner* next = node->next.load()) return {next, nullptr};
        }
        const std::size_t after = node->rank(key);
        return {nullptr, node->payloads[after - (after > 0 ? 1 : 0)].load()};  // 0: a mixture, which nobody will see
      });
      if (step.right == nullptr) return step.child;
      node = step.right;
    }
  }

  /// Puts the key into its place on one level, coming from `node`. Returns the payload of the key before it and true,
  /// or when it is there, after present(node, index), its own payload and false.
  template <class NodeType, class Payload, class Present>
  std::pair<Payload, bool> place(NodeType* node, const Key& key, const Payload& payload, Present present) {
    for (NodeType* spare = nullptr;;) {
      {
        const auto lock = lock_place(node, key);
        const std::size_t after = node->rank(key);
        const Payload before = node->payloads[after - 1].load();
        const bool there = node->holds(after - 1, key);
        if (there || !node->full()) {
          if (spare != nullptr) arena_.give_back(spare);
          if (there) {
            present(*node, after - 1);
          } else {
            Traits::interleave();
            node->lock.begin_change();
            node->insert(after, key, payload);
            node->lock.end_change();
          }
          return {before, !there};
        }
        spare = make_room(*node, key, spare);
      }
      // Memory is taken under no lock. Another thread may make room, or use up ours, in the meantime.
      if (spare == nullptr && node->full()) spare = make<NodeType>(VersionLock::HeldAlone{});
    }
  }

  /// Drops removed keys of a full node; if there are none, moves its upper half to `spare`, if there is one. Returns
  /// the spare node when it is still needed. Requires: the node is locked alone.
  template <class NodeType>
  static NodeType* make_room(NodeType& node, const Key& key, NodeType* spare) {
    node.lock.begin_change();
    node.drop_dead();
    if (node.full() && spare != nullptr) {
      // A key beyond all others: more such will come, and nothing fills what is left of them. So leave it full.
      const bool ascending = node.next.load() == nullptr && node.keys[kNodeKeys - 1] < key;
      node.cut(ascending ? kNodeKeys - 1 : kNodeKeys / 2, *spare);
      spare->lock.end_change();
      spare->lock.unlock();
      spare = nullptr;
    }
    node.lock.end_change();
    return spare;
  }

  /// Cuts the node where `key` belongs, coming from `node`: `right`, which begins with the key, takes what follows.
  /// Returns the payload of the key before.
  template <class NodeType>
  static auto divide(NodeType* node, const Key& key, NodeType& right) {
    Traits::interleave();
    const auto lock = lock_place(node, key);
    const std::size_t after = node->rank(key);
    const auto payload = node->payloads[after - 1].load();
    node->lock.begin_change();
    node->cut(after, right);
    node->lock.end_change();
    right.lock.end_change();
    right.lock.unlock();
    return payload;
  }

  template <class NodeType, class Payload>
  void* append_at(int level, int h, const Key& key, const Payload& payload) {
    auto* node = static_cast<NodeType*>(last_[at(level)]);
    if (level < h || node->full()) {
      NodeType* fresh = make<NodeType>();
      fresh->append(key, payload);
      node->cut(node->size(), *fresh);
      last_[at(level)] = fresh;
    } else {
      node->append(key, payload);
    }
    return last_[at(level)];
  }

  void raise_top(int h) {
    int top = top_.load(std::memory_order_relaxed);
    while (top < h && !top_.compare_exchange_weak(top, h, std::memory_order_relaxed)) {
    }
  }

  const std::uint64_t seed_;
  Arena arena_{std::max(sizeof(Leaf), sizeof(Inner))};
  std::array<void*, kLevels> heads_{};  // [level], begin with the smallest key
  std::array<void*, kLevels> last_{};   // [level], for append()
  std::atomic<int> top_{0};             // the highest level with a key; relaxed: a hint
};

}  // namespace plait::index::detail
