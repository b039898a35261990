// SPDX-License-Identifier: Apache-2.0
//
// The head of a record in a log file: 32 bytes, little-endian, followed by the payload.
//
//   0  u32  magic: a record or a mark      16  u64  sequence: number of the record in its log, from 0
//   4  u32  CRC-32C of the head            24  u64  durable: records with a lower number were on the disk
//   8  u32  bytes of payload                        before this one was written
//  12  u32  CRC-32C of the payload
//
// The head's checksum covers bytes 8 to 31, the magic and the offset in the file, so that a head that was copied
// elsewhere, such as a log inside a record of a log, is no head there. A mark has no payload and takes no number: it
// only says what was durable.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/units.h"

namespace plait::store {

inline constexpr std::size_t kRecordHeadBytes = 32;
/// The first byte of either magic: what a search for heads looks for.
inline constexpr unsigned char kRecordFirstByte = 0xb7;

struct RecordHead {
  enum class Kind { record, mark };
  Kind kind = Kind::record;
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;
  std::uint64_t sequence = 0;
  std::uint64_t durable = 0;

  friend bool operator==(const RecordHead&, const RecordHead&) = default;
};

/// The bytes of a head at `offset` of its file.
[[nodiscard]] std::array<std::byte, kRecordHeadBytes> write_head(const RecordHead& head, base::Bytes offset);
/// The head in the first kRecordHeadBytes of `bytes`, which lie at `offset` of the file; nothing if there is none.
/// Requires: bytes.size() >= kRecordHeadBytes.
[[nodiscard]] std::optional<RecordHead> read_head(std::span<const std::byte> bytes, base::Bytes offset);

}  // namespace plait::store
