// SPDX-License-Identifier: Apache-2.0
//
// What threads did to a map and what they saw, and whether a map that does one thing at a time could have answered so
// (Wing, Gong, "Testing and verifying concurrent objects", 1993).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <utility>
#include <vector>

namespace plait::index {

/// A map of up to four keys, 0 to 3; 0 stands for none.
using SmallMap = std::array<std::uint16_t, 4>;

struct Event {
  enum Kind : std::uint8_t { insert, assign, remove, find, add, range } kind = find;
  std::uint8_t key = 0;
  std::uint16_t argument = 0;  ///< The value put in, or added.
  std::uint16_t answer = 0;    ///< 1 or 0 of a change; the value of find, 0 for none.
  SmallMap seen = {};          ///< What range saw.
  std::uint64_t begin = 0;     ///< Ticks of one clock for all threads.
  std::uint64_t end = 0;
};

/// Does `event` to `map`. Whether its answer is the right one.
inline bool apply(const Event& event, SmallMap& map) {
  std::uint16_t& value = map[event.key];
  const bool there = value != 0;
  switch (event.kind) {
    case Event::insert:
      if (!there) value = event.argument;
      return event.answer == (there ? 0 : 1);
    case Event::assign:
      value = event.argument;
      return event.answer == (there ? 0 : 1);
    case Event::remove:
      value = 0;
      return event.answer == (there ? 1 : 0);
    case Event::add:
      if (there) value = static_cast<std::uint16_t>(value + event.argument);
      return event.answer == (there ? 1 : 0);
    case Event::find:
      return event.answer == value;
    default:
      return event.seen == map;
  }
}

/// Whether the events have an order that fits their times and their answers, beginning with an empty map.
/// Requires: at most 64 events. Takes time exponential in the number of threads at worst.
class LinearOrder {
 public:
  explicit LinearOrder(const std::vector<Event>& events) : events_(events) {}
  [[nodiscard]] bool exists() { return search(0, {}); }

 private:
  bool search(std::uint64_t done, const SmallMap& map) {
    std::uint64_t first_end = std::numeric_limits<std::uint64_t>::max();
    bool all = true;
    for (std::size_t i = 0; i < events_.size(); ++i) {
      if ((done >> i & 1U) != 0) continue;
      all = false;
      first_end = std::min(first_end, events_[i].end);
    }
    if (all) return true;
    if (!tried_.emplace(done, map).second) return false;
    for (std::size_t i = 0; i < events_.size(); ++i) {
      if ((done >> i & 1U) != 0 || events_[i].begin > first_end) continue;
      SmallMap next = map;
      if (apply(events_[i], next) && search(done | std::uint64_t{1} << i, next)) return true;
    }
    return false;
  }

  const std::vector<Event>& events_;
  std::set<std::pair<std::uint64_t, SmallMap>> tried_;
};

}  // namespace plait::index
