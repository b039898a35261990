// SPDX-License-Identifier: Apache-2.0
//
// Counter-based random numbers: the n-th number of a seed is a pure function of (seed, n), so draws do not depend on
// who else draws, on threads or on timing. Mixing function: SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014),
// applied twice.
#pragma once

#include <cstdint>

namespace plait::base {

/// A bijection of 64-bit words that spreads every input bit over all output bits.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Number `counter` of stream `seed`.
[[nodiscard]] constexpr std::uint64_t random_u64(std::uint64_t seed, std::uint64_t counter) {
  return mix64(mix64(seed + 0x9e3779b97f4a7c15ULL) + counter * 0x9e3779b97f4a7c15ULL);
}

/// Uniform in [0, 1) with 53 bits.
[[nodiscard]] constexpr double random_unit(std::uint64_t seed, std::uint64_t counter) {
  return static_cast<double>(random_u64(seed, counter) >> 11) * 0x1.0p-53;
}

/// The seed of child `index` of a parent's seed: forks differ and repeat.
[[nodiscard]] constexpr std::uint64_t child_seed(std::uint64_t parent, std::uint64_t index) {
  return mix64(random_u64(parent, index) ^ 0xd1b54a32d192ed03ULL);
}

}  // namespace plait::base
