// SPDX-License-Identifier: Apache-2.0
//
// What both kinds of AsyncFile share: a descriptor that closes itself, and one operation under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include "base/result.h"
#include "os/direct_io.h"

namespace plait::os::detail {

/// An open file and how it was opened. Owns the descriptor.
class OpenFile {
 public:
  OpenFile(int descriptor, bool direct, std::filesystem::path path);
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&&) = delete;
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] bool direct() const { return direct_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  int descriptor_;
  bool direct_;
  std::filesystem::path path_;
};

/// One read or write, as far as it has come. A write's buffer is never written to.
struct Transfer {
  bool write = false;
  std::byte* data = nullptr;
  base::Bytes size = 0;
  base::Bytes offset = 0;
  std::uint64_t token = 0;
  base::Bytes done = 0;

  /// Requires: aligned as AsyncFile says.
  [[nodiscard]] static Transfer reading(std::span<std::byte> buffer, base::Bytes offset, std::uint64_t token);
  [[nodiscard]] static Transfer writing(std::span<const std::byte> buffer, base::Bytes offset, std::uint64_t token);

  /// Takes what the kernel said, bytes moved or a negative errno; the completion when that is the end, nothing when the
  /// rest, from `done` on, must be submitted (a short transfer, an interrupted call).
  [[nodiscard]] std::optional<AsyncFile::Completion> advance(std::int64_t outcome, const OpenFile& file);
};

}  // namespace plait::os::detail
