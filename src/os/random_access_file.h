// SPDX-License-Identifier: Apache-2.0
//
// A file that is read and written at any offset, for one process at a time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include "base/result.h"
#include "base/units.h"

namespace plait::os {

/// Holds an ordinary file open for reading and writing, and the lock that keeps other holders out: the system gives the
/// lock up when the process dies. Movable, not copyable. Threads: reads may overlap anything but truncate().
class RandomAccessFile {
 public:
  /// Opens or makes the file (0644 less the umask); its folder must exist. A file system without locks grants every
  /// lock. Errors: busy if somebody holds it; not_found (folder); invalid_argument for what is no ordinary file;
  /// out_of_resources; io.
  [[nodiscard]] static base::Result<RandomAccessFile> open(const std::filesystem::path& path);

  RandomAccessFile(RandomAccessFile&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  RandomAccessFile& operator=(RandomAccessFile&&) = delete;
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;
  /// Closes the file; what was written and not synced is in the system's hands.
  ~RandomAccessFile();

  [[nodiscard]] base::Result<base::Bytes> size() const;
  /// Reads from `offset` on until `into` is full or the file ends: bytes read. Errors: io.
  [[nodiscard]] base::Result<std::size_t> read(base::Bytes offset, std::span<std::byte> into) const;
  /// Writes all of `bytes` at `offset`; a gap before it reads as zeros. After an error any part of it may be in the
  /// file. Errors: out_of_resources (disk full, quota), io.
  [[nodiscard]] base::Result<void> write(base::Bytes offset, std::span<const std::byte> bytes);
  /// Returns when content and size are on the disk. After an error the system may have forgotten what it could not
  /// write, and a second call may succeed without writing it. Errors: out_of_resources, io.
  [[nodiscard]] base::Result<void> sync();
  /// Cuts the file to `size` bytes, or extends it with zeros. Errors: out_of_resources, io.
  [[nodiscard]] base::Result<void> truncate(base::Bytes size);

 private:
  RandomAccessFile(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace plait::os
