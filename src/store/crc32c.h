// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C: the Castagnoli polynomial 0x1edc6f41, reflected, as in RFC 3720 (iSCSI), appendix B.4.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace plait::store {

/// The checksum of `bytes`; with `before`, that of what `before` is the checksum of, followed by `bytes`. Uses the
/// processor's instruction where there is one.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

/// The same by tables, eight bytes a step (M. Kounavis and F. Berry, "A systematic approach to building high
/// performance software-based CRC generators", ISCC 2005), for any machine.
[[nodiscard]] std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace plait::store
