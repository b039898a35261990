// SPDX-License-Identifier: Apache-2.0
#include "store/record.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "store/crc32c.h"

namespace plait::store {
namespace {

static_assert(std::endian::native == std::endian::little, "heads are copied as they lie in memory");

constexpr std::uint32_t kRecordMagic = 0x52'4c'50'b7;  // b7 'P' 'L' 'R'
constexpr std::uint32_t kMarkMagic = 0x4d'4c'50'b7;    // b7 'P' 'L' 'M'

template <class Number>
void put(std::span<std::byte> bytes, std::size_t at, Number value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <class Number>
Number get(std::span<const std::byte> bytes, std::size_t at) {
  Number value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::uint32_t head_crc(std::span<const std::byte> bytes, base::Bytes offset) {
  std::array<std::byte, sizeof offset> place{};
  put(place, 0, offset);
  return crc32c(place, crc32c(bytes.first(4), crc32c(bytes.subspan(8, 24))));
}

}  // namespace

std::array<std::byte, kRecordHeadBytes> write_head(const RecordHead& head, base::Bytes offset) {
  std::array<std::byte, kRecordHeadBytes> bytes{};
  put(bytes, 0, head.kind == RecordHead::Kind::record ? kRecordMagic : kMarkMagic);
  put(bytes, 8, head.payload_bytes);
  put(bytes, 12, head.payload_crc);
  put(bytes, 16, head.sequence);
  put(bytes, 24, head.durable);
  put(bytes, 4, head_crc(bytes, offset));
  return bytes;
}

std::optional<RecordHead> read_head(std::span<const std::byte> bytes, base::Bytes offset) {
  PLAIT_CHECK(bytes.size() >= kRecordHeadBytes, bytes.size());
  const auto magic = get<std::uint32_t>(bytes, 0);
  if (magic != kRecordMagic && magic != kMarkMagic) return std::nullopt;
  if (get<std::uint32_t>(bytes, 4) != head_crc(bytes, offset)) return std::nullopt;
  return RecordHead{.kind = magic == kRecordMagic ? RecordHead::Kind::record : RecordHead::Kind::mark,
                    .payload_bytes = get<std::uint32_t>(bytes, 8),
                    .payload_crc = get<std::uint32_t>(bytes, 12),
                    .sequence = get<std::uint64_t>(bytes, 16),
                    .durable = get<std::uint64_t>(bytes, 24)};
}

}  // namespace plait::store
