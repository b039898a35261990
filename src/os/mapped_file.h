// SPDX-License-Identifier: Apache-2.0
//
// A file as read-only memory.
//
// A mapped file that is cut short by someone else, or whose disk fails, makes the next access to the lost page raise
// SIGBUS. Here such a page reads as zeros instead and the file is marked: whoever copies data out of a map calls
// check() afterwards, and only then trusts what was copied. This costs nothing while the file is whole.
//
// Threads: bytes(), check() and drop_pages() may be called from any thread; moving and destroying not at the same time
// as those.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/result.h"
#include "base/units.h"

namespace plait::os {

class MappedFile {  // move-only; unmaps and closes on destruction
 public:
  /// Maps a whole regular file. An empty file is an empty span. Errors: not_found; invalid_argument for a folder, pipe
  /// or device; out_of_resources (address space, file handles, more than 1024 maps at once); io (no permission).
  [[nodiscard]] static base::Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  /// The content; lives as long as the object and does not move when the object is moved.
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// Fails with io if the file's size changed since it was opened, or if a page of it could not be read.
  [[nodiscard]] base::Result<void> check() const;

  /// Gives the memory of the whole pages inside [offset, offset + length) back; the next access reads the file again.
  /// Requires: offset + length <= bytes().size().
  void drop_pages(std::size_t offset, std::size_t length) const;

 private:
  MappedFile(std::filesystem::path path, int descriptor, std::span<const std::byte> bytes, int slot)
      : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes), slot_(slot) {}
  void close();

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::span<const std::byte> bytes_;
  int slot_ = -1;  ///< Place in the table of maps that the SIGBUS handler reads; -1 for an empty file.
};

}  // namespace plait::os
