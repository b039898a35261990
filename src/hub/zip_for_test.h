// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace plait::hub {

/// Writes small zip archives for tests, good ones by default. Lies about a member can be told through its fields.
struct ZipMember {
  std::string name;
  std::string content;
  bool deflated = true;
  bool zip64 = false;              ///< Sizes and offset stand in the extra field.
  std::uint16_t flags = 0;         ///< 1: says that it is encrypted.
  std::uint16_t method = 0xffff;   ///< Other than what was really done, if not 0xffff.
  std::int64_t claimed_extra = 0;  ///< Added to the unpacked length in the directory.
  std::uint32_t crc_error = 0;     ///< Mixed into the checksum.
};

class ZipWriter {
 public:
  void add(const ZipMember& member) {
    const std::string packed = member.deflated ? deflate_raw(member.content) : member.content;
    const auto* bytes = reinterpret_cast<const Bytef*>(member.content.data());
    const auto crc = static_cast<std::uint32_t>(crc32_z(0, bytes, member.content.size())) ^ member.crc_error;
    const std::uint16_t method = member.method != 0xffff ? member.method : (member.deflated ? 8 : 0);
    const auto length =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(member.content.size()) + member.claimed_extra);
    const std::uint64_t offset = archive_.size();
    number(archive_, 0x04034b50, 4);
    common(archive_, member, method, crc, packed.size(), length, 0);
    archive_ += member.name + packed;

    std::string extra;
    if (member.zip64) {
      number(extra, 1, 2);
      number(extra, 24, 2);
      number(extra, length, 8);
      number(extra, packed.size(), 8);
      number(extra, offset, 8);
    }
    number(directory_, 0x02014b50, 4);
    number(directory_, 20, 2);
    common(directory_, member, method, crc, member.zip64 ? 0xffffffff : packed.size(),
           member.zip64 ? 0xffffffff : length, extra.size());
    number(directory_, 0, 10);  // comment length, disk, attributes
    number(directory_, member.zip64 ? 0xffffffff : offset, 4);
    directory_ += member.name + extra;
    ++count_;
  }

  /// The whole archive. With `zip64`, counts and offsets stand in the 64-bit end record.
  [[nodiscard]] std::string finish(bool zip64 = false, const std::string& comment = {}) const {
    std::string all = archive_ + directory_;
    if (zip64) {
      const std::uint64_t end64 = all.size();
      number(all, 0x06064b50, 4);
      number(all, 44, 8);
      number(all, 45 | (45 << 16), 4);
      number(all, 0, 8);
      number(all, count_, 8);
      number(all, count_, 8);
      number(all, directory_.size(), 8);
      number(all, archive_.size(), 8);
      number(all, 0x07064b50, 4);
      number(all, 0, 4);
      number(all, end64, 8);
      number(all, 1, 4);
    }
    number(all, 0x06054b50, 4);
    number(all, 0, 4);
    number(all, zip64 ? 0xffff : count_, 2);
    number(all, zip64 ? 0xffff : count_, 2);
    number(all, zip64 ? 0xffffffff : directory_.size(), 4);
    number(all, zip64 ? 0xffffffff : archive_.size(), 4);
    number(all, comment.size(), 2);
    return all + comment;
  }

 private:
  static void number(std::string& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? (value >> (8 * i)) & 0xff : 0);
  }

  static void common(std::string& out, const ZipMember& member, std::uint16_t method, std::uint32_t crc,
                     std::uint64_t packed, std::uint64_t length, std::size_t extra) {
    number(out, 20, 2);
    number(out, member.flags, 2);
    number(out, method, 2);
    number(out, 0, 4);
    number(out, crc, 4);
    number(out, packed, 4);
    number(out, length, 4);
    number(out, member.name.size(), 2);
    number(out, extra, 2);
  }

  static std::string deflate_raw(const std::string& content) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    std::string packed(deflateBound(&stream, content.size()), '\0');
    std::string input = content;
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
  }

  std::string archive_;
  std::string directory_;
  std::uint64_t count_ = 0;
};

}  // namespace plait::hub
