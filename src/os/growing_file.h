// SPDX-License-Identifier: Apache-2.0
//
// Files too large to hold: one that grows piece by piece, and reading one piece by piece.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

#include "base/result.h"
#include "base/units.h"

namespace plait::os {

/// A file that is written at its end. Movable, not copyable; not thread-safe. Closing it keeps what was written.
class GrowingFile {
 public:
  /// Opens or makes an ordinary file; never follows a symbolic link. Errors: not_found (folder), out_of_resources, io.
  [[nodiscard]] static base::Result<GrowingFile> open(const std::filesystem::path& path);

  GrowingFile(GrowingFile&& other) noexcept;
  GrowingFile& operator=(GrowingFile&&) = delete;
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;
  ~GrowingFile();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] base::Bytes size() const { return size_; }

  /// Adds all of `bytes`. After an error some of them may be in the file, and size() counts them.
  [[nodiscard]] base::Result<void> append(std::span<const std::byte> bytes);
  /// Cuts the file to `size` bytes. Requires: size <= size().
  [[nodiscard]] base::Result<void> truncate(base::Bytes size);
  /// Flushes the file to the disk and renames it, replacing what had that name.
  [[nodiscard]] base::Result<void> rename_to(const std::filesystem::path& path);

 private:
  GrowingFile(std::filesystem::path path, int descriptor, base::Bytes size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

  std::filesystem::path path_;
  int descriptor_;
  base::Bytes size_;
};

/// Reads a whole file in pieces of at most 1 MiB, which live during the call only. An error of `on_piece` ends it.
/// Errors: not_found, io, and those of `on_piece`.
[[nodiscard]] base::Result<void> read_in_pieces(
    const std::filesystem::path& path, const std::function<base::Result<void>(std::span<const std::byte>)>& on_piece);

}  // namespace plait::os
