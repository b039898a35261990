// SPDX-License-Identifier: Apache-2.0
//
// Ordered maps with one face, for comparing: plait's, and others where their headers are installed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#if __has_include(<absl/container/btree_map.h>)
#include <absl/container/btree_map.h>
#define PLAIT_BENCH_ABSL 1
#endif
#if __has_include(<oneapi/tbb/concurrent_map.h>)
#include <oneapi/tbb/concurrent_map.h>
#define PLAIT_BENCH_TBB 1
#endif

#include "index/skiplist.h"

namespace plait::index::bench {

using Key = std::uint64_t;
using Value = std::uint64_t;

/// The names of the compared maps.
inline constexpr std::string_view kOurs = "plait";
inline constexpr std::string_view kTbb = "oneTBB concurrent_map";
inline constexpr std::string_view kAbsl = "absl::btree_map, one lock";
inline constexpr std::string_view kStd = "std::map, one lock";

class Ours {
 public:
  void insert(Key key, Value value) { map_.insert_or_assign(key, value); }
  Value find(Key key) const { return map_.find(key).value_or(0); }
  Value scan(Key lo, std::size_t n) const {
    Value sum = 0;
    map_.for_count(lo, n, [&](Key, Value value) { sum += value; });
    return sum;
  }

 private:
  SkipList<Key, Value> map_;
};

/// A serial map under one reader-writer lock.
template <class Map>
class Locked {
 public:
  void insert(Key key, Value value) {
    const std::lock_guard lock(mutex_);
    map_.insert_or_assign(key, value);
  }
  Value find(Key key) const {
    const std::shared_lock lock(mutex_);
    const auto found = map_.find(key);
    return found == map_.end() ? 0 : found->second;
  }
  Value scan(Key lo, std::size_t n) const {
    const std::shared_lock lock(mutex_);
    Value sum = 0;
    for (auto it = map_.lower_bound(lo); it != map_.end() && n > 0; ++it, --n) sum += it->second;
    return sum;
  }

 private:
  mutable std::shared_mutex mutex_;
  Map map_;
};

#ifdef PLAIT_BENCH_TBB
class Tbb {
 public:
  void insert(Key key, Value value) { map_.emplace(key, value); }
  Value find(Key key) const {
    const auto found = map_.find(key);
    return found == map_.end() ? 0 : found->second;
  }
  Value scan(Key lo, std::size_t n) const {
    Value sum = 0;
    for (auto it = map_.lower_bound(lo); it != map_.end() && n > 0; ++it, --n) sum += it->second;
    return sum;
  }

 private:
  oneapi::tbb::concurrent_map<Key, Value> map_;
};
#endif

}  // namespace plait::index::bench
