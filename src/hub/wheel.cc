// SPDX-License-Identifier: Apache-2.0
//
// The format is PKWARE's APPNOTE: a directory at the end of the file names the members; each member has a local header
// of its own, of which only the lengths are used here, since the directory is what everybody else goes by.
#include "hub/wheel.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

namespace plait::hub {
namespace {

using base::Bytes;
using base::ErrorCode;
using base::fail;
using base::Result;

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kLocator64Signature = 0x07064b50;
constexpr std::uint32_t kEntrySignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCommentBytesMax = 65535;
constexpr std::uint16_t kExtra64 = 1;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kNotHere16 = 0xffff;
constexpr std::uint32_t kNotHere32 = 0xffffffff;
constexpr std::size_t kPieceBytes = 1 << 20;

auto damaged(std::string_view what) {
  return fail(ErrorCode::invalid_data, fmt::format("not a good zip archive: {}", what));
}

// Little-endian numbers in a row. Reading past the end gives zeros and is remembered.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> take(std::size_t count) {
    if (count > bytes_.size()) {
      failed_ = true;
      bytes_ = {};
      return {};
    }
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  void skip(std::size_t count) { take(count); }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

 private:
  std::uint64_t number(std::size_t count) {
    std::uint64_t value = 0;
    std::size_t shift = 0;
    for (const std::byte byte : take(count)) {
      value |= std::to_integer<std::uint64_t>(byte) << shift;
      shift += 8;
    }
    return value;
  }

  std::span<const std::byte> bytes_;
  bool failed_ = false;
};

bool fits(std::span<const std::byte> bytes, Bytes offset, Bytes length) {
  return offset <= bytes.size() && length <= bytes.size() - offset;
}

struct Directory {
  std::uint64_t entries = 0;
  Bytes bytes = 0;
  Bytes offset = 0;
};

// The last place where the end record could stand. Its comment must reach exactly to the end of the file, so that bytes
// inside a comment are not taken for the record.
std::optional<std::size_t> find_end(std::span<const std::byte> bytes) {
  if (bytes.size() < kEndBytes) return std::nullopt;
  const std::size_t last = bytes.size() - kEndBytes;
  const std::size_t first = last - std::min(last, kCommentBytesMax);
  for (std::size_t at = last + 1; at-- > first;) {
    Cursor cursor(bytes.subspan(at));
    if (cursor.u32() != kEndSignature) continue;
    cursor.skip(16);
    if (cursor.u16() == cursor.left()) return at;
  }
  return std::nullopt;
}

Result<void> read_end64(std::span<const std::byte> bytes, std::size_t end, Directory& directory) {
  if (end < kLocator64Bytes) return damaged("the zip64 locator is missing");
  Cursor locator(bytes.subspan(end - kLocator64Bytes, kLocator64Bytes));
  const bool found = locator.u32() == kLocator64Signature;
  locator.skip(4);
  const Bytes offset = locator.u64();
  if (!found || !fits(bytes, offset, kEnd64Bytes)) return damaged("the zip64 locator is missing or points nowhere");
  Cursor record(bytes.subspan(offset, kEnd64Bytes));
  if (record.u32() != kEnd64Signature) return damaged("the zip64 end record is missing");
  record.skip(8 + 2 + 2 + 4 + 4 + 8);
  directory.entries = record.u64();
  directory.bytes = record.u64();
  directory.offset = record.u64();
  return {};
}

Result<Directory> find_directory(std::span<const std::byte> bytes) {
  const auto end = find_end(bytes);
  if (!end) return damaged("it has no end record");
  Cursor record(bytes.subspan(*end, kEndBytes));
  record.skip(4);
  const std::uint16_t disk = record.u16();
  const std::uint16_t directory_disk = record.u16();
  record.skip(2);
  Directory directory;
  directory.entries = record.u16();
  directory.bytes = record.u32();
  directory.offset = record.u32();
  if (disk != directory_disk && disk != kNotHere16) return fail(ErrorCode::unsupported, "a split zip archive");
  if (directory.entries == kNotHere16 || directory.bytes == kNotHere32 || directory.offset == kNotHere32) {
    PLAIT_TRY_VOID(read_end64(bytes, *end, directory));
  }
  if (!fits(bytes, directory.offset, directory.bytes)) return damaged("the directory lies outside of the file");
  if (directory.entries > directory.bytes / kEntryBytes) return damaged("more entries than fit into the directory");
  return directory;
}

// Sizes that did not fit into 32 bits stand in an extra field, in this order.
Result<void> apply_extra64(std::span<const std::byte> extra, Wheel::Member& member) {
  Cursor fields(extra);
  while (fields.left() >= 4) {
    const std::uint16_t kind = fields.u16();
    Cursor field(fields.take(fields.u16()));
    if (fields.failed()) return damaged("an extra field is cut short");
    if (kind != kExtra64) continue;
    if (member.bytes == kNotHere32) member.bytes = field.u64();
    if (member.packed == kNotHere32) member.packed = field.u64();
    if (member.offset == kNotHere32) member.offset = field.u64();
    if (field.failed()) return damaged("a zip64 field is cut short");
    return {};
  }
  return {};
}

Result<Wheel::Member> read_entry(Cursor& directory) {
  if (directory.u32() != kEntrySignature) return damaged("a directory entry is missing");
  directory.skip(4);
  Wheel::Member member;
  member.flags = directory.u16();
  member.method = directory.u16();
  directory.skip(4);
  member.crc32 = directory.u32();
  member.packed = directory.u32();
  member.bytes = directory.u32();
  const std::size_t name = directory.u16();
  const std::size_t extra = directory.u16();
  const std::size_t comment = directory.u16();
  directory.skip(8);
  member.offset = directory.u32();
  const auto letters = directory.take(name);
  member.name.assign(reinterpret_cast<const char*>(letters.data()), letters.size());
  const auto extra_field = directory.take(extra);
  directory.skip(comment);
  if (directory.failed()) return damaged("a directory entry is cut short");
  PLAIT_TRY_VOID(apply_extra64(extra_field, member));
  return member;
}

// The member's packed bytes, behind its local header.
Result<std::span<const std::byte>> packed_bytes(std::span<const std::byte> archive, const Wheel::Member& member) {
  if (!fits(archive, member.offset, kLocalBytes)) return damaged("a member lies outside of the file");
  Cursor header(archive.subspan(member.offset, kLocalBytes));
  if (header.u32() != kLocalSignature) return damaged("a member's header is missing");
  header.skip(22);
  const Bytes name = header.u16();
  const Bytes extra = header.u16();
  const Bytes start = member.offset + kLocalBytes + name + extra;
  if (!fits(archive, start, member.packed)) return damaged("a member lies outside of the file");
  return archive.subspan(start, member.packed);
}

// Passes bytes on and keeps their count and checksum.
class Checked {
 public:
  explicit Checked(const Wheel::Sink& sink) : sink_(sink) {}

  Result<void> pass(std::span<const std::byte> piece) {
    crc_ = crc32_z(crc_, reinterpret_cast<const Bytef*>(piece.data()), piece.size());
    bytes_ += piece.size();
    return sink_(piece);
  }
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] std::uint32_t crc() const { return static_cast<std::uint32_t>(crc_); }

 private:
  const Wheel::Sink& sink_;
  Bytes bytes_ = 0;
  uLong crc_ = crc32_z(0, nullptr, 0);
};

Result<void> copy_stored(std::span<const std::byte> packed, Checked& out) {
  while (!packed.empty()) {
    const std::size_t piece = std::min(packed.size(), kPieceBytes);
    PLAIT_TRY_VOID(out.pass(packed.first(piece)));
    packed = packed.subspan(piece);
  }
  return {};
}

Result<void> inflate_all(std::span<const std::byte> packed, Bytes bytes_max, Checked& out) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return fail(ErrorCode::out_of_resources, "no memory to unpack");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  std::vector<std::byte> buffer(kPieceBytes);
  for (int status = Z_OK; status != Z_STREAM_END;) {
    if (stream.avail_in == 0) {
      const std::size_t piece = std::min<std::size_t>(packed.size(), std::numeric_limits<uInt>::max());
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));  // zlib does not write to it
      stream.avail_in = static_cast<uInt>(piece);
      packed = packed.subspan(piece);
    }
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    status = inflate(&stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END) return damaged("a member's packed data is damaged or cut short");
    const std::size_t got = buffer.size() - stream.avail_out;
    if (got > bytes_max - out.bytes()) return damaged("a member is longer than the directory says");
    if (got > 0) PLAIT_TRY_VOID(out.pass(std::span(buffer).first(got)));
  }
  return {};
}

}  // namespace

Result<Wheel> Wheel::open(std::span<const std::byte> bytes) {
  PLAIT_TRY(const Directory directory, find_directory(bytes));
  Wheel wheel(bytes);
  Cursor cursor(bytes.subspan(directory.offset, directory.bytes));
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    PLAIT_TRY(Member member, read_entry(cursor));
    wheel.members_.push_back(std::move(member));
  }
  return wheel;
}

const Wheel::Member* Wheel::find(std::string_view name) const {
  const auto found = std::ranges::find(members_, name, &Member::name);
  return found == members_.end() ? nullptr : &*found;
}

Result<void> Wheel::read(const Member& member, const Sink& sink) const {
  if ((member.flags & kEncrypted) != 0) return fail(ErrorCode::unsupported, "an encrypted zip member");
  PLAIT_TRY(const auto packed, packed_bytes(bytes_, member));
  Checked out(sink);
  switch (member.method) {
    case 0:
      if (member.packed != member.bytes) return damaged("a stored member has two lengths");
      PLAIT_TRY_VOID(copy_stored(packed, out));
      break;
    case 8:
      PLAIT_TRY_VOID(inflate_all(packed, member.bytes, out));
      break;
    default:
      return fail(ErrorCode::unsupported, fmt::format("zip method {}", member.method));
  }
  if (out.bytes() != member.bytes) return damaged("a member is shorter than the directory says");
  if (out.crc() != member.crc32) return damaged("a member's checksum is wrong");
  return {};
}

}  // namespace plait::hub
