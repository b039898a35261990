// SPDX-License-Identifier: Apache-2.0
//
// Takes files out of a Python package. A wheel is a zip file; read here is what wheels use: stored and deflated
// members, sizes beyond 4 GiB (zip64), no encryption, no split archives.
//
// Nothing is ever written to a path that the archive names: a member's bytes go to the caller's sink. The archive is
// input from outside: every offset, length and count is checked, and a member never yields more than the directory
// said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace plait::hub {

class Wheel {
 public:
  struct Member {
    std::string name;          ///< As stored: '/' between folders; may be anything, so never use it as a path.
    base::Bytes packed = 0;    ///< Bytes in the archive.
    base::Bytes bytes = 0;     ///< Bytes when unpacked.
    std::uint16_t method = 0;  ///< 0 stored, 8 deflated; others are listed but cannot be read.
    std::uint16_t flags = 0;
    std::uint32_t crc32 = 0;
    base::Bytes offset = 0;  ///< Of its local header.
  };
  using Sink = std::function<base::Result<void>(std::span<const std::byte>)>;

  /// Reads the directory at the end of an archive. `bytes` must outlive the object and not change.
  /// Errors: invalid_data, unsupported (split archive).
  [[nodiscard]] static base::Result<Wheel> open(std::span<const std::byte> bytes);

  [[nodiscard]] std::span<const Member> members() const { return members_; }
  /// The member with exactly this name, or null.
  [[nodiscard]] const Member* find(std::string_view name) const;

  /// Unpacks one member into `sink`, in pieces of at most 1 MiB, and checks its length and checksum. On an error the
  /// sink may have had part of it. Errors: invalid_data, unsupported (method, encryption), and what the sink returns.
  [[nodiscard]] base::Result<void> read(const Member& member, const Sink& sink) const;

 private:
  explicit Wheel(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
  std::vector<Member> members_;
};

}  // namespace plait::hub
