// SPDX-License-Identifier: Apache-2.0
//
// What an ordered map must know about its keys beside their order.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/random.h"

namespace plait::index {

/// For keys that are no numbers, derive from this and hide what differs.
template <class Key>
struct SkipListTraits {
  /// Keys in a node: a power of two from 4 on. 128 pairs of 8 and 8 bytes are 2 KiB; see docs/benchmarks.md.
  static constexpr std::size_t kNodeKeys = 128;
  /// Two keys that are never used: everything else lies between them.
  static constexpr Key smallest() { return std::numeric_limits<Key>::lowest(); }
  static constexpr Key largest() { return std::numeric_limits<Key>::max(); }
  /// Must spread every bit of the key over all bits: runs of zeros at the low end are the key's height. Equal keys have
  /// equal hashes.
  static constexpr std::uint64_t hash(const Key& key, std::uint64_t seed) {
    if constexpr (std::floating_point<Key>) {
      static_assert(sizeof(Key) <= 8, "no padding");
      if (key == 0) return base::mix64(seed);  // two zeros with different bytes
    } else {
      static_assert(std::has_unique_object_representations_v<Key>, "equal keys, equal bytes");
    }
    const auto bytes = std::bit_cast<std::array<unsigned char, sizeof(Key)>>(key);
    std::uint64_t mixed = base::mix64(seed);
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      std::uint64_t word = 0;
      for (std::size_t j = i; j < std::min(i + 8, bytes.size()); ++j) {
        word |= static_cast<std::uint64_t>(bytes[j]) << (8 * (j - i));
      }
      mixed = base::mix64(mixed ^ word);
    }
    return mixed;
  }
  /// Called between the steps of an operation. Tests let other threads run here.
  static void interleave() {}
};

}  // namespace plait::index
