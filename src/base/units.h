// SPDX-License-Identifier: Apache-2.0
//
// Sizes in bytes, and how people write them.
#pragma once

#include <cstdint>
#include <string>

namespace plait::base {

using Bytes = std::uint64_t;

inline namespace literals {
constexpr Bytes operator""_KiB(unsigned long long n) { return n << 10; }
constexpr Bytes operator""_MiB(unsigned long long n) { return n << 20; }
constexpr Bytes operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

/// "94.0 MiB": three or four significant digits in the largest unit that keeps the number at 1 or more.
[[nodiscard]] std::string human_bytes(Bytes bytes);

}  // namespace plait::base
