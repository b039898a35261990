// SPDX-License-Identifier: Apache-2.0
//
// A binary heap of slots, the indices of somebody's table, in which every slot knows its place. So an entry whose key
// has changed moves in O(log size), and one that nobody wants any more leaves in O(log size). Allocates only when it
// grows beyond its largest size so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"

namespace plait::engine {

/// Stands for "in no heap" where a table keeps a slot's place.
inline constexpr std::uint32_t kNoPlace = ~std::uint32_t{0};

/// `Order` knows the table. It has
///   bool before(std::uint32_t a, std::uint32_t b) const    whether slot a comes out before slot b; a strict weak order
///   std::uint32_t& place(std::uint32_t slot) const         where this heap notes the slot's place; kNoPlace outside
/// and is passed to each call, so that heaps inside a table's entries need not store it.
template <class Order>
class SlotHeap {
 public:
  [[nodiscard]] bool empty() const { return slots_.empty(); }
  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  /// The slot that comes out first. Requires: not empty.
  [[nodiscard]] std::uint32_t top() const {
    PLAIT_ASSERT(!slots_.empty());
    return slots_.front();
  }

  /// Requires: the slot is not in the heap.
  void push(std::uint32_t slot, const Order& order) {
    PLAIT_CHECK(order.place(slot) == kNoPlace, slot);
    slots_.push_back(slot);
    order.place(slot) = static_cast<std::uint32_t>(slots_.size() - 1);
    raise(slots_.size() - 1, order);
  }

  /// Takes the slot out; one that is not there is left alone. Does not look at its key.
  void erase(std::uint32_t slot, const Order& order) {
    const std::uint32_t hole = order.place(slot);
    if (hole == kNoPlace) return;
    order.place(slot) = kNoPlace;
    const std::uint32_t last = slots_.back();
    slots_.pop_back();
    if (last == slot) return;
    set(hole, last, order);
    update(last, order);
  }

  /// After the key of this one slot has changed; nothing happens if it is not in the heap.
  void update(std::uint32_t slot, const Order& order) {
    const std::uint32_t at = order.place(slot);
    if (at == kNoPlace) return;
    sink(raise(at, order), order);
  }

 private:
  void set(std::size_t at, std::uint32_t slot, const Order& order) {
    slots_[at] = slot;
    order.place(slot) = static_cast<std::uint32_t>(at);
  }

  std::size_t raise(std::size_t at, const Order& order) {
    const std::uint32_t slot = slots_[at];
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (!order.before(slot, slots_[parent])) break;
      set(at, slots_[parent], order);
      at = parent;
    }
    set(at, slot, order);
    return at;
  }

  void sink(std::size_t at, const Order& order) {
    const std::uint32_t slot = slots_[at];
    while (true) {
      std::size_t child = 2 * at + 1;
      if (child >= slots_.size()) break;
      if (child + 1 < slots_.size() && order.before(slots_[child + 1], slots_[child])) ++child;
      if (!order.before(slots_[child], slot)) break;
      set(at, slots_[child], order);
      at = child;
    }
    set(at, slot, order);
  }

  std::vector<std::uint32_t> slots_;
};

}  // namespace plait::engine
