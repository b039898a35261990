// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

namespace plait::serving {

/// 64 bits by chance, from the machine: for what follows from a seed that nobody gave. Any thread.
[[nodiscard]] inline std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) ^ device();
}

}  // namespace plait::serving
