// SPDX-License-Identifier: Apache-2.0
#include "engine/slot_heap.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>
#include <utility>

namespace plait::engine {
namespace {

struct Table {
  std::vector<int> keys;
  std::vector<std::uint32_t> places;
};

struct Order {
  Table* table;
  [[nodiscard]] bool before(std::uint32_t a, std::uint32_t b) const {
    return std::pair(table->keys[a], a) < std::pair(table->keys[b], b);
  }
  [[nodiscard]] std::uint32_t& place(std::uint32_t slot) const { return table->places[slot]; }
};

TEST(SlotHeap, BehavesLikeAnOrderedSet) {
  EXPECT_TRUE(rc::check([] {
    constexpr std::uint32_t kSlots = 20;
    Table table{std::vector<int>(kSlots, 0), std::vector<std::uint32_t>(kSlots, kNoPlace)};
    const Order order{&table};
    SlotHeap<Order> heap;
    std::set<std::pair<int, std::uint32_t>> model;
    for (int i = *rc::gen::inRange(0, 300); i > 0; --i) {
      const auto slot = *rc::gen::inRange<std::uint32_t>(0, kSlots);
      const bool present = table.places[slot] != kNoPlace;
      RC_ASSERT(present == model.contains({table.keys[slot], slot}));
      model.erase({table.keys[slot], slot});
      const bool leaves = present && *rc::gen::arbitrary<bool>();
      table.keys[slot] = *rc::gen::inRange(-5, 6);
      if (leaves) {
        heap.erase(slot, order);
        heap.erase(slot, order);
        heap.update(slot, order);
      } else {
        if (present) {
          heap.update(slot, order);
        } else {
          heap.push(slot, order);
        }
        model.insert({table.keys[slot], slot});
      }
      RC_ASSERT(heap.size() == model.size());
      if (!model.empty()) RC_ASSERT(heap.top() == model.begin()->second);
    }
    while (!model.empty()) {
      RC_ASSERT(heap.top() == model.begin()->second);
      model.erase(model.begin());
      heap.erase(heap.top(), order);
    }
    RC_ASSERT(heap.empty());
  }));
}

}  // namespace
}  // namespace plait::engine
