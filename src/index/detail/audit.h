// SPDX-License-Identifier: Apache-2.0
//
// Walks a whole B-skiplist that nobody changes and compares it with its invariants.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "index/detail/levels.h"

namespace plait::index::detail {

/// What a level is made of.
struct LevelShape {
  std::size_t nodes = 0;
  std::size_t keys = 0;  ///< Removed ones that still stand included, the smallest key at the front excluded.
  friend bool operator==(const LevelShape&, const LevelShape&) = default;
};

template <class Key, class Value, class Traits>
class Audit {
 public:
  using Structure = Levels<Key, Value, Traits>;
  explicit Audit(const Structure& levels) : levels_(levels) {}

  /// [level], leaves first. Errors: internal: the first invariant that does not hold, by its number in skiplist.h.
  base::Result<std::vector<LevelShape>> run() {
    std::vector<LevelShape> shapes;
    PLAIT_TRY(auto leaves, walk(levels_.first_leaf(), 0));
    shapes.push_back(leaves);
    for (int level = 1; level < kLevels; ++level) {
      const std::size_t tall = tall_;
      const auto starts = std::move(starts_);
      PLAIT_TRY(auto shape, walk(levels_.first_inner(level), level));
      if (shape.keys != tall) return wrong("2: a key is missing on a level that its height reaches");
      PLAIT_TRY_VOID(check_children(levels_.first_inner(level), starts));
      shapes.push_back(shape);
    }
    return shapes;
  }

 private:
  static std::unexpected<base::Error> wrong(const char* what) {
    return base::fail(base::ErrorCode::internal, std::string("invariant ") + what);
  }

  /// Invariants 1 and 3 of one level; notes the first key of every node, and how many keys reach the level above.
  template <class NodeType>
  base::Result<LevelShape> walk(const NodeType& head, int level) {
    LevelShape shape;
    tall_ = 0;
    starts_.clear();
    Key before = Traits::smallest();
    if (!head.holds(0, before)) return wrong("1: a level does not begin with the smallest key");
    for (const NodeType* node = &head; node != nullptr; node = node->next.load()) {
      const std::size_t n = node->size();
      if (n == 0 || n > Structure::kNodeKeys) return wrong("1: a node has no keys, or too many");
      starts_.emplace(node, node->keys[0]);
      for (std::size_t i = 0; i < n; ++i) {
        const Key key = node->keys[i];
        const bool first = node == &head && i == 0;
        if (!first && !(before < key)) return wrong("1: keys do not ascend");
        if (!(key < node->next_header.load())) return wrong("1: a key is not below the next node's first");
        before = key;
        if (first) continue;
        const int h = levels_.height(key);
        if (h < level) return wrong("2: a key stands above its height");
        if (h > level && i != 0) return wrong("2: a key below its height is not the first of its node");
        if (h > level) ++tall_;
      }
      const NodeType* next = node->next.load();
      const Key bound = node->next_header.load();
      const bool same = next != nullptr ? next->holds(0, bound) : !(bound < Traits::largest());
      if (!same) return wrong("1: next_header is not the next node's first key");
      if (VersionLock::odd(node->lock.version())) return wrong("4: a node is still being changed");
      ++shape.nodes;
      shape.keys += n;
    }
    --shape.keys;
    return shape;
  }

  /// Invariant 2: every child begins with the key that leads to it, and lies on the level below.
  template <class NodeType>
  static base::Result<void> check_children(const NodeType& head, const std::unordered_map<const void*, Key>& starts) {
    for (const NodeType* node = &head; node != nullptr; node = node->next.load()) {
      for (std::size_t i = 0; i < node->size(); ++i) {
        const auto child = starts.find(node->payloads[i].load());
        if (child == starts.end()) return wrong("2: a child is no node of the level below");
        if (!node->holds(i, child->second)) return wrong("2: a child does not begin with its parent's key");
      }
    }
    return {};
  }

  const Structure& levels_;
  std::unordered_map<const void*, Key> starts_;  // of the level walked last
  std::size_t tall_ = 0;                         // keys of that level that reach the next
};

}  // namespace plait::index::detail
